"""Arrays of vectors and clip ids: their types, lengths, and what is checked of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_search.index.errors import InvalidInputError

Ids = NDArray[np.int64]
Vectors = NDArray[np.float32]
Cosines = NDArray[np.float64]

DIGITS = 6
"""Digits of a similarity; beyond, float32 vectors say nothing."""

TIE = 2e-6
"""Float32 similarities closer than this may be equal in so many digits."""


def normalise(vectors: Vectors) -> Vectors:
    """The vectors at length 1: float32, same shape, last axis.

    Raises:
        InvalidInputError: a vector is zero or not finite, so it has no direction.
    """
    return np.asarray(vectors / lengths_of(vectors)[..., None], dtype=np.float32)


def lengths_of(vectors: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The lengths of vectors (..., dim), each of which has one: float64, (...).

    Raises:
        InvalidInputError: a vector is zero or not finite, so it has no direction.
    """
    wide = vectors.astype(np.float64, copy=False)
    lengths = np.sqrt(np.einsum("...i,...i->...", wide, wide))
    if not np.all(np.isfinite(lengths)) or np.any(lengths == 0):
        raise InvalidInputError("an embedding is zero or not finite and cannot be compared")
    return np.asarray(lengths)


def checked(ids: Ids, vectors: Vectors, dimension: int) -> tuple[Ids, Vectors]:
    """What is to be added: of a repeated id the last vector, each at length 1.

    Raises:
        InvalidInputError: wrong length, zero or not finite.
    """
    if vectors.ndim != 2 or vectors.shape[1] != dimension:
        raise InvalidInputError(
            f"vectors of shape {vectors.shape} in an index of {dimension} dimensions"
        )
    last = len(ids) - 1 - np.unique(ids[::-1], return_index=True)[1]
    last.sort()
    return np.ascontiguousarray(ids[last]), np.ascontiguousarray(normalise(vectors)[last])


def cosines(query: Vectors, vectors: Vectors) -> Cosines:
    """Cosines of ``vectors`` (float32, (n, dim)) to ``query`` (float32, (dim,)), all L2-normalised:
    float64, (n,), rounded, so that equal ones are equal in whatever company they are computed."""
    return rounded(np.einsum("ij,j->i", vectors, query, dtype=np.float64))


def rounded(products: NDArray[np.float64]) -> Cosines:
    """Cosines without the digits that rounding made up: float64, same shape, -1 to 1."""
    return np.asarray(np.round(np.clip(products, -1.0, 1.0), DIGITS))


def find(ordered: Ids, wanted: Ids) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """Which of the ``wanted`` are among ``ordered``, ascending, and the places of these there."""
    if len(ordered) and ordered[-1] - ordered[0] == len(ordered) - 1:  # none is left out between
        places = wanted - ordered[0]
        known = (places >= 0) & (places < len(ordered))
    else:
        places = np.searchsorted(ordered, wanted)
        known = places < len(ordered)
        known[known] = ordered[places[known]] == wanted[known]
    return known, places[known]


def positions(known: Ids, wanted: Ids) -> NDArray[np.intp]:
    """Where in ``known`` (in any order) each of the ``wanted`` is; all of them are there."""
    order = np.argsort(known)
    return np.asarray(order[np.searchsorted(known[order], wanted)])

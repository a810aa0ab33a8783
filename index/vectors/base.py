"""What every index of vectors can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from emotion_search.index.errors import InvalidInputError

if TYPE_CHECKING:
    from emotion_search.index.vectors.mapped_rows import StoredRows

Ids = NDArray[np.int64]
Vectors = NDArray[np.float32]
Cosines = NDArray[np.float64]

DIGITS = 6
"""Digits of a similarity; beyond, float32 vectors say nothing."""

TIE = 2e-6
"""Float32 similarities closer than this may be equal in so many digits."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Clips that may be the most alike.

    Attributes:
        ids: int64, (n,), the most alike by estimate first.
        estimates: float64, (n,), of their cosines, descending.
        complete: there are no others in the index (or among those allowed).
    """

    ids: Ids
    estimates: Cosines
    complete: bool


class Estimator(Protocol):
    """Something that names the clips most like a query, best first by estimate."""

    @property
    def count(self) -> int:
        """How many vectors it knows."""

    @property
    def spread(self) -> float:
        """Standard deviation of an estimate from the true cosine."""

    def depth(self, limit: int) -> int:
        """How many candidates to ask for first where ``limit`` clips are wanted."""

    def candidates(
        self, query: Vectors, depth: int, *, rank: int, allowed: Ids | None = None
    ) -> Candidates:
        """The ``depth`` vectors that seem most like ``query`` (float32, (dim,), L2-normalised).

        Args:
            rank: the truly best so many are to be among them, but for one in a thousand.
            allowed: only these ids count (ascending).
        """


class VectorIndex(Estimator, Protocol):
    """L2-normalised vectors under int64 clip ids.

    Searches may run side by side; adding and removing need the index alone.
    """

    kind: ClassVar[str]
    rows: StoredRows | None
    """Embeddings at hand for comparing candidates; None where the database has to be asked."""

    @property
    def dimension(self) -> int:
        """Length of the vectors."""

    @property
    def trained_on(self) -> int:
        """How many vectors there were when it was made; it is made anew at a multiple."""

    def ids(self) -> Ids:
        """All ids, in no order."""

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Add ``vectors`` (float32, (n, dim), none zero); an id that is there is replaced."""

    def remove(self, ids: Ids) -> None:
        """Drop these ids; unknown ones are passed over."""

    def details(self) -> Mapping[str, Any]:
        """What is told about it, and what ``load`` needs beside the file; fit for JSON."""

    def save(self, path: Path) -> None:
        """Write the index to a file."""


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


def unit_query(query: Vectors, dimension: int) -> Vectors:
    """The query at length 1: float32, (dim,).

    Raises:
        InvalidInputError: it has another length, is zero or not finite.
    """
    if query.shape != (dimension,):
        raise InvalidInputError(
            f"a query of shape {query.shape} to an index of {dimension} dimensions"
        )
    return normalise(query)


def rounded(products: NDArray[np.float64]) -> Cosines:
    """Cosines without the digits that rounding made up: float64, same shape, -1 to 1."""
    return np.asarray(np.round(np.clip(products, -1.0, 1.0), DIGITS))

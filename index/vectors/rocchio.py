"""Rocchio's query vector: the direction of positive examples, away from negative ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emotion_search.index.errors import UnusableError
from emotion_search.index.vectors.arrays import Vectors, normalise

GAMMA = 0.25
"""Weight of the negative examples."""

_LEAST = 1e-3  # of a length of one: what is left where examples cancel each other out


def rocchio(positive: Sequence[Vectors], negative: Sequence[Vectors]) -> Vectors:
    """Mean direction of ``positive`` less 0.25 of that of ``negative``: float32 (dim,), L2-normal
    (Rocchio, *Relevance feedback in information retrieval*, 1971).

    Each is float32 (dim,) and L2-normalised; one positive alone comes back as it is.

    Raises:
        InvalidInputError: they cancel each other out.
    """
    ahead = direction(np.stack(positive))
    if not negative:
        return ahead
    return normalise(ahead - np.float32(GAMMA) * direction(np.stack(negative)))


def direction(vectors: Vectors, weights: NDArray[np.float64] | None = None) -> Vectors:
    """The mean direction of L2-normalised vectors (float32, (n, dim)), float32 (dim,).

    Raises:
        InvalidInputError: they cancel each other out.
    """
    if len(vectors) == 1:
        return np.asarray(vectors[0])
    mean = np.average(vectors.astype(np.float64), axis=0, weights=weights)
    if np.linalg.norm(mean) < _LEAST:
        raise UnusableError("the examples point in opposite directions and cancel out")
    return normalise(np.asarray(mean, np.float32))

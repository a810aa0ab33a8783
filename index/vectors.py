"""What every index of vectors can do."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from index.errors import InvalidInputError

Ids = NDArray[np.int64]
Vectors = NDArray[np.float32]


class VectorIndex(Protocol):
    """Vectors under int64 clip ids, searched by cosine similarity."""

    @property
    def dimension(self) -> int:
        """Length of the vectors."""

    @property
    def count(self) -> int:
        """How many vectors are in it."""

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Add ``vectors`` (float32, (n, dim), none zero); an id that is there is replaced."""

    def remove(self, ids: Ids) -> None:
        """Drop these ids; unknown ones are passed over."""

    def search(
        self, query: Vectors, k: int, *, allowed: Ids | None = None
    ) -> tuple[Ids, NDArray[np.float64]]:
        """Ids and cosines of the k vectors most like ``query`` (float32, (dim,)), best first.

        Cosines are rounded to six decimals; ties go by ascending id. With ``allowed`` only these
        ids count. Fewer than k come back only where fewer are there.
        """

    def save(self, path: Path) -> None:
        """Write the index to a file."""


def normalise(vectors: Vectors) -> Vectors:
    """The vectors at length 1: float32, same shape, last axis.

    Raises:
        InvalidInputError: a vector is zero or not finite, so it has no direction.
    """
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=-1, keepdims=True)
    if not np.all(np.isfinite(lengths)) or np.any(lengths == 0):
        raise InvalidInputError("an embedding is zero or not finite and cannot be compared")
    return np.asarray(vectors / lengths, dtype=np.float32)

"""Vector index: what every kind can do and says about itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from emotion_search.index.errors import InvalidInputError
from emotion_search.index.vectors.arrays import TIE, Cosines, Ids, Vectors
from emotion_search.index.vectors.mapped_rows import StoredRows

F = TypeVar("F")


@dataclass(frozen=True, eq=False)
class Candidates:
    """Clips that may be the most alike.

    Attributes:
        ids: int64, (n,), the most alike by estimate first.
        estimates: float64, (n,), of their cosines, descending.
        rank: the truly best so many are among them, but for one in a thousand.
        complete: there are no others in the index (or among those allowed).
        exhausted: there may be others, which it cannot name.
    """

    ids: Ids
    estimates: Cosines
    rank: int
    complete: bool
    exhausted: bool = False


class Estimator(Protocol):
    """Something that names the clips most like a query, best first by estimate."""

    @property
    def count(self) -> int:
        """How many vectors it knows."""

    def candidates(self, query: Vectors, rank: int, *, allowed: Ids | None = None) -> Candidates:
        """Clips among which the ``rank`` most like ``query`` (float32, (dim,), L2-normalised) are.

        Where equal vectors stand in the way they may be fewer: the answer says how many.

        Args:
            allowed: only these ids count (ascending).
        """


class VectorIndex(Estimator, ABC):
    """L2-normalised vectors under int64 clip ids.

    Searches may run side by side; adding and removing need the index alone.
    """

    kind: ClassVar[str]
    """Its name in settings and in the stamps of saved indexes."""

    fewest: ClassVar[int] = 0
    most: ClassVar[int]
    """How many clips it can be made of at least, and up to how many it is fast."""

    estimates: ClassVar[bool] = True
    """Whether its cosines are estimates: embeddings are then kept beside it to compare candidates
    with; and if it is trained, it is measured on true neighbours when it is made."""

    rows: StoredRows | None = None
    """The embeddings beside it; None where it holds them itself or the database has them."""

    recall: float | None = None
    """Share of the true ten nearest that was found when it was made; None if it is exact."""

    @classmethod
    def training_size(cls, count: int) -> int:
        """How many vectors an index of ``count`` is trained on; 0 if it is not."""
        return 0

    @classmethod
    @abstractmethod
    def trained(cls, sample: Vectors, count: int) -> Self:
        """An empty index for ``count`` vectors, trained on these, float32 (n, dim), unit length."""

    @classmethod
    @abstractmethod
    def load(cls, path: Path, details: Mapping[str, Any]) -> Self:
        """The index that ``save`` wrote, with its ``details()``.

        Raises:
            InvalidInputError: the file is not such an index.
        """

    @property
    @abstractmethod
    def dimension(self) -> int:
        """Length of the vectors."""

    @property
    def spread(self) -> float:
        """Standard deviation of ``estimate`` from the true cosine; that of rounding in float32."""
        return TIE / 4

    @property
    def trained_on(self) -> int:
        """How many vectors there were when it was made; it is made anew at a multiple."""
        return self.count

    @abstractmethod
    def ids(self) -> Ids:
        """All ids, in no order."""

    def get(self, ids: Ids) -> tuple[NDArray[np.bool_], Vectors]:
        """Which of the ids have a vector here or beside, and these vectors: float32 (n, dim)."""
        if self.rows is None:
            return np.zeros(len(ids), np.bool_), np.empty((0, self.dimension), np.float32)
        return self.rows.get(ids)

    def estimate(self, vector: Vectors, clip: int) -> float | None:
        """Its estimate of the cosine of a vector (float32, (dim,), L2-normalised) to that of a clip
        whose vector it should be; None where the clip is not, or not where it would lie."""
        known, own = self.get(np.array([clip]))
        return float(own[0] @ vector) if known[0] else None

    @abstractmethod
    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Add ``vectors``, float32 (n, dim); an id that is there is replaced.

        Raises:
            InvalidInputError: wrong length, zero or not finite; nothing was added.
        """

    @abstractmethod
    def remove(self, ids: Ids) -> None:
        """Drop these ids; unknown ones are passed over."""

    def measure(self, queries: Vectors, nearest: Ids, cosines: Vectors, least: float) -> None:
        """Learn from true neighbours how well it estimates, and how far a search has to look.

        Args:
            queries: float32, (n, dim), L2-normalised.
            nearest: int64, (n, most), the ids of each one's true neighbours, best first.
            cosines: float32, (n, most), theirs.
            least: share of the true neighbours that a search is to come upon.
        """

    def details(self) -> Mapping[str, Any]:
        """What a status shows of it, and what ``load`` needs beside the file; fit for JSON."""
        return {}

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write the index to a file."""


class FaissIndex(VectorIndex):
    """A ``VectorIndex`` by an index of FAISS's."""

    _faiss: Any

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        return int(self._faiss.d)

    @property
    def count(self) -> int:
        """How many vectors are in it."""
        return int(self._faiss.ntotal)

    def save(self, path: Path) -> None:
        """Write the index to a file."""
        import faiss

        faiss.write_index(self._faiss, str(path))


def read_faiss(path: Path, kind: type[F]) -> F:
    """An index of a kind of FAISS's from a file.

    Raises:
        InvalidInputError: it is not there.
    """
    import faiss

    try:
        read = faiss.read_index(str(path))
    except RuntimeError as error:
        raise InvalidInputError(f"{path} is not a readable FAISS index") from error
    if not isinstance(read, kind):
        raise InvalidInputError(f"{path} is a FAISS index of another kind")
    return read

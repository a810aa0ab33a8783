"""What every index of vectors can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from emotion_search.index.vectors.arrays import Cosines, Ids, Vectors
from emotion_search.index.vectors.mapped_rows import StoredRows


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

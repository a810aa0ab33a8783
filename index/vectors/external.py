"""External engine as an index: it names candidates, everything else is known here.

What the engine answers is never believed: its candidates are looked up and compared again like any
others, so that one that lies costs recall. Vectors that it does not have yet are compared here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from emotion_search.index.errors import EngineError, InvalidInputError
from emotion_search.index.vectors.arrays import Cosines, Ids, Vectors, find
from emotion_search.index.vectors.base import Candidates, VectorIndex
from emotion_search.index.vectors.flat import FlatIndex

log = logging.getLogger(__name__)

MOST = 16_384
"""Most ids of one answer of an engine; Milvus gives no more."""

MOST_RECENT = 50_000
"""Most vectors that the engine has not yet and that are compared here; of more it is not asked."""

_SPARE = 64  # candidates beyond twice the rank
_AGAIN_S = 10.0  # before an engine that failed is asked again

Ask = Callable[[Vectors, int], tuple[Ids, Cosines]]
"""Ids most like a vector, and what the engine takes for their cosines: at most so many."""


@dataclass(frozen=True)
class Marks:
    """How far a collection is.

    Attributes:
        revision: embeddings up to it were sent.
        erased: clips that were removed up to it are proven to be gone.
    """

    revision: int = 0
    erased: int = 0


class EngineIndex(VectorIndex):
    """A ``VectorIndex`` whose candidates an engine names; it knows which clips there are.

    Attributes:
        mark: embeddings up to this revision are the engine's; later ones are compared here. None
            while it cannot be asked.
        problem: why it cannot be asked.
    """

    kind: ClassVar[str] = "engine"
    most: ClassVar[int] = 0  # never chosen by size

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._ids = np.empty(0, np.int64)
        self._new: list[Ids] = []  # not yet among them
        self._recent = FlatIndex(dimension)
        self._ask: Ask | None = None
        self._failed_at = -_AGAIN_S
        self.mark: int | None = None
        self.problem = "no engine is set"

    @classmethod
    def trained(cls, sample: Vectors, count: int) -> EngineIndex:
        """An empty index for vectors as long as those of the sample: float32, (n, dim)."""
        return cls(sample.shape[1])

    @classmethod
    def load(cls, path: Path, details: Mapping[str, Any]) -> EngineIndex:
        """The ids that ``save`` wrote; see ``VectorIndex.load``."""
        try:
            with path.open("rb") as file:
                ids = np.load(file, allow_pickle=False)
        except ValueError as error:
            raise InvalidInputError(f"{path} holds no ids") from error
        index = cls(int(details["dimension"]))
        index._ids = ids
        return index

    def follow(self, ask: Ask, mark: int, recent: Iterable[tuple[Ids, Vectors]]) -> None:
        """Ask an engine from now on, which has what came up to a revision; ``recent`` is the
        rest: ids, and vectors float32 (n, dim)."""
        self._recent = FlatIndex(self._dimension)
        for ids, vectors in recent:
            self._recent.add(ids, vectors)
        self._ask, self.mark, self._failed_at = ask, mark, -_AGAIN_S

    def pause(self, problem: str) -> None:
        """Do not ask an engine; why not."""
        self._ask, self.mark, self.problem = None, None, problem
        self._recent = FlatIndex(self._dimension)

    @property
    def trouble(self) -> str | None:
        """Why the engine is not asked now; None if it is."""
        return self.problem if self._ask is None or self._rests() else None

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        return self._dimension

    @property
    def count(self) -> int:
        """How many clips there are."""
        return len(self.ids())

    def ids(self) -> Ids:
        """All ids, ascending."""
        if self._new:
            added = np.unique(np.concatenate(self._new))
            later = not len(self._ids) or added[0] > self._ids[-1]
            together = np.concatenate([self._ids, added])
            self._ids, self._new = together if later else np.unique(together), []
        return self._ids

    def estimate(self, vector: Vectors, clip: int) -> float | None:
        """See ``VectorIndex.estimate``; 1 where the clip is known and its vector is not here."""
        found = super().estimate(vector, clip)
        known = found is None and find(self.ids(), np.array([clip]))[0][0]
        return 1.0 if known else found

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Note these clips; their vectors, float32 (n, dim), are compared here from now on."""
        if self.rows is not None:
            self.rows.erase(ids)  # of another vector
        if self.mark is not None:
            self._recent.add(ids, vectors)
        self._new.append(ids)
        if self._recent.count > MOST_RECENT:
            self.pause("the engine lags too far behind the database")

    def remove(self, ids: Ids) -> None:
        """Drop these ids; unknown ones are passed over."""
        if len(ids):
            there = self.ids()
            self._ids = np.delete(there, find(there, ids)[1])
            self._recent.remove(ids)
            if self.rows is not None:
                self.rows.erase(ids)

    def candidates(self, query: Vectors, rank: int, *, allowed: Ids | None = None) -> Candidates:
        """What the engine names, once each, and what it does not have yet; see ``Estimator``. The
        engine knows of no filters: where ids are ``allowed`` it is asked for as many as it gives.

        Raises:
            EngineError: it cannot be asked, or failed within the last seconds.
        """
        depth = MOST if allowed is not None else min(2 * rank + _SPARE, MOST)
        named, cosines = self._named(query, depth)
        later = self._recent.ids()
        later = later if allowed is None else later[find(allowed, later)[0]]
        recent = self._recent.candidates(query, rank, allowed=later)
        first = np.sort(np.unique(named, return_index=True)[1])
        exhausted = depth == MOST or len(first) < depth
        kept = first[~np.isin(named[first], recent.ids)]
        if allowed is not None:
            kept = kept[find(allowed, named[kept])[0]]
        ids = np.concatenate([recent.ids, named[kept]])
        estimates = np.concatenate([recent.estimates, np.nan_to_num(cosines[kept], nan=-1.0)])
        order = np.argsort(-estimates, kind="stable")
        there = self.ids() if allowed is None else allowed
        complete = len(ids) >= len(there) and bool(np.isin(there, ids).all())
        return Candidates(ids[order], estimates[order], rank, complete, exhausted)

    def _named(self, query: Vectors, depth: int) -> tuple[Ids, Cosines]:
        if self._ask is None or self._rests():
            raise EngineError(self.problem)
        try:
            return self._ask(query, depth)
        except EngineError as error:
            self.problem, self._failed_at = str(error), time.monotonic()
            log.warning("%s; while it fails, clips are compared here, or searches refused", error)
            raise

    def _rests(self) -> bool:
        return time.monotonic() < self._failed_at + _AGAIN_S

    def details(self) -> Mapping[str, Any]:
        """What ``load`` needs beside the file."""
        return {"dimension": self._dimension}

    def save(self, path: Path) -> None:
        """Write the ids to a file."""
        with path.open("wb") as file:
            np.save(file, self.ids())

"""What a search may find: the clips that pass a filter, compared by their vectors in the space."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from emotion_search.index.database.embeddings import embeddings_in_order
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.lifecycle.catch_up import LoadedIndex
from emotion_search.index.vectors.arrays import TIE, Cosines, Ids, Vectors, cosines
from emotion_search.index.vectors.base import Candidates

_PART = 4096  # vectors read and compared at a time
_SPARE = 16  # candidates beyond those asked for, so that most ties are seen at once


class ClipGallery:
    """A ``topk.Gallery`` of an archive's clips, as a session and an index that stands at the same
    revision see them.

    Args:
        query: float32, (dim,), L2-normalised.
        without: ids of a few clips that are left out.
    """

    def __init__(
        self,
        session: Session,
        loaded: LoadedIndex,
        query: Vectors,
        wanted: ClipFilter,
        without: Collection[int] = (),
    ) -> None:
        self._session, self._loaded, self._query = session, loaded, query
        self._columns = loaded.columns
        self._passes = self._columns.passing(session, wanted)
        left_out = np.array(sorted(without), np.int64)
        self._passes[self._columns.rows_of(left_out)[1]] = False
        self.count = int(np.count_nonzero(self._passes))

    @property
    def is_mapped(self) -> bool:
        """Whether the index has all of their vectors beside it."""
        return self._loaded.index.rows is not None

    def ids(self) -> Ids:
        """All of them: int64, ascending."""
        return self._columns.ids[np.flatnonzero(self._passes)]

    def among(self, ids: Ids) -> tuple[NDArray[np.intp], Ids]:
        """Places of those of some ids that may be hits, and the recording of each."""
        known, rows = self._columns.rows_of(ids)
        passes = self._passes[rows]
        return np.flatnonzero(known)[passes], self._columns["recording"][rows[passes]]

    def products(self, ids: Ids) -> Cosines:
        """Their cosines to the query, in single precision where their vectors are mapped."""
        mapped = self._loaded.index.rows
        if mapped is None:
            return self.compare(ids)
        known, found = mapped.products(self._query, ids)
        every = np.empty(len(ids))
        every[known] = found
        every[~known] = self.compare(ids[~known])
        return every

    def compare(self, ids: Ids) -> Cosines:
        """Their cosines to the query, rounded."""
        parts = [ids[begin : begin + _PART] for begin in range(0, len(ids), _PART)]
        found = [cosines(self._query, self.vectors(some)) for some in parts]
        return np.concatenate(found) if found else np.empty(0)

    def vectors(self, ids: Ids) -> Vectors:
        """Vectors in the space: float32, (n, dim)."""
        return vectors_in_order(self._session, self._loaded, ids)

    def reachable(self, per_recording: int) -> int:
        """How many hits there can be if of each recording only so many count."""
        _, clips = np.unique(self._columns["recording"][self._passes], return_counts=True)
        return int(np.minimum(clips, per_recording).sum())

    def every(self, ids: Ids | None = None) -> EveryVector:
        """The index of an exact search: the products of these clips (ascending), or of all that
        there are, by their vectors."""
        if ids is None:
            ids = self._columns.ids[self._columns["there"]]
        return EveryVector(ids, self.products(ids).astype(np.float32))


class EveryVector:
    """A ``base.Estimator`` that has every product: float32, (n,), of the clips ``ids``."""

    def __init__(self, ids: Ids, products: NDArray[np.float32]) -> None:
        self._ids, self._products = ids, products

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._ids)

    def candidates(self, query: Vectors, rank: int, *, allowed: Ids | None = None) -> Candidates:
        """See ``Estimator.candidates``; the query is the one that the products are of."""
        ids, products = self._ids, self._products
        if allowed is not None:
            kept = np.isin(ids, allowed)
            ids, products = ids[kept], products[kept]
        wanted = min(rank + _SPARE, len(ids))
        if wanted == 0:
            return Candidates(ids[:0], np.empty(0), rank, complete=True)
        best = np.argpartition(-products, wanted - 1)[:wanted]
        best = best[np.argsort(-products[best])]
        estimates = products[best].astype(np.float64)
        better = int(np.count_nonzero(estimates > estimates[-1] + TIE))
        return Candidates(ids[best], estimates, better, wanted == len(ids))


def vectors_in_order(session: Session, loaded: LoadedIndex, ids: Ids) -> Vectors:
    """Vectors in the space of clips that are there, from the index where it has them, else from the
    database: float32, (n, dim), in the order of ``ids``."""
    known, vectors = loaded.index.get(ids)
    if known.all():
        return vectors
    rest = ids[~known]
    stored = embeddings_in_order(session, loaded.space.model, rest)
    every = np.empty((len(ids), loaded.index.dimension), np.float32)
    every[known], every[~known] = vectors, loaded.space.turn(session, rest, stored)
    return every

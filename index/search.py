"""Search: from a query vector to the k most similar clips among those that pass a filter."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy.orm import Session

from emotion_search.index.database.clips import ClipDetails, clip_details
from emotion_search.index.database.connection import Database
from emotion_search.index.database.embeddings import embeddings_by_id, stream
from emotion_search.index.database.filters import ClipFilter, matching_ids, passing, reachable
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.spaces import active_space, calibrated_clips, get_calibration
from emotion_search.index.lifecycle.keeper import IndexKeeper
from emotion_search.index.lifecycle.verify import Verdict, verify
from emotion_search.index.vectors.arrays import Cosines, Ids, Vectors, positions, unit_query
from emotion_search.index.vectors.base import Candidates, Estimator, VectorIndex
from emotion_search.index.vectors.mapped_rows import StoredRows
from emotion_search.index.vectors.percentiles import Calibration
from emotion_search.index.vectors.pool import Pool, Wish
from emotion_search.index.vectors.space import Space
from emotion_search.index.vectors.topk import nearest

_GLANCE = 512
"""Candidates that a search looks at in vain before it asks the database how many clips pass."""

_PATIENCE = 4096
"""Candidates that it looks at in vain, where many pass, before it searches among just these."""

_FEW = 3000
"""Clips that are compared one by one rather than searched among: see ``benchmarks/search.py``."""

_PART = 4096  # vectors read and compared at a time


@dataclass(frozen=True)
class Hit:
    """A clip found.

    Attributes:
        similarity: its cosine to the query in the archive's space, -1 to 1.
        percentile: the percentage of random pairs of the archive's clips that are less alike, 0
            to 100; None while the archive is too small to tell.
        space: version of the space.
    """

    clip: ClipDetails
    similarity: float
    percentile: float | None
    space: int


@dataclass(frozen=True)
class Target:
    """What is searched for, and among what.

    Attributes:
        vector: float32, (dim,), as embeddings are stored.
        wanted: which clips may be hits.
        without: ids of a few clips that are never hits, such as the query's own.
        exact: compare with every clip, whatever the index.
    """

    vector: Vectors
    wish: Wish
    wanted: ClipFilter = field(default_factory=ClipFilter)
    without: Collection[int] = ()
    exact: bool = False


class Searcher:
    """Search over the embeddings of one model, always as fresh as the database.

    Safe for use from several threads.
    """

    def __init__(self, database: Database, model: ModelInfo, keeper: IndexKeeper) -> None:
        self._database = database
        self._model = model
        self.keeper = keeper
        self._calibration: tuple[int, Calibration] | None = None

    def search(self, target: Target) -> list[Hit]:
        """The clips most like the target's vector, best first, ties by clip id: as many as are
        wished for, or all that pass where fewer do.

        Raises:
            InvalidInputError: the query has another dimension, is zero or not finite.
        """
        with self._database.read() as session:
            if target.exact:
                version, space = active_space(session, self._model)
                finder = _Finder(session, self._model, space, target)
                ids, similar = finder.by_every_vector()
            else:
                with self.keeper.at(session) as current:
                    version = current.version
                    finder = _Finder(session, self._model, current.space, target)
                    ids, similar = finder.by_index(current.index)
            details = clip_details(session, self._model, ids.tolist())
            calibration = self._calibrated(session, version)
        percentiles: list[float] | list[None] = [None] * len(details)
        if calibration is not None:
            percentiles = np.round(calibration.percentile(similar), 3).tolist()
        return [
            Hit(clip, float(cosine), percentile, version)
            for clip, cosine, percentile in zip(details, similar, percentiles, strict=True)
        ]

    def refresh(self) -> int:
        """Bring the index up to date; returns the number of clips in it."""
        with self._database.read() as session, self.keeper.at(session) as current:
            return current.index.count

    def verify(self) -> Verdict:
        """The index compared with the database, clip by clip, and its recall on a sample."""
        with self._database.read() as session, self.keeper.at(session) as current:
            return verify(session, self._model, current)

    def _calibrated(self, session: Session, version: int) -> Calibration | None:
        """The calibration of the space, read again when it was made anew."""
        clips = calibrated_clips(session, self._model, version)
        if clips is None:
            return None
        known = self._calibration
        if known is None or known[0] != version or known[1].clips != clips:
            made = get_calibration(session, self._model, version)
            if made is None:
                return None
            self._calibration = known = (version, made)
        return known[1]


class _Finder:
    """One search in one snapshot of the database."""

    def __init__(self, session: Session, model: ModelInfo, space: Space, target: Target) -> None:
        self._session = session
        self._model = model
        self._space = space
        self._target = target
        self._query = space.apply(unit_query(target.vector, model.dimension))
        self._without = np.array(sorted(target.without), np.int64)
        self._rows: StoredRows | None = None

    def by_index(self, index: VectorIndex) -> tuple[Ids, Cosines]:
        """The best clips by an index that is at least as fresh as the snapshot.

        A filter that many clips pass is tried on the candidates; one that few pass is asked of the
        database first.
        """
        wanted = self._target.wanted
        self._rows = index.rows
        if wanted.is_empty:
            return self._nearest(index)
        found = self._nearest_within(index, patience=_GLANCE)
        if found is not None:
            return found
        allowed = matching_ids(self._session, wanted, most=_FEW + 1)
        if len(allowed) > _FEW:
            found = self._nearest_within(index, patience=_PATIENCE)
            return found or self._nearest(index, matching_ids(self._session, wanted))
        pool = Pool(self._target.wish, self._there, self._compare, self._vectors, look_first=True)
        pool.take(allowed, np.zeros(len(allowed)))
        return pool.best()

    def by_every_vector(self) -> tuple[Ids, Cosines]:
        """The best clips by comparing the query with the vector of each."""
        wanted = self._target.wanted
        parts: list[tuple[Ids, Cosines]] = []
        if wanted.is_empty:
            for ids, stored in stream(self._session, self._model):
                parts.append((ids, self._space.cosines(self._query, stored)))
        else:
            allowed = matching_ids(self._session, wanted)
            for begin in range(0, len(allowed), _PART):
                ids, stored = embeddings_by_id(
                    self._session, self._model, allowed[begin : begin + _PART]
                )
                parts.append((ids, self._space.cosines(self._query, stored)))
        return self._nearest(_Compared(parts))

    def _nearest(self, index: Estimator, allowed: Ids | None = None) -> tuple[Ids, Cosines]:
        found = self._nearest_within(index, allowed=allowed)
        assert found is not None  # without a limit to its patience
        return found

    def _nearest_within(
        self, index: Estimator, *, allowed: Ids | None = None, patience: int | None = None
    ) -> tuple[Ids, Cosines] | None:
        return nearest(
            index,
            self._query,
            self._target.wish,
            self._look,
            index.compare if isinstance(index, _Compared) else self._compare,
            self._vectors,
            look_first=patience is not None,
            allowed=allowed,
            patience=patience,
            reach=None if self._target.wish.per_recording is None else self._reach,
        )

    def _reach(self) -> int:
        """How many hits there can be, one recording having no more than is wished for."""
        wish = self._target.wish
        return reachable(
            self._session,
            self._target.wanted,
            self._target.without,
            per_recording=wish.per_recording or wish.limit,
            most=wish.limit,
        )

    def _look(self, ids: Ids) -> tuple[Ids, Ids]:
        """Those that pass the filter, and their recordings."""
        return passing(self._session, self._target.wanted, self._others(ids))

    def _there(self, ids: Ids) -> tuple[Ids, Ids]:
        """Those that are there, of which it is known that they pass."""
        return passing(self._session, ClipFilter(), self._others(ids))

    def _others(self, ids: Ids) -> Ids:
        return ids[~np.isin(ids, self._without)] if len(self._without) else ids

    def _compare(self, ids: Ids) -> tuple[Ids, Cosines]:
        """Of clips that have an embedding."""
        known, similar = [ids[:0]], [np.empty(0)]
        for begin in range(0, len(ids), _PART):
            some, stored = self._embeddings(ids[begin : begin + _PART])
            known.append(some)
            similar.append(self._space.cosines(self._query, stored))
        return np.concatenate(known), np.concatenate(similar)

    def _embeddings(self, ids: Ids) -> tuple[Ids, Vectors]:
        """As stored, from beside the index where they are there, else from the database."""
        if self._rows is None:
            return embeddings_by_id(self._session, self._model, ids)
        known, vectors = self._rows.get(ids)
        if known.all():
            return ids, vectors
        others, more = embeddings_by_id(self._session, self._model, ids[~known])
        return np.concatenate([ids[known], others]), np.concatenate([vectors, more])

    def _vectors(self, ids: Ids) -> Vectors:
        """In the space, of clips that are there, in the order of ``ids``."""
        known, stored = self._embeddings(ids)
        return self._space.apply(stored[positions(known, ids)])


class _Compared:
    """What an exact search works on: every clip's cosine, as if it were an index."""

    spread = 0.0

    def __init__(self, parts: list[tuple[Ids, Cosines]]) -> None:
        ids = np.concatenate([ids for ids, _ in parts]) if parts else np.empty(0, np.int64)
        similar = np.concatenate([similar for _, similar in parts]) if parts else np.empty(0)
        order = np.lexsort((ids, -similar))
        self._ids, self._cosines = ids[order], similar[order]
        self._by_id = np.argsort(self._ids)
        self.count = len(ids)

    def depth(self, limit: int) -> int:
        """One more than is wanted, to see whether it is as good."""
        return limit + 1

    def candidates(
        self, query: Vectors, depth: int, *, rank: int, allowed: Ids | None = None
    ) -> Candidates:
        """The first of them."""
        return Candidates(self._ids[:depth], self._cosines[:depth], depth >= self.count)

    def compare(self, ids: Ids) -> tuple[Ids, Cosines]:
        """The cosines of these clips."""
        place = self._by_id[np.searchsorted(self._ids[self._by_id], ids)]
        return ids, self._cosines[place]

"""Search: from a query vector to the k most similar clips among those that pass a filter."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from emotion_search.index.database.clips import ClipDetails, clip_details
from emotion_search.index.database.connection import Database
from emotion_search.index.database.embeddings import embeddings_by_id, stream
from emotion_search.index.database.filters import ClipFilter, matching_ids, passing, reachable
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.spaces import (
    ArchiveSpace,
    active_space,
    calibrated_clips,
    get_calibration,
)
from emotion_search.index.lifecycle.catch_up import turned_by_id
from emotion_search.index.lifecycle.keeper import IndexKeeper
from emotion_search.index.lifecycle.verify import Verdict, verify
from emotion_search.index.vectors.arrays import (
    Cosines,
    Ids,
    Vectors,
    cosines,
    positions,
    unit_query,
)
from emotion_search.index.vectors.base import Candidates, Estimator, VectorIndex
from emotion_search.index.vectors.baselines import Place
from emotion_search.index.vectors.percentiles import Calibration
from emotion_search.index.vectors.pool import Pool, Wish
from emotion_search.index.vectors.rocchio import direction, rocchio
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
        same_speaker, same_source: whether it is of a positive example's; None where that is not
            known.
    """

    clip: ClipDetails
    similarity: float
    percentile: float | None
    space: int
    same_speaker: bool | None = None
    same_source: bool | None = None


@dataclass(frozen=True, eq=False)
class Example:
    """What hits are to be like: clips of the archive, or embeddings of something else.

    Attributes:
        vectors: float32, (n, dim), as embeddings are stored, of one recording.
        clips: int64, (n,), the clips that they are of; None if they are of none.
        weights: float64, (n,), of each; None for equal ones.
        place: where what is no clip comes from, as far as that is known.
    """

    vectors: Vectors
    clips: Ids | None = None
    weights: NDArray[np.float64] | None = None
    place: Place = field(default_factory=Place)

    def direction(self, session: Session, space: ArchiveSpace) -> Vectors:
        """Its mean direction in a space, float32 (dim,), L2-normalised."""
        rows = np.stack([unit_query(one, space.model.dimension) for one in self.vectors])
        if self.clips is not None:
            turned = space.turn(session, self.clips, rows)
        else:
            turned = space.map.apply(rows, space.centre_at(session, self.place, rows))
        return direction(turned, self.weights)


@dataclass(frozen=True, eq=False)
class Target:
    """What is searched for, and among what.

    Attributes:
        positive, negative: what hits should be like, and what they should not.
        wanted: which clips may be hits.
        without: ids of a few clips that are never hits, such as the query's own.
        exact: compare with every clip, whatever the index.
    """

    positive: Sequence[Example]
    wish: Wish
    negative: Sequence[Example] = ()
    wanted: ClipFilter = field(default_factory=ClipFilter)
    without: Collection[int] = ()
    exact: bool = False

    @property
    def examples(self) -> tuple[Sequence[Example], Sequence[Example]]:
        """The positive ones and the negative ones."""
        return self.positive, self.negative


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
            InvalidInputError: an example has another dimension, is zero or not finite, or the
                examples cancel each other out.
        """
        with self._database.read() as session:
            if target.exact:
                space = active_space(session, self._model)
                ids, similar = _Finder(session, space, target).by_every_vector()
            else:
                with self.keeper.at(session) as current:
                    space = current.space
                    ids, similar = _Finder(session, space, target).by_index(current.index)
            details = clip_details(session, self._model, ids.tolist())
            calibration = self._calibrated(session, space.version)
        percentiles: list[float] | list[None] = [None] * len(details)
        if calibration is not None:
            percentiles = np.round(calibration.percentile(similar), 3).tolist()
        return [
            Hit(clip, float(cosine), percentile, space.version)
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

    def __init__(self, session: Session, space: ArchiveSpace, target: Target) -> None:
        self._session = session
        self._model = space.model
        self._space = space
        self._target = target
        self._query = rocchio(
            *([one.direction(session, space) for one in some] for some in target.examples)
        )
        self._without = np.array(sorted(target.without), np.int64)
        self._index: VectorIndex | None = None

    def by_index(self, index: VectorIndex) -> tuple[Ids, Cosines]:
        """The best clips by an index that is at least as fresh as the snapshot.

        A filter that many clips pass is tried on the candidates; one that few pass is asked of the
        database first.
        """
        wanted = self._target.wanted
        self._index = index
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
                turned = self._space.turn(self._session, ids, stored)
                parts.append((ids, cosines(self._query, turned)))
        else:
            allowed = matching_ids(self._session, wanted)
            for begin in range(0, len(allowed), _PART):
                ids, turned = self._turned(allowed[begin : begin + _PART])
                parts.append((ids, cosines(self._query, turned)))
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
            some, turned = self._turned(ids[begin : begin + _PART])
            known.append(some)
            similar.append(cosines(self._query, turned))
        return np.concatenate(known), np.concatenate(similar)

    def _turned(self, ids: Ids) -> tuple[Ids, Vectors]:
        """Vectors in the space, from the index where they are there, else from the database."""
        if self._index is not None:
            return turned_by_id(self._session, self._space, self._index, ids)
        ids, stored = embeddings_by_id(self._session, self._model, ids)
        return ids, self._space.turn(self._session, ids, stored)

    def _vectors(self, ids: Ids) -> Vectors:
        """In the space, of clips that are there, in the order of ``ids``."""
        known, turned = self._turned(ids)
        return turned[positions(known, ids)]


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

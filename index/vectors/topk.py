"""Exact top k from an index that only estimates.

An index names candidates, among which the truly best are up to some rank. Those that may be hits
are compared by their true vectors. The search is over once the last of the best is of no higher
rank, and better than the last candidate's estimate by several times what estimates are off for this
query; else it goes deeper. Where few clips may be hits, just these are compared; so are all where a
query is like none of them, as noise is.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emotion_search.index.errors import EngineError
from emotion_search.index.vectors.arrays import TIE, Cosines, Ids, Vectors, rounded
from emotion_search.index.vectors.base import Candidates, Estimator

FEW = 6000
"""Clips that are all compared rather than searched among, or ``_FEW_OF`` of the archive's."""

COMPARABLE = 100_000
"""Clips that are all compared at most: where an engine names too few of more, it is an error."""

_FEW_OF = 1 / 100
_RATHER_FEW_OF = 1 / 15  # compared rather than sought in all the lists
_DEEPER = 4  # times as many, where too few hits were found
_DEEPEST = 1000  # best of all clips; beyond, only those that may be hits are searched among
_SURE, _HOPELESS = 3.25, 1.0  # clearances, see there: no better clip is expected; too many are
_SOME = 4  # times the limit: put in order first
_PART = 256  # vectors compared with those of better clips at a time


@dataclass(frozen=True)
class Wish:
    """How many clips are wanted, and how different from each other.

    Attributes:
        limit: most clips.
        per_recording: most clips of one recording; None for no matter.
        distinct: a clip whose cosine to a better one is this or more, in so many digits as
            similarities have, is left out; None for none.
    """

    limit: int
    per_recording: int | None = None
    distinct: float | None = None


class Gallery(Protocol):
    """The clips that may be hits, each with a vector that is compared with the query."""

    @property
    def count(self) -> int:
        """How many there are."""

    @property
    def is_mapped(self) -> bool:
        """Whether all of their vectors are mapped, so that any number can be compared."""

    def ids(self) -> Ids:
        """All of them: int64, ascending."""

    def among(self, ids: Ids) -> tuple[NDArray[np.intp], Ids]:
        """Places of those of some ids that may be hits, and the recording of each."""

    def products(self, ids: Ids) -> Cosines:
        """Cosines of such clips to the query, in single precision or better."""

    def compare(self, ids: Ids) -> Cosines:
        """The same exactly, rounded as ``arrays.cosines`` does."""

    def vectors(self, ids: Ids) -> Vectors:
        """Vectors of such clips: float32, (n, dim)."""

    def every(self, ids: Ids | None = None) -> Estimator:
        """An index of the products of these clips (ascending; None for all) with the query."""

    def reachable(self, per_recording: int) -> int:
        """How many hits there can be if of each recording only so many count."""


def nearest(index: Estimator, query: Vectors, wish: Wish, gallery: Gallery) -> tuple[Ids, Cosines]:
    """Ids and true cosines of the best clips, best first, ties by id: as many as are wished for,
    or all that may be hits where fewer do.

    Args:
        query: float32, (dim,), L2-normalised.

    Raises:
        EngineError: an engine fails, and too many clips may be hits to compare them all.
    """
    if not gallery.count:
        return np.empty(0, np.int64), np.empty(0)
    if gallery.count > min(max(FEW, index.count * _FEW_OF), COMPARABLE):
        try:
            return _nearest(index, query, wish, gallery)
        except EngineError:
            if gallery.count > COMPARABLE:
                raise
    return _nearest(gallery.every(gallery.ids()), query, wish, gallery)


def _nearest(index: Estimator, query: Vectors, wish: Wish, gallery: Gallery) -> tuple[Ids, Cosines]:
    pool = _Pool(wish, gallery)
    rank = ceil(wish.limit * index.count / gallery.count)
    allowed = None
    while True:
        if rank > _DEEPEST and allowed is None and gallery.count < index.count:
            pool, rank, allowed = _Pool(wish, gallery), wish.limit, gallery.ids()
            if gallery.count <= min(index.count * _RATHER_FEW_OF, COMPARABLE):
                index, allowed = gallery.every(allowed), None
        found = index.candidates(query, rank, allowed=allowed)
        pool.take(found)
        full = pool.is_full()
        enough = full and pool.rank() <= found.rank
        clear = pool.clearance(found) if enough else 0.0
        if found.complete or (full and found.exhausted) or clear >= _SURE:
            return pool.best()
        if enough and gallery.is_mapped and (clear < _HOPELESS or rank > _DEEPEST):
            return _nearest(gallery.every(gallery.ids()), query, wish, gallery)
        if found.exhausted:
            raise EngineError(
                "the engine names too few of the clips that may be hits; search with --exact,"
                " narrow the filter, or see: emotion-search index verify --engine"
            )
        rank = max(2 * rank, pool.rank() if full and not enough else _DEEPER * rank)


class _Pool:
    """The clips that a search has compared with its query, and the best of them.

    They are compared in single precision, which is quick; those among which the best are, exactly.
    """

    def __init__(self, wish: Wish, gallery: Gallery) -> None:
        self._wish, self._gallery = wish, gallery
        self._most = wish.limit
        self._is_capped = wish.per_recording is None
        self._seen = np.empty(0, np.int64)
        self._ids, self._recordings = np.empty(0, np.int64), np.empty(0, np.int64)
        self._estimates = np.empty(0)
        self._cosines, self._exact = np.empty(0), np.empty(0, np.bool_)
        self._unlike = _Unlike(wish.distinct, gallery) if wish.distinct is not None else None
        self._best: NDArray[np.intp]  # rows

    def take(self, found: Candidates) -> None:
        """Compare those of the clips that may be hits and were not taken before."""
        ids, estimates = found.ids, found.estimates
        if len(self._seen):
            new = ~np.isin(ids, self._seen)
            ids, estimates = ids[new], estimates[new]
        self._seen = np.concatenate([self._seen, ids])
        places, recordings = self._gallery.among(ids)
        ids, estimates = ids[places], estimates[places]
        self._estimates = np.concatenate([self._estimates, estimates])
        self._ids = np.concatenate([self._ids, ids])
        self._recordings = np.concatenate([self._recordings, recordings])
        exactly = self._unlike is not None  # which goes by their order
        compare = self._gallery.compare if exactly else self._gallery.products
        self._cosines = np.concatenate([self._cosines, compare(ids)])
        self._exact = np.concatenate([self._exact, np.full(len(ids), exactly)])
        while True:
            self._best = self._chosen()
            least = self._cosines[self._best].min() if self.is_full() else -np.inf
            rough = np.flatnonzero(~self._exact & (self._cosines >= least - TIE))
            if not len(rough):
                return
            self._cosines[rough] = self._gallery.compare(self._ids[rough])
            self._exact[rough] = True

    def best(self) -> tuple[Ids, Cosines]:
        """Ids and cosines of the clips that the wish is for, best first, ties by id."""
        return self._ids[self._best], self._cosines[self._best]

    def is_full(self) -> bool:
        """Whether these are as many as there can be."""
        if len(self._best) < self._most and not self._is_capped:
            self._is_capped = True
            assert self._wish.per_recording is not None
            self._most = min(self._most, self._gallery.reachable(self._wish.per_recording))
        return self._most <= len(self._best)

    def clearance(self, found: Candidates) -> float:
        """How far the last of the best is above what the index left out, in standard deviations of
        its estimates for this very query: they are off by more for one that is unlike all clips."""
        off = float(np.std(self._estimates - self._cosines))
        if off <= TIE:
            return np.inf
        return float(self._cosines[self._best[-1]] - found.estimates[-1]) / off

    def rank(self) -> int:
        """How many clips of the index are at least as good as the last of the best, of which there
        are some, going by how many of those taken may be hits."""
        as_good = int(np.count_nonzero(self._cosines >= self._cosines[self._best[-1]]))
        return ceil(as_good * len(self._seen) / len(self._ids))

    def _chosen(self) -> NDArray[np.intp]:
        """Rows of the best; the very best alone are put in order where that is enough of them."""
        few = _SOME * self._wish.limit
        if len(self._ids) > few:
            least = np.partition(self._cosines, -few)[-few]
            chosen = self._chosen_of(np.flatnonzero(self._cosines >= least))
            if len(chosen) == self._wish.limit:
                return chosen
        return self._chosen_of(np.arange(len(self._ids)))

    def _chosen_of(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        order = rows[np.lexsort((self._ids[rows], -self._cosines[rows]))]
        if self._wish.per_recording is not None:
            order = order[_occurrence(self._recordings[order]) < self._wish.per_recording]
        if self._unlike is not None:
            order = order[self._unlike.first(self._ids[order], self._wish.limit)]
        return order[: self._wish.limit]


class _Unlike:
    """Of clips in their order, greedily, those that are not nearly the same as a better one.

    What was found is kept: where the next clips begin with the same ones, it goes on after these.
    """

    def __init__(self, threshold: float, gallery: Gallery) -> None:
        self._threshold = threshold
        self._gallery = gallery
        self._judged = np.empty(0, np.int64)  # ids, in their order
        self._places: list[int] = []  # of those kept, among the judged
        self._kept: list[Vectors] = []

    def first(self, ids: Ids, most: int) -> NDArray[np.intp]:
        """Places in ``ids`` of the first ``most`` that are kept."""
        shared = min(len(ids), len(self._judged))
        other = np.flatnonzero(ids[:shared] != self._judged[:shared])
        if len(other):
            self._judged = self._judged[: int(other[0])]
            self._places = [place for place in self._places if place < len(self._judged)]
            del self._kept[len(self._places) :]
        while len(self._places) < most and len(self._judged) < len(ids):
            self._judge(ids[len(self._judged) :][:_PART])
        return np.array([place for place in self._places if place < len(ids)][:most], np.intp)

    def _judge(self, ids: Ids) -> None:
        vectors = self._gallery.vectors(ids)
        left = np.ones(len(ids), np.bool_)
        if self._kept:
            left = _cosines(np.stack(self._kept), vectors).max(axis=0) < self._threshold
        near = _cosines(vectors, vectors) >= self._threshold
        for i in range(len(ids)):
            if left[i]:
                self._places.append(len(self._judged) + i)
                self._kept.append(vectors[i])
                left &= ~near[i]
        self._judged = np.concatenate([self._judged, ids])


def _occurrence(values: Ids) -> Ids:
    """How often each value was there before: int64, same shape."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    place = np.arange(len(values))
    begins = np.ones(len(values), np.bool_)
    begins[1:] = ordered[1:] != ordered[:-1]
    counts = np.empty(len(values), np.int64)
    counts[order] = place - np.maximum.accumulate(np.where(begins, place, 0))
    return counts


def _cosines(ones: Vectors, others: Vectors) -> Cosines:
    return rounded(ones.astype(np.float64) @ others.T.astype(np.float64))

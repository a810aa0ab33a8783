"""Candidate pool: the clips that a search has compared with its query, and the best of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_search.index.vectors.arrays import Cosines, Ids, Vectors, positions, rounded

_UNKNOWN = -1  # recording of a clip that was not looked up yet
_SPARE = 6  # clips looked up beyond those that are wanted
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


class Pool:
    """Clips by their true cosines; the best of them are looked up, if all were not before.

    Args:
        look, compare, vectors, look_first: as in ``index.vectors.topk.nearest``.
    """

    def __init__(
        self,
        wish: Wish,
        look: Callable[[Ids], tuple[Ids, Ids]],
        compare: Callable[[Ids], tuple[Ids, Cosines]],
        vectors: Callable[[Ids], Vectors],
        *,
        look_first: bool,
    ) -> None:
        self.wish = wish
        self.most = wish.limit
        self.errors = np.empty(0)
        self._look, self._compare = look, compare
        self._look_first = look_first
        self._seen = np.empty(0, np.int64)
        self._ids, self._recordings = np.empty(0, np.int64), np.empty(0, np.int64)
        self._cosines = np.empty(0)
        self._passed = 0
        self._unlike = _Unlike(wish.distinct, vectors) if wish.distinct is not None else None
        self._best: tuple[Ids, Cosines] | None = None
        self._hoped: tuple[Ids, Cosines] | None = None

    def unseen(self, ids: Ids) -> Ids:
        """Places in ``ids`` of those that were not taken yet, ascending."""
        if not len(self._seen):
            return np.arange(len(ids))
        return np.flatnonzero(~np.isin(ids, self._seen))

    def take(self, ids: Ids, estimates: Cosines) -> None:
        """Compare these clips, none of which was taken before."""
        self._seen = np.concatenate([self._seen, ids])
        self._best = self._hoped = None
        estimated = dict(zip(ids.tolist(), estimates.tolist(), strict=True))
        recordings = np.full(len(ids), _UNKNOWN)
        if self._look_first:
            ids, recordings = self._look(ids)
        known, cosines = self._compare(ids)
        self._passed += len(known)
        recordings = recordings[positions(ids, known) if self._look_first else slice(len(known))]
        self._ids = np.concatenate([self._ids, known])
        self._recordings = np.concatenate([self._recordings, recordings])
        self._cosines = np.concatenate([self._cosines, cosines])
        guesses = np.array([estimated[one] for one in known.tolist()])
        self.errors = np.concatenate([self.errors, guesses - cosines])

    def best(self) -> tuple[Ids, Cosines]:
        """Ids and cosines of the clips that the wish is for, best first, ties by id."""
        if self._best is None:
            self._best = self._chosen(look=True)
        return self._best

    def hoped(self) -> tuple[Ids, Cosines]:
        """What the best would be if all clips not looked up yet might be hits, each of a recording
        of its own; nothing is looked up."""
        if self._hoped is None:
            costly = self._unlike is not None  # it takes reading their vectors
            self._hoped = self.best() if costly else self._chosen(look=False)
        return self._hoped

    def cap(self, most: int) -> None:
        """There are no more hits than this, whatever else is taken."""
        self.most = min(most, self.wish.limit)
        self._best = self._hoped = None

    def rank(self) -> int:
        """How many clips of the index are at least as good as the last of the best, going by how
        many of those taken passed."""
        _, similar = self.best()
        as_good = int(np.count_nonzero(self._cosines >= similar[-1])) if len(similar) else 0
        return round(as_good * len(self._seen) / max(1, self._passed))

    def _chosen(self, *, look: bool) -> tuple[Ids, Cosines]:
        wish = self.wish
        first = self.most + _SPARE
        while True:
            order = np.lexsort((self._ids, -self._cosines))
            top = order[:first]
            unknown = self._recordings[top] == _UNKNOWN
            if look and unknown.any():
                self._look_up(top[unknown])
                continue
            if wish.per_recording is not None:
                top = top[unknown | (_occurrence(self._recordings[top]) < wish.per_recording)]
            if self._unlike is not None:
                top = top[self._unlike.first(self._ids[top], self.most)]
            if len(top) >= self.most or first >= len(order):
                top = top[: self.most]
                return self._ids[top], self._cosines[top]
            first *= 4

    def _look_up(self, rows: Ids) -> None:
        """Look clips up that are among the best; those that may be no hits are dropped."""
        ids, recordings = self._look(self._ids[rows])
        there = np.isin(self._ids[rows], ids)
        kept = rows[there]
        self._recordings[kept] = recordings[positions(ids, self._ids[kept])]
        stay = np.ones(len(self._ids), np.bool_)
        stay[rows[~there]] = False
        if not stay.all():
            self._ids, self._cosines = self._ids[stay], self._cosines[stay]
            self._recordings = self._recordings[stay]


class _Unlike:
    """Of clips in their order, greedily, those that are not nearly the same as a better one.

    What was found is kept: where the next clips begin with the same ones, it goes on after these.
    """

    def __init__(self, threshold: float, vectors: Callable[[Ids], Vectors]) -> None:
        self._threshold = threshold
        self._vectors = vectors
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
        vectors = self._vectors(ids)
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

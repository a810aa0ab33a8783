"""Exact top k from an index that only estimates.

An index names candidates by estimated cosines. Piece by piece they are compared by their true
vectors, and looked up in the database: is the clip there, does it pass the filter, of which
recording is it? The search is over once the best so far are better than anything left could be.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from emotion_search.index.vectors.arrays import TIE, Cosines, Ids, Vectors
from emotion_search.index.vectors.base import Estimator
from emotion_search.index.vectors.pool import Pool, Wish

_SURE = 3.5
"""Standard deviations of an estimate beyond which a clip is taken to be worse: what is lost lies
below one in a thousand, for it takes an error of one sign in a clip that is just good enough."""

_ERRORS = 128  # candidates, the first ones, whose errors show how far estimates are off
_FEW_ERRORS = 32
_AHEAD = 4  # how many more candidates are asked for than are compared first
_LEAP = 16  # most that a search goes deeper at once

Look = Callable[[Ids], tuple[Ids, Ids]]
"""Of some ids those that may be hits, and the recording of each."""

Compare = Callable[[Ids], tuple[Ids, Cosines]]
"""Of some ids those that have a vector, and their cosines to the query, rounded as
``Space.cosines`` does."""


def nearest(
    index: Estimator,
    query: Vectors,
    wish: Wish,
    look: Look,
    compare: Compare,
    vectors: Callable[[Ids], Vectors],
    *,
    look_first: bool = False,
    allowed: Ids | None = None,
    patience: int | None = None,
    reach: Callable[[], int] | None = None,
) -> tuple[Ids, Cosines] | None:
    """Ids and cosines of the clips most like ``query`` (float32, (dim,), L2-normalised), best
    first, ties by id; all that there are where they are fewer than wished for.

    Args:
        look: gives those that may be hits.
        compare: gives their true cosines.
        vectors: their vectors, L2-normalised; asked for only where the wish is for distinct ones.
        look_first: look candidates up before they are compared: worth it where few pass.
        allowed: only these ids count (ascending).
        patience: give up, with None, rather than look at more candidates than this.
        reach: gives how many hits there can be at most (or the limit, where they are more); asked
            where going deeper did not bring as many as wished for.
    """
    pool = Pool(wish, look, compare, vectors, look_first=look_first)
    piece, rank = index.depth(wish.limit), wish.limit
    depth = min(_AHEAD * piece, index.count)
    fruitless = False
    while True:
        found = index.candidates(query, depth, rank=rank, allowed=allowed)
        left = pool.unseen(found.ids)
        while len(left):
            estimates = found.estimates[left]
            needed = int(np.count_nonzero(estimates >= _edge(pool, index, pool.hoped())))
            if needed == 0:  # but those hoped for may be no hits
                needed = int(np.count_nonzero(estimates >= _edge(pool, index, pool.best())))
            if needed == 0:
                break
            some, left = np.split(left, [min(needed, piece)])
            pool.take(found.ids[some], found.estimates[some])
            piece *= 2
        best = pool.best()
        if found.complete and not len(left):
            return best
        if found.estimates[-1] < _edge(pool, index, best):
            if pool.rank() <= rank:
                return best
            rank = pool.rank()
            continue
        if len(best[0]) < pool.most:
            if fruitless and reach is not None:
                pool.cap(reach())
                reach = None
                continue
            fruitless = True
        hoped = pool.most / max(len(best[0]), 1 / _LEAP)
        depth = round(depth * min(max(1.5 * hoped, 4), _LEAP))
        if patience is not None and depth > patience:
            return None
        depth = min(depth, index.count)


def _edge(pool: Pool, index: Estimator, best: tuple[Ids, Cosines]) -> float:
    """The estimate below which no clip can be as good as these."""
    _, similar = best
    if pool.most == 0:
        return np.inf
    if len(similar) < pool.most:
        return -np.inf
    errors = pool.errors[:_ERRORS]
    spread = index.spread
    if len(errors) >= _FEW_ERRORS:
        spread = float(np.sqrt(np.mean(np.square(errors))))
    return float(similar[-1]) - _SURE * spread - TIE

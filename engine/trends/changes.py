"""Change-point detection: where the mean of a sequence of scores changes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_LEAST_NOISE = 0.01
"""Least variance of a clip's scores about the mean of its stretch, summed over classes: models are
so sure of themselves that a sequence without any noise would fall into too many pieces."""

_MEDIAN = 0.6
"""Median of squared distances beside their mean: 0.45 for noise in one direction, 0.69 in two."""


def change_points(
    scores: Array, weights: Array, times: Array, *, penalty: float, shortest: float
) -> list[int]:
    """Indices at which a new stretch begins, ascending; the first stretch begins at 0, unnamed.

    The scores are taken as constant within a stretch. The stretches are those that minimise the
    weighted squared distances to the stretch's mean plus, for each change, ``penalty`` * noise *
    log(n): optimal partitioning (Jackson et al., "An algorithm for optimal partitioning of data on
    an interval", IEEE Signal Process. Lett. 12, 2005), exact, in O(n²). The noise is estimated from
    distances of neighbours, by their median, which few real changes hardly move.

    Args:
        scores: (n, classes), in order of time.
        weights: (n,), positive; seconds of the clips.
        times: (n + 1,), seconds, where each clip begins (and the last one ends).
        penalty: about 5; more finds fewer changes.
        shortest: least seconds of a stretch, unless it is the only one.
    """
    n = len(scores)
    if n < 2:
        return []
    mass = weights / weights.mean()
    cost_of_change = penalty * _noise(scores) * np.log(max(n, 3))
    count = np.concatenate([[0.0], np.cumsum(mass)])
    total = np.vstack([np.zeros(scores.shape[1]), np.cumsum(scores * mass[:, None], axis=0)])
    square = np.concatenate([[0.0], np.cumsum(mass * (scores**2).sum(axis=1))])
    best = np.full(n + 1, np.inf)
    best[0] = -cost_of_change
    before = np.zeros(n + 1, dtype=np.int64)
    for end in range(1, n + 1):
        last = int(np.searchsorted(times[:end], times[end] - shortest + 1e-9, side="right"))
        if not last and end < n:
            continue  # too near to the start for a change
        starts = slice(0, max(last, 1))
        sums = total[end] - total[starts]
        within = square[end] - square[starts]
        within = within - (sums**2).sum(axis=1) / (count[end] - count[starts])
        costs = best[starts] + within + cost_of_change
        before[end] = int(np.argmin(costs))
        best[end] = costs[before[end]]
    found = []
    at = int(before[n])
    while at > 0:
        found.append(at)
        at = int(before[at])
    return found[::-1]


def _noise(scores: Array) -> float:
    """Variance about the mean, summed over classes."""
    squares = (np.diff(scores, axis=0) ** 2).sum(axis=1)
    return max(float(np.median(squares)) / (2 * _MEDIAN), _LEAST_NOISE)

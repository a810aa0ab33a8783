"""Means over queries and over classes, with bootstrap confidence intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.quality.labelled import Strings

Array = NDArray[np.float64]

CONFIDENCE = 0.95
_ROUNDS_AT_ONCE = 100


@dataclass(frozen=True)
class Estimate:
    """A mean and its 95 % confidence interval; the ends are None with a single group,
    or where none was asked for."""

    value: float
    low: float | None
    high: float | None


def over_queries(values: Array, groups: Strings, *, rounds: int, seed: int) -> list[Estimate]:
    """The mean of each column of ``values``, (queries, m), over queries."""
    return _estimates(values, np.zeros(len(values), np.int64), groups, rounds, seed)


def over_classes(
    values: Array, labels: Strings, groups: Strings, *, rounds: int, seed: int
) -> list[Estimate]:
    """The mean of each column over classes of the mean over the class's queries (macro)."""
    return _estimates(values, np.unique(labels, return_inverse=True)[1], groups, rounds, seed)


def _estimates(
    values: Array, classes: NDArray[np.int64], groups: Strings, rounds: int, seed: int
) -> list[Estimate]:
    names, group = np.unique(groups, return_inverse=True)
    shape = (len(names), classes.max() + 1)
    counts = np.zeros(shape)
    sums = np.zeros((*shape, values.shape[1]))
    np.add.at(counts, (group, classes), 1)
    np.add.at(sums, (group, classes), values)

    def mean(weights: Array) -> Array:
        """(rounds, groups) -> (rounds, m); a class that was not drawn does not count."""
        drawn = weights @ counts
        total = np.einsum("rg,gcm->rcm", weights, sums)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.nanmean(total / drawn[:, :, None], axis=1))

    return estimates(mean, len(names), rounds=rounds, seed=seed)


def estimates(
    statistic: Callable[[Array], Array], groups: int, *, rounds: int, seed: int
) -> list[Estimate]:
    """The m values of a statistic, with intervals bootstrapped over groups: their clips are drawn
    together, because they are not independent (Field and Welsh, J. R. Stat. Soc. B 69, 2007).

    Args:
        statistic: from how often each group was drawn, float64 (rounds, groups), to values
            (rounds, m).
        groups: how many there are.
        rounds: bootstrap samples; 0 for no intervals.
    """
    point = statistic(np.ones((1, groups)))[0]
    if groups < 2 or rounds < 1:
        return [Estimate(float(value), None, None) for value in point]
    random = np.random.default_rng(seed)
    values = []
    for begin in range(0, rounds, _ROUNDS_AT_ONCE):
        size = min(_ROUNDS_AT_ONCE, rounds - begin)
        drawn = random.multinomial(groups, np.full(groups, 1 / groups), size)
        values.append(statistic(drawn.astype(np.float64)))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.concatenate(values), [tail, 1 - tail], axis=0)
    return [Estimate(*map(float, row)) for row in zip(point, low, high, strict=True)]

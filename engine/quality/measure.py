"""Metrics of a classifier: recall, F1, confusion, and the reliability of its probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.quality.summary import Estimate, estimates

Array = NDArray[np.float64]
Classes = NDArray[np.int64]
Rows = NDArray[np.intp]

_BINS = 10


@dataclass(frozen=True)
class Bin:
    """Clips of which the classifier was about as sure: how sure, and how often it was right.

    Attributes:
        confidence: mean probability of the value given.
        accuracy: share that had it.
        clips: how many.
    """

    confidence: float
    accuracy: float
    clips: int


@dataclass(frozen=True)
class Measured:
    """How a classifier did on clips whose speaker (or recording) it was not trained on.

    Attributes:
        uar: unweighted average recall, the mean over classes of the share found.
        f1: mean over classes of the F1 score (macro).
        accuracy: share of the clips that was right.
        recall, precision: by class.
        confusion: clips by true class (rows) and class given (columns).
    """

    uar: Estimate
    f1: Estimate
    accuracy: float
    recall: tuple[float, ...]
    precision: tuple[float, ...]
    confusion: tuple[tuple[int, ...], ...]


def measure(
    true: Classes,
    given: Classes,
    groups: NDArray[np.str_],
    number: int,
    *,
    rounds: int = 1000,
    seed: int = 0,
) -> Measured:
    """The measures, with 95 % intervals bootstrapped over groups, whose clips are drawn together.

    Args:
        true, given: int64 (n,), classes of 0 to ``number`` - 1.
        groups: (n,), the speaker or recording of each.
        rounds: bootstrap samples; 0 for no intervals.
    """
    names, group = np.unique(groups, return_inverse=True)
    tables = np.zeros((len(names), number, number))
    np.add.at(tables, (group, true, given), 1)
    whole, flat = tables.sum(axis=0), tables.reshape(len(names), -1)

    def both(weights: Array) -> Array:
        drawn = (weights @ flat).reshape(-1, number, number)
        return np.stack([_recall(drawn), _f1(drawn)], axis=1)

    uar, f1 = estimates(both, len(names), rounds=rounds, seed=seed)
    with np.errstate(invalid="ignore"):
        recall = np.diag(whole) / whole.sum(axis=1)
        precision = np.nan_to_num(np.diag(whole) / whole.sum(axis=0))
    return Measured(
        uar=uar,
        f1=f1,
        accuracy=float(np.mean(true == given)),
        recall=tuple(recall.tolist()),
        precision=tuple(precision.tolist()),
        confusion=tuple(tuple(int(n) for n in row) for row in whole),
    )


def by_count(probabilities: Array) -> list[Rows]:
    """Rows of up to ten bins of equally many probabilities."""
    order = np.argsort(probabilities, kind="stable")
    return np.array_split(order, min(_BINS, max(1, len(order) // 10)))


def by_width(probabilities: Array) -> list[Rows]:
    """Rows of ten bins that are each a tenth wide, those that hold any; 1 is in the last."""
    bins = np.clip((probabilities * _BINS).astype(np.int64), 0, _BINS - 1)
    return [np.flatnonzero(bins == number) for number in np.unique(bins)]


def reliability(
    probabilities: Array, right: NDArray[np.bool_], parts: Sequence[Rows]
) -> tuple[list[Bin], float]:
    """How sure and how right each of the bins is, and the expected calibration error: the mean
    over clips of the distance between the two in their bin.

    Args:
        probabilities: float64 (n,), of the value given.
        right: (n,), whether it is.
        parts: rows of each bin, from ``by_count`` or ``by_width``.
    """
    bins = []
    for rows in parts:
        mean, share = float(probabilities[rows].mean()), float(right[rows].mean())
        bins.append(Bin(mean, share, len(rows)))
    error = sum(one.clips * abs(one.confidence - one.accuracy) for one in bins) / len(right)
    return bins, error


def _recall(tables: Array) -> Array:
    """UAR of confusion tables (…, classes, classes); a class that was not drawn does not count."""
    found = np.diagonal(tables, axis1=-2, axis2=-1)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.nanmean(found / tables.sum(axis=-1), axis=-1))


def _f1(tables: Array) -> Array:
    found = np.diagonal(tables, axis1=-2, axis2=-1)
    with np.errstate(invalid="ignore"):
        both = tables.sum(axis=-1) + tables.sum(axis=-2)
        return np.asarray(np.nanmean(2 * found / both, axis=-1))

"""Comparison of classifiers on clips of speakers that they were not trained on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.classify.calibrate import Curves, Kind, fit_curves, kind_for
from emotion_search.engine.classify.examples import Examples
from emotion_search.engine.classify.methods import METHODS, SHARES
from emotion_search.engine.quality.measure import Bin, Measured, by_count, measure, reliability
from emotion_search.index.errors import InvalidInputError

Array = NDArray[np.float64]
Split = tuple[NDArray[np.intp], NDArray[np.intp]]

MOST_LEFT_OUT = 10
"""Up to so many speakers, each is left out by itself; more are left out in five parts."""

_PARTS = 5
_SMALL = 2000  # examples up to which one speaker at a time is left out
_WORTH = 0.005  # UAR by which a less simple method has to be better


@dataclass(frozen=True, eq=False)
class Compared:
    """How a method did, and the scores of every clip by a classifier trained without its speaker.

    Attributes:
        name: of the method.
        measured: of its decisions.
        scores: float64 (n, classes).
        seconds: that it took.
    """

    name: str
    measured: Measured
    scores: Array
    seconds: float


@dataclass(frozen=True, eq=False)
class Checked:
    """The probabilities of a method, and their reliability.

    Attributes:
        kind: of calibration.
        curves: fitted to all held-out scores; what serves.
        chances: float64 (n, classes), of each clip by curves that were fitted without its part.
        bins, error: reliability of these.
        bare_error: the same of the scores as they come, for comparison: shares of votes as they
            are, others by their softmax.
    """

    kind: Kind
    curves: Curves
    chances: Array
    bins: tuple[Bin, ...]
    error: float
    bare_error: float


def splits_of(examples: Examples, *, seed: int = 0) -> list[Split]:
    """Rows to train on and rows to judge, no speaker (recording) on both sides: each left out by
    itself up to ten of them, else five parts with the classes spread evenly."""
    from sklearn.model_selection import LeaveOneGroupOut, StratifiedGroupKFold

    number = len(np.unique(examples.groups))
    if number <= MOST_LEFT_OUT and (len(examples.ids) <= _SMALL or number <= _PARTS):
        found = LeaveOneGroupOut().split(examples.features, examples.classes, examples.groups)
    else:
        folds = StratifiedGroupKFold(_PARTS, shuffle=True, random_state=seed)
        found = folds.split(examples.features, examples.classes, examples.groups)
    splits = [(fit, test) for fit, test in found if len(test)]
    for fit, test in splits:
        assert not np.intersect1d(examples.groups[fit], examples.groups[test]).size
    if any(len(np.unique(examples.classes[fit])) < 2 for fit, _ in splits):
        raise InvalidInputError(
            f"with one {examples.by} left out a single class remains; label clips of more of them"
        )
    return splits


def compare(
    examples: Examples,
    splits: Sequence[Split],
    *,
    methods: Sequence[str] = tuple(METHODS),
    rounds: int = 1000,
    seed: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Compared]:
    """Every method on the same splits, in the order of ``methods``."""
    found = []
    for name in methods:
        progress(name)
        began = time.perf_counter()
        scores = held_out_scores(examples, splits, name, seed=seed)
        given = scores.argmax(axis=1)
        measured = measure(
            examples.classes,
            given,
            examples.groups,
            len(examples.names),
            rounds=rounds,
            seed=seed,
        )
        found.append(Compared(name, measured, scores, time.perf_counter() - began))
    return found


def held_out_scores(
    examples: Examples, splits: Sequence[Split], method: str, *, seed: int = 0
) -> Array:
    """Scores of each clip, (n, classes), by the classifier that was fitted without its part. A
    class that was not among what a classifier was fitted to scores below all others."""
    scores = np.empty((len(examples.ids), len(examples.names)))
    for fit, test in splits:
        present, classes = np.unique(examples.classes[fit], return_inverse=True)
        fitted = METHODS[method](examples.features[fit], classes, seed)
        some = fitted.scores(examples.features[test])
        scores[test] = some.min(axis=1, keepdims=True) - 1.0
        scores[np.ix_(test, present)] = some
    return scores


def best_of(compared: Sequence[Compared]) -> Compared:
    """The one of most UAR; of nearly equal ones the simplest."""
    best = compared[0]
    for one in compared[1:]:
        if one.measured.uar.value > best.measured.uar.value + _WORTH:
            best = one
    return best


def check_probabilities(examples: Examples, splits: Sequence[Split], compared: Compared) -> Checked:
    """Calibrate the held-out scores of a method, and measure their reliability: those of
    each part are judged by curves that were fitted to the other parts."""
    scores = compared.scores
    kind = kind_for(examples.classes)
    curves = fit_curves(scores, examples.classes, kind)
    decided = scores.argmax(axis=1)
    chances = np.empty_like(scores)
    for fit, test in splits:
        part = fit_curves(scores[fit], examples.classes[fit], kind)
        chances[test] = part.probabilities(scores[test])
    right = decided == examples.classes
    sure = chances[np.arange(len(scores)), decided]
    bins, error = reliability(sure, right, by_count(sure))
    bare = scores.max(axis=1)
    if compared.name not in SHARES:
        bare = 1 / np.exp(scores - bare[:, None]).sum(axis=1)
    bare_error = reliability(bare, right, by_count(bare))[1]
    return Checked(kind, curves, chances, tuple(bins), error, bare_error)

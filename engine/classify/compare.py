"""Comparison of classifiers on clips of speakers that they were not trained on."""

from __future__ import annotations

import itertools
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from emotion_search.engine.classify.calibrate import KINDS, Curves, Kind, fit_curves
from emotion_search.engine.classify.examples import Examples
from emotion_search.engine.classify.fitted import Fitted
from emotion_search.engine.classify.methods import METHODS
from emotion_search.engine.machine.progress import Progress, unwatched
from emotion_search.engine.quality.measure import Bin, Measured, by_count, measure, reliability

Array = NDArray[np.float64]
Split = tuple[NDArray[np.intp], NDArray[np.intp]]

MOST_LEFT_OUT = 10
"""Up to so many speakers, each is left out by itself; more are left out in five parts."""

_PARTS = 5
_SMALL = 2000  # examples up to which one speaker at a time is left out
_WORTH = 0.005  # UAR by which a less simple method has to be better
_LEAST = 1e-15  # probability, where its logarithm is taken


@dataclass(frozen=True, eq=False)
class Compared:
    """How a method did, and the scores of every clip by a classifier trained without its speaker.

    Attributes:
        name: of the method.
        measured: of its decisions.
        scores: float64 (n, classes).
        setting: the one of the method's settings that is chosen where all clips are known. What
            judges a clip was chosen, too, without its speaker.
        seconds: that it took.
    """

    name: str
    measured: Measured
    scores: Array
    setting: int
    seconds: float

    @property
    def title(self) -> str:
        """Its name and setting."""
        return f"{self.name}, {METHODS[self.name].settings[self.setting]}"


@dataclass(frozen=True)
class Reliability:
    """Whether probabilities hold on clips whose speakers they were not fitted to.

    Attributes:
        loss: log loss, the mean of -ln of the probability of the true class.
        error: expected calibration error of the value given; see ``reliability``.
    """

    loss: float
    error: float


@dataclass(frozen=True, eq=False)
class Checked:
    """The probabilities of a method, and their reliability.

    Attributes:
        kind: of calibration, the one of least log loss.
        curves: fitted to all held-out scores; what serves.
        chances: float64 (n, classes), of each clip by curves that were fitted without its part.
        bins: reliability of these.
        kinds: how each kind of calibration did.
    """

    kind: Kind
    curves: Curves
    chances: Array
    bins: tuple[Bin, ...]
    kinds: dict[Kind, Reliability]


def splits_of(
    classes: NDArray[np.int64],
    groups: NDArray[np.str_],
    *,
    alone: int = MOST_LEFT_OUT,
    seed: int = 0,
) -> list[Split]:
    """Rows to train on and rows to judge, no group on both sides: each left out by itself up to
    ``alone`` of them (of many clips five), else five parts with the classes spread evenly."""
    from sklearn.model_selection import LeaveOneGroupOut, StratifiedGroupKFold

    number = len(np.unique(groups))
    if number <= (alone if len(classes) <= _SMALL else _PARTS):
        return list(LeaveOneGroupOut().split(classes, classes, groups))
    parts = min(_PARTS, max(2, int(np.bincount(classes).max())))
    folds = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # that a class has fewer clips than there are parts
        warnings.filterwarnings("ignore", message="The least populated class")
        found = list(folds.split(classes, classes, groups))
    return [(fit, test) for fit, test in found if len(test)]


def compare(
    examples: Examples,
    splits: Sequence[Split],
    *,
    methods: Sequence[str] = tuple(METHODS),
    rounds: int = 1000,
    seed: int = 0,
    progress: Progress = unwatched,
) -> list[Compared]:
    """Every method on the same splits, in the order of ``methods``; ``progress`` is called with how
    many fits are done, and of how many."""
    found = []
    everything = np.arange(len(examples.ids))
    steps = itertools.count()
    for name in methods:
        began = time.perf_counter()
        scores = held_out_scores(
            examples,
            splits,
            name,
            seed=seed,
            step=lambda: progress(next(steps), len(methods) * len(splits)),
        )
        setting = choose_setting(examples, everything, name, seed=seed)
        measured = measure(
            examples.classes,
            scores.argmax(axis=1),
            examples.groups,
            len(examples.names),
            rounds=rounds,
            seed=seed,
        )
        found.append(Compared(name, measured, scores, setting, time.perf_counter() - began))
    return found


def held_out_scores(
    examples: Examples,
    splits: Sequence[Split],
    method: str,
    *,
    seed: int = 0,
    step: Callable[[], None] = lambda: None,
) -> Array:
    """Scores of each clip, (n, classes), by the classifier that was fitted, and whose setting was
    chosen, without its part."""
    scores = np.empty((len(examples.ids), len(examples.names)))
    for fit, test in splits:
        step()
        setting = choose_setting(examples, fit, method, seed=seed)
        scores[test] = _scores(examples, fit, test, method, seed)[setting]
    return scores


def choose_setting(
    examples: Examples, rows: NDArray[np.intp], method: str, *, seed: int = 0
) -> int:
    """Which of a method's settings does best on those speakers among the rows that are left out in
    turn: the one of least log loss, every class weighing the same. UAR in its place follows single
    clips where there are few."""
    number = len(METHODS[method].settings)
    classes, groups = examples.classes[rows], examples.groups[rows]
    if number == 1 or len(np.unique(groups)) < 2:
        return number // 2
    weights = 1 / np.bincount(classes, minlength=len(examples.names)).clip(min=1)[classes]
    gain = np.zeros(number)
    for fit, test in splits_of(classes, groups, alone=_PARTS, seed=seed):
        for at, scores in enumerate(_scores(examples, rows[fit], rows[test], method, seed)):
            logs = log_softmax(scores, axis=1)[np.arange(len(test)), classes[test]]
            gain[at] += logs @ weights[test]
    return int(gain.argmax())


def _scores(
    examples: Examples, fit: NDArray[np.intp], test: NDArray[np.intp], method: str, seed: int
) -> list[Array]:
    """Scores of some rows, (rows, classes), after a fit to others, under each of the settings. A
    class that was not fitted scores below all others."""
    present, classes = np.unique(examples.classes[fit], return_inverse=True)

    def widened(fitted: Fitted) -> Array:
        some = fitted.scores(examples.features[test])
        scores = np.repeat(some.min(axis=1, keepdims=True) - 1.0, len(examples.names), axis=1)
        scores[:, present] = some
        return scores

    return [widened(one) for one in METHODS[method].fit(examples.features[fit], classes, seed)]


def best_of(compared: Sequence[Compared]) -> Compared:
    """The one of most UAR; of nearly equal ones the simplest."""
    best = compared[0]
    for one in compared[1:]:
        if one.measured.uar.value > best.measured.uar.value + _WORTH:
            best = one
    return best


def check_probabilities(examples: Examples, splits: Sequence[Split], scores: Array) -> Checked:
    """Calibrate held-out scores by each kind of curves, judge each part by those fitted to the
    other parts, and take the kind of least log loss; of equal ones the simplest."""
    true, decided, rows = examples.classes, scores.argmax(axis=1), np.arange(len(scores))
    chances: dict[Kind, Array] = {}
    kinds: dict[Kind, Reliability] = {}
    for kind in KINDS:
        found = chances[kind] = np.empty_like(scores)
        for fit, test in splits:
            found[test] = fit_curves(scores[fit], true[fit], kind).probabilities(scores[test])
        loss = -np.log(np.maximum(found[rows, true], _LEAST)).mean()
        sure = found[rows, decided]
        error = reliability(sure, decided == true, by_count(sure))[1]
        kinds[kind] = Reliability(float(loss), error)
    kind = min(KINDS, key=lambda one: kinds[one].loss)
    sure = chances[kind][rows, decided]
    bins, _ = reliability(sure, decided == true, by_count(sure))
    return Checked(kind, fit_curves(scores, true, kind), chances[kind], tuple(bins), kinds)

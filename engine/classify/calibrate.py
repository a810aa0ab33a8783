"""Calibration of scores to probabilities on held-out clips: none, sigmoid or isotonic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

Array = NDArray[np.float64]
Kind = Literal["none", "sigmoid", "isotonic"]

KINDS: tuple[Kind, ...] = get_args(Kind)
"""The simpler ones first."""


@dataclass(frozen=True, eq=False)
class Curves:
    """A monotone curve per class from its margin over the best other class to a probability; or
    none: scores are taken as log-likelihoods, to which go logs of how frequent the classes were.

    Attributes:
        kind: ``none``, ``sigmoid`` (Platt, 1999) or ``isotonic`` (Zadrozny and Elkan, KDD 2002).
        x, y: float64, the class's margins and probabilities, one after the other for all classes;
            of a sigmoid slope and offset; of ``none`` the least probability and the log of how
            frequent the class was.
        starts: int64 (classes + 1,), where each class's part begins.
    """

    kind: Kind
    x: Array
    y: Array
    starts: NDArray[np.int64]

    def probabilities(self, scores: Array) -> Array:
        """Probabilities, float64 (n, classes), rows summing to 1, of scores (n, classes)."""
        if self.kind == "none":
            return np.asarray(self.x + (1 - self.x.sum()) * softmax(scores + self.y, axis=1))
        margins = margin(scores)
        found = np.empty_like(margins)
        for c in range(margins.shape[1]):
            part = slice(self.starts[c], self.starts[c + 1])
            if self.kind == "sigmoid":
                found[:, c] = expit(self.x[part][0] * margins[:, c] + self.y[part][0])
            else:
                found[:, c] = np.interp(margins[:, c], self.x[part], self.y[part])
        return np.asarray(found / np.maximum(found.sum(axis=1, keepdims=True), 1e-300))

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """What they consist of; ``curves_of`` gives them back."""
        return {f"{self.kind}_x": self.x, "y": self.y, "starts": self.starts}


def curves_of(arrays: Mapping[str, NDArray[np.generic]]) -> Curves:
    """The curves that ``Curves.arrays`` were taken from.

    Raises:
        KeyError: they are not there.
    """
    kind = next((one for one in KINDS if f"{one}_x" in arrays), KINDS[0])
    x, y = (arrays[name].astype(np.float64) for name in (f"{kind}_x", "y"))
    return Curves(kind, x, y, arrays["starts"].astype(np.int64))


def margin(scores: Array) -> Array:
    """The score of each class less the best of the others, (n, classes)."""
    ordered = np.sort(scores, axis=1)
    best, second = ordered[:, -1:], ordered[:, -2:-1]
    return np.asarray(np.where(scores == best, scores - second, scores - best))


def fit_curves(scores: Array, classes: NDArray[np.int64], kind: Kind) -> Curves:
    """Curves fitted to scores (n, classes) of clips that the classifier was not fitted to."""
    if kind == "none":
        counts = np.bincount(classes, minlength=scores.shape[1]) + 1.0
        least = np.full(len(counts), 1 / (len(classes) + len(counts)))
        return Curves(kind, least, np.log(counts / counts.sum()), np.arange(len(counts) + 1))
    margins = margin(scores)
    xs: list[Array] = []
    ys: list[Array] = []
    for c in range(scores.shape[1]):
        x, y = {"sigmoid": _sigmoid, "isotonic": _isotonic}[kind](margins[:, c], classes == c)
        xs.append(x)
        ys.append(y)
    starts = np.concatenate([[0], np.cumsum([len(x) for x in xs])])
    return Curves(kind, np.concatenate(xs), np.concatenate(ys), starts)


def _sigmoid(margins: Array, right: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Slope and offset, by Platt's targets, which keep perfect separation from being certainty."""
    from scipy.optimize import minimize

    yes, no = right.sum(), (~right).sum()
    target = np.where(right, (yes + 1) / (yes + 2), 1 / (no + 2))
    scale = max(float(np.abs(margins).max()), 1e-12)
    x = margins / scale

    def loss(at: Array) -> tuple[float, Array]:
        z = at[0] * x + at[1]
        value = np.logaddexp(0, z) - target * z
        slope = expit(z) - target
        return float(value.sum()), np.array([(slope * x).sum(), slope.sum()])

    start = np.array([1.0, np.log((yes + 1) / (no + 1))])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)])
    return np.array([found.x[0] / scale]), np.array([found.x[1]])


def _isotonic(margins: Array, right: NDArray[np.bool_]) -> tuple[Array, Array]:
    """The points of the curve; never quite 0 or 1, by as much as the number of examples allows."""
    from sklearn.isotonic import IsotonicRegression

    least = 1 / (len(right) + 2)
    fitted = IsotonicRegression(y_min=least, y_max=1 - least, out_of_bounds="clip")
    fitted.fit(margins, right.astype(np.float64))
    return (
        np.asarray(fitted.X_thresholds_, dtype=np.float64),
        np.asarray(fitted.y_thresholds_, dtype=np.float64),
    )

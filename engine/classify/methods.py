"""The classifiers that are compared, each fitted by scikit-learn and kept as arrays."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.classify.fitted import Fitted, Forest, Linear, Neighbours
from emotion_search.index.vectors.arrays import Vectors

Classes = NDArray[np.int64]

_NEIGHBOURS = 15
_TREES = 100
_PER_TREE = 4000  # most examples that a tree is grown on


def logistic(features: Vectors, classes: Classes, _seed: int) -> Fitted:
    """Logistic regression on standardised features, every class weighing the same.

    Args:
        features: float32 (n, dim).
        classes: int64 (n,), counted from 0, each of them at least once.
    """
    from sklearn.linear_model import LogisticRegression

    return _linear(
        LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000), features, classes
    )


def svm(features: Vectors, classes: Classes, seed: int) -> Fitted:
    """A linear support vector machine, one class against the rest; see ``logistic``."""
    from sklearn.svm import LinearSVC

    machine = LinearSVC(
        C=0.01, class_weight="balanced", max_iter=5000, dual="auto", random_state=seed
    )
    return _linear(machine, features, classes)


def neighbours(features: Vectors, classes: Classes, _seed: int) -> Fitted:
    """Votes of the 15 nearest examples by cosine; see ``logistic``.

    The examples' ids are their rows.
    """
    counts = np.bincount(classes)
    rows = np.arange(len(features))
    mean = features.mean(axis=0, dtype=np.float64)
    bare = Neighbours(rows, classes, mean, len(classes) / counts / len(counts), _NEIGHBOURS)
    return bare.with_examples(rows, features)


def forest(features: Vectors, classes: Classes, seed: int) -> Fitted:
    """A random forest of 100 trees (Breiman, Machine Learning 45, 2001); see ``logistic``."""
    from sklearn.ensemble import RandomForestClassifier

    grown = RandomForestClassifier(
        _TREES,
        class_weight="balanced",
        min_samples_leaf=2,
        max_samples=min(len(features), _PER_TREE),
        random_state=seed,
    ).fit(features, classes)
    roots, at = [], 0
    parts: list[tuple[NDArray[np.generic], ...]] = []
    for tree in (one.tree_ for one in grown.estimators_):
        roots.append(at)
        shares = tree.value[:, 0] / tree.value[:, 0].sum(axis=1, keepdims=True)
        leaf = tree.children_left < 0
        parts.append(
            (
                np.where(leaf, -1, tree.feature),
                tree.threshold,
                np.where(leaf, 0, tree.children_left + at),
                np.where(leaf, 0, tree.children_right + at),
                shares.astype(np.float32),
            )
        )
        at += tree.node_count
    feature, threshold, left, right, value = (
        np.concatenate(some) for some in zip(*parts, strict=True)
    )
    return Forest(np.array(roots), feature, threshold, left, right, value)


METHODS: dict[str, Callable[[Vectors, Classes, int], Fitted]] = {
    "logistic regression": logistic,
    "linear SVM": svm,
    "k-NN": neighbours,
    "random forest": forest,
}
"""By name, the simpler ones first; each takes features, classes and a seed."""


SHARES = ("k-NN", "random forest")
"""Those whose scores are shares of votes: 0 to 1, and 1 in all."""


def _linear(machine: object, features: Vectors, classes: Classes) -> Linear:
    """A linear classifier with the standardisation of the features folded into its weights."""
    mean = features.mean(axis=0, dtype=np.float64)
    spread = features.std(axis=0, dtype=np.float64)
    spread[spread < 1e-9] = 1.0  # a feature that never varies
    with warnings.catch_warnings():  # it is judged as it stands, converged or not
        warnings.filterwarnings("ignore", message=".*onverge")
        fitted = machine.fit((features - mean) / spread, classes)  # type: ignore[attr-defined]
    weights = fitted.coef_.T.astype(np.float64) / spread[:, None]
    bias = fitted.intercept_.astype(np.float64) - mean @ weights
    if weights.shape[1] == 1:  # two classes: one score, for the second
        weights, bias = np.hstack([-weights, weights]), np.concatenate([-bias, bias])
    return Linear(weights, bias)

"""The classifiers that are compared: shrunk linear discriminant analysis and a random forest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.classify.fitted import Fitted, Forest, Linear
from emotion_search.index.vectors.arrays import Vectors

Classes = NDArray[np.int64]

_SHRINKAGES = (0.03, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)
_TREES = 100
_PER_TREE = 4000  # most examples that a tree is grown on


@dataclass(frozen=True)
class Method:
    """A way to fit classifiers.

    Attributes:
        fit: takes features float32 (n, dim), classes int64 (n,), counted from 0, each of them at
            least once, and a seed; gives a classifier for each setting.
        settings: what the classifiers differ in, in words.
    """

    fit: Callable[[Vectors, Classes, int], list[Fitted]]
    settings: tuple[str, ...]


def discriminant(features: Vectors, classes: Classes, _seed: int) -> list[Fitted]:
    """Linear discriminant analysis, every class weighing the same, at seven strengths of
    regularisation for the price of one: the covariance within classes is shrunk towards a multiple
    of the identity (Friedman, J. American Statistical Association 84, 1989), which leaves its
    eigenvectors as they are."""
    wide = features.astype(np.float64)
    counts = np.bincount(classes)
    means = np.stack([wide[classes == c].mean(axis=0) for c in range(len(counts))])
    rest = (wide - means[classes]) / np.sqrt(counts * len(counts))[classes, None]
    spread = np.sqrt((rest**2).sum(axis=0))
    spread[spread < _LEAST] = 1.0  # a feature that never varies within a class
    rest, means = rest / spread, means / spread
    if len(rest) < rest.shape[1]:
        _, roots, axes = np.linalg.svd(rest, full_matrices=False)
        variances, axes = roots**2, axes.T
    else:
        variances, axes = np.linalg.eigh(rest.T @ rest)
    variances = np.maximum(variances, 0) * len(rest) / max(len(rest) - len(counts), 1)
    level = max(variances.sum() / rest.shape[1], _LEAST)
    turned = means @ axes
    beyond = means - turned @ axes.T  # where the examples do not vary
    found: list[Fitted] = []
    for shrinkage in _SHRINKAGES:
        shrunk = (1 - shrinkage) * variances + shrinkage * level
        weights = (turned / shrunk) @ axes.T + beyond / (shrinkage * level)
        bias = -np.einsum("cd,cd->c", weights, means) / 2
        found.append(Linear(np.ascontiguousarray((weights / spread).T), bias))
    return found


_LEAST = 1e-9


def forest(features: Vectors, classes: Classes, seed: int) -> list[Fitted]:
    """A random forest of 100 trees (Breiman, Machine Learning 45, 2001); see ``discriminant``."""
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
    return [Forest(np.array(roots), feature, threshold, left, right, value)]


METHODS = {
    "linear discriminant": Method(discriminant, tuple(f"shrinkage {s}" for s in _SHRINKAGES)),
    "random forest": Method(forest, (f"{_TREES} trees",)),
}
"""By name, the simpler one first."""

"""Linear, k-NN and random-forest classifiers as arrays (safetensors): nothing is unpickled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from emotion_search.index.errors import DatabaseError
from emotion_search.index.vectors.arrays import Vectors, normalise

Array = NDArray[np.float64]

_ROWS = 1024  # compared with a k-NN's examples at once


class Fitted(Protocol):
    """A classifier that was fitted."""

    kind: ClassVar[str]

    def scores(self, features: Vectors) -> Array:
        """Scores by class, float64 (n, classes), of features float32 (n, dim): the class of the
        highest is the decision; they are no probabilities."""

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """What it consists of."""


@dataclass(frozen=True, eq=False)
class Linear:
    """A score per class that is linear in the features.

    Attributes:
        weights: float64 (dim, classes).
        bias: float64 (classes,).
    """

    weights: Array
    bias: Array
    kind: ClassVar[str] = "linear"

    def scores(self, features: Vectors) -> Array:
        """See ``Fitted``."""
        return np.asarray(features.astype(np.float64) @ self.weights + self.bias)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """See ``Fitted``."""
        return {"weights": self.weights, "bias": self.bias}


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Votes of the nearest examples by cosine around their mean; every class weighs the same.

    Only the ids of the examples are stored: their vectors are read from the archive, so that an
    example that was erased is out of the classifier too.

    Attributes:
        ids: int64 (n,), clips that are the examples.
        classes: int64 (n,), the class of each.
        mean: float64 (dim,), subtracted before cosines are taken.
        weights: float64 (classes,), of a vote.
        k: how many vote.
        examples: float32 (n, dim), less the mean, L2-normalised; None until they are read.
    """

    ids: NDArray[np.int64]
    classes: NDArray[np.int64]
    mean: Array
    weights: Array
    k: int
    examples: Vectors | None = None
    kind: ClassVar[str] = "neighbours"

    def scores(self, features: Vectors) -> Array:
        """See ``Fitted``."""
        assert self.examples is not None
        assert len(self.examples)
        found = np.empty((len(features), len(self.weights)))
        k = min(self.k, len(self.examples))
        one_hot = np.eye(len(self.weights))[self.classes] * self.weights
        for begin in range(0, len(features), _ROWS):
            some = slice(begin, begin + _ROWS)
            cosines = self.turned(features[some]) @ self.examples.T
            nearest = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
            near = np.take_along_axis(cosines, nearest, axis=1).astype(np.float64)
            votes = np.einsum("nk,nkc->nc", near + 1, one_hot[nearest])
            found[some] = votes / np.maximum(votes.sum(axis=1, keepdims=True), 1e-12)
        return found

    def turned(self, features: Vectors) -> Vectors:
        """Features centred and normalised as the examples are."""
        centred = features - self.mean
        centred[~centred.any(axis=1), 0] = 1.0  # the mean itself has no direction
        return normalise(centred.astype(np.float32))

    def with_examples(self, ids: NDArray[np.int64], features: Vectors) -> Neighbours:
        """The same with those examples that are still there: ``ids`` ascending, their features."""
        kept = np.isin(self.ids, ids)
        rows = np.searchsorted(ids, self.ids[kept])
        examples = self.turned(features[rows])
        return replace(self, ids=self.ids[kept], classes=self.classes[kept], examples=examples)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """See ``Fitted``."""
        return {
            "ids": self.ids,
            "classes": self.classes,
            "mean": self.mean,
            "weights": self.weights,
            "k": np.array([self.k]),
        }


@dataclass(frozen=True, eq=False)
class Forest:
    """The mean of decision trees, all in one table of nodes.

    Attributes:
        roots: int64 (trees,), rows of the trees' first nodes.
        feature: int64 (nodes,), which feature a node asks for; -1 at a leaf.
        threshold: float64 (nodes,): up to it a clip goes left.
        left, right: int64 (nodes,), rows of the nodes below.
        value: float32 (nodes, classes), shares of the classes at a node.
    """

    roots: NDArray[np.int64]
    feature: NDArray[np.int64]
    threshold: Array
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: NDArray[np.float32]
    kind: ClassVar[str] = "forest"

    def scores(self, features: Vectors) -> Array:
        """See ``Fitted``."""
        total = np.zeros((len(features), self.value.shape[1]))
        for root in self.roots:
            at = np.full(len(features), root)
            asked = np.arange(len(features))
            while True:
                asked = asked[self.feature[at[asked]] >= 0]
                if not len(asked):
                    break
                node = at[asked]
                goes_left = features[asked, self.feature[node]] <= self.threshold[node]
                at[asked] = np.where(goes_left, self.left[node], self.right[node])
            total += self.value[at]
        return total / len(self.roots)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """See ``Fitted``."""
        names = ("roots", "feature", "threshold", "left", "right", "value")
        return {name: getattr(self, name) for name in names}


def to_bytes(fitted: Fitted, calibration: Mapping[str, NDArray[np.generic]]) -> bytes:
    """A classifier and its calibration as safetensors."""
    arrays = {f"{fitted.kind}.{name}": array for name, array in fitted.arrays().items()}
    arrays |= {f"calibration.{name}": array for name, array in calibration.items()}
    return save({name: np.ascontiguousarray(array) for name, array in arrays.items()})


def from_bytes(data: bytes) -> tuple[Fitted, dict[str, NDArray[np.generic]]]:
    """What ``to_bytes`` stored: the classifier and the arrays of its calibration.

    Raises:
        DatabaseError: it is something else.
    """
    parts: dict[str, dict[str, NDArray[np.generic]]] = {}
    try:
        for name, array in load(data).items():
            kind, _, rest = name.partition(".")
            parts.setdefault(kind, {})[rest] = array
        calibration = parts.pop("calibration")
        ((kind, arrays),) = parts.items()
        if kind not in _KINDS:
            raise ValueError(f"it is of an unknown kind {kind!r}")
        return _KINDS[kind](**arrays), calibration
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise DatabaseError(
            f"a stored classifier cannot be read ({error}); delete it and train it again"
        ) from error


_KINDS: dict[str, Callable[..., Fitted]] = {
    Linear.kind: Linear,
    Neighbours.kind: lambda k, **arrays: Neighbours(k=int(k[0]), **arrays),
    Forest.kind: Forest,
}
"""What a classifier is made by again, from its arrays."""

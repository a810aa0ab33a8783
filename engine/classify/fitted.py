"""Linear and random-forest classifiers as arrays (safetensors): nothing is unpickled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from emotion_search.index.errors import DatabaseError
from emotion_search.index.vectors.arrays import Vectors

Array = NDArray[np.float64]

_LEAST_SHARE = 1e-3  # of the votes; what no tree votes for is not impossible


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
        """Scores by class, float64 (n, classes), of features float32 (n, dim): the class of the
        highest is the decision. Log-likelihoods but for a constant, and too sure of themselves."""
        return np.asarray(features.astype(np.float64) @ self.weights + self.bias)


@dataclass(frozen=True, eq=False)
class Forest:
    """The log of the mean of decision trees, all in one table of nodes.

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
    kind: ClassVar[str] = "trees"

    def scores(self, features: Vectors) -> Array:
        """See ``Linear.scores``."""
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
        return np.log(np.maximum(total / len(self.roots), _LEAST_SHARE))


Fitted = Linear | Forest
"""A classifier that was fitted; its attributes are the arrays that it consists of."""


def to_bytes(fitted: Fitted, calibration: Mapping[str, NDArray[np.generic]]) -> bytes:
    """A classifier and its calibration as safetensors."""
    arrays = {f"{fitted.kind}.{name}": array for name, array in vars(fitted).items()}
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


_KINDS: dict[str, Callable[..., Fitted]] = {Linear.kind: Linear, Forest.kind: Forest}
"""What a classifier is made by again, from its arrays."""

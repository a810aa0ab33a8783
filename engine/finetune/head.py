"""The head: a classifier on the vectors of a frozen model, trained in seconds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from emotion_search.engine.embedders.acoustic.model import SCALE
from emotion_search.engine.finetune.bases import Base
from emotion_search.index.database.emotion_names import common

_STEPS = 400
_RATE = 0.02
_CHECK = 10  # steps between checks
_PATIENCE = 10  # checks without a better one
_DECAY = 0.01


def uar(labels: NDArray[np.int64], given: NDArray[np.int64]) -> float:
    """Unweighted average recall: the mean over the classes that there are of the share found."""
    return float(np.mean([np.mean(given[labels == one] == one) for one in np.unique(labels)]))


def class_weights(labels: NDArray[np.int64], classes: int) -> Tensor:
    """Weights by which every class counts the same: float32, (classes,), mean 1 over clips."""
    counts = np.bincount(labels, minlength=classes)
    return torch.tensor(len(labels) / (classes * counts), dtype=torch.float32)


def logits_of(vectors: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """(n, dim) to (n, classes): linear, or without a bias scaled cosines to the rows of
    ``weight``."""
    if bias is None:
        return SCALE * functional.normalize(vectors) @ functional.normalize(weight).T
    return functional.linear(vectors, weight, bias)


class LinearHead:
    """Logits ``x @ weight.T + bias`` of raw vectors, as emotion2vec has them.

    Args:
        vectors: that are trained on, (n, dim); they set the scale.
        began: weight and bias to begin with; None for nothing.
    """

    def __init__(self, vectors: Tensor, classes: int, began: tuple[Tensor, Tensor] | None) -> None:
        self._mean, self._deviation = vectors.mean(dim=0), vectors.std(dim=0).clamp(min=1e-6)
        if began is None:
            self.weight, self.bias = torch.zeros(classes, vectors.shape[1]), torch.zeros(classes)
        else:
            self.weight = began[0] * self._deviation
            self.bias = began[1] + began[0] @ self._mean
        self.parameters = [self.weight, self.bias]

    def logits(self, vectors: Tensor) -> Tensor:
        """(n, dim) to (n, classes)."""
        standard = (vectors - self._mean) / self._deviation
        return logits_of(standard, self.weight, self.bias)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight and bias for vectors as they are, the standardisation folded in."""
        weight = self.weight.detach() / self._deviation
        return weight, self.bias.detach() - weight @ self._mean


class CosineHead:
    """Logits of the built-in model: scaled cosines to a vector of each class.

    Args:
        vectors: that are trained on, (n, dim), and their ``labels``.
        began: vectors of the classes to begin with; None for the means of theirs.
    """

    def __init__(
        self, vectors: Tensor, labels: NDArray[np.int64], classes: int, began: Tensor | None
    ) -> None:
        if began is None:
            unit, rows = functional.normalize(vectors), torch.from_numpy(labels)
            means = torch.stack([unit[rows == one].mean(dim=0) for one in range(classes)])
            began = means - means.mean(dim=0)
        self.weight = functional.normalize(began)
        self.parameters = [self.weight]

    def logits(self, vectors: Tensor) -> Tensor:
        """(n, dim) to (n, classes)."""
        return logits_of(vectors, self.weight, None)

    def folded(self) -> tuple[Tensor, Tensor]:
        """The vectors of the classes, and no bias."""
        return self.weight.detach(), torch.zeros(len(self.weight))


def train_head(
    head: LinearHead | CosineHead,
    vectors: Tensor,
    labels: NDArray[np.int64],
    train: NDArray[np.intp],
    validation: NDArray[np.intp],
) -> float:
    """Train ``head`` on all training rows at once and leave it at its best; returns the UAR on the
    validation rows there.

    Cross-entropy with class weights, AdamW. Stops when the UAR of the validation rows, of equal
    ones the loss, has not become better for a while.
    """
    weights = class_weights(labels[train], int(labels.max()) + 1)
    wanted = torch.from_numpy(labels)
    for tensor in head.parameters:
        tensor.requires_grad_()
    optimizer = torch.optim.AdamW(head.parameters, lr=_RATE, weight_decay=_DECAY)
    best, kept, waited = (-1.0, 0.0), [t.detach().clone() for t in head.parameters], 0
    for step in range(_STEPS + 1):
        if step % _CHECK == 0:
            with torch.no_grad():
                logits = head.logits(vectors[validation])
                loss = functional.cross_entropy(logits, wanted[validation], weight=weights)
            value = (uar(labels[validation], logits.argmax(dim=1).numpy()), -float(loss))
            if value > best:
                best, kept, waited = value, [t.detach().clone() for t in head.parameters], 0
            else:
                waited += 1
            if waited >= _PATIENCE:
                break
        logits = head.logits(vectors[train])
        loss = functional.cross_entropy(logits, wanted[train], weight=weights)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        for tensor, good in zip(head.parameters, kept, strict=True):
            tensor.copy_(good)
    return best[0]


def own_head(base: Base, names: Sequence[str]) -> tuple[Tensor, Tensor] | None:
    """The base's own head for labels; None where some label means none of its classes, or two mean
    the same."""
    wanted = [one for one in mapping(names, base.classes).values() if one is not None]
    if len(set(wanted)) < len(names):
        return None
    rows = [base.classes.index(one) for one in wanted]
    weight, bias = base.head()
    return weight[rows], bias[rows]


def best_head(
    base: Base,
    vectors: Tensor,
    labels: NDArray[np.int64],
    train: NDArray[np.intp],
    validation: NDArray[np.intp],
    began: tuple[Tensor, Tensor] | None,
) -> tuple[Tensor, Tensor]:
    """The head that is best on the validation rows, from the base's own or from none."""
    classes = int(labels.max()) + 1
    head = (
        CosineHead(vectors[train], labels[train], classes, None if began is None else began[0])
        if base.cosine
        else LinearHead(vectors[train], classes, began)
    )
    train_head(head, vectors, labels, train, validation)
    return head.folded()


def given_by(base: Base, vectors: Tensor, head: tuple[Tensor, Tensor]) -> NDArray[np.int64]:
    """The class that a head gives to each vector."""
    weight, bias = head
    logits = logits_of(vectors, weight, None if base.cosine else bias)
    return np.asarray(logits.argmax(dim=1).numpy())


def mapping(classes: Sequence[str], before: Sequence[str]) -> dict[str, str | None]:
    """The base's class that means the same, by new class; None where there is none."""
    named = {common(one): one for one in before}
    return {one: named.get(common(one)) for one in classes}

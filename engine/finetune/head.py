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


def _train(
    vectors: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    labels: NDArray[np.int64],
    train: NDArray[np.intp],
    validation: NDArray[np.intp],
) -> None:
    """Train a head (see ``logits_of``), in place, on all training rows at once and leave it at its
    best.

    Cross-entropy with class weights, AdamW. Stops when the UAR of the validation rows, of equal
    ones the loss, has not become better for a while.
    """
    weights = class_weights(labels[train], int(labels.max()) + 1)
    wanted = torch.from_numpy(labels)
    parameters = [weight] if bias is None else [weight, bias]
    for tensor in parameters:
        tensor.requires_grad_()
    optimizer = torch.optim.AdamW(parameters, lr=_RATE, weight_decay=_DECAY)
    best, kept, waited = (-1.0, 0.0), [t.detach().clone() for t in parameters], 0
    for step in range(_STEPS + 1):
        if step % _CHECK == 0:
            with torch.no_grad():
                logits = logits_of(vectors[validation], weight, bias)
                loss = functional.cross_entropy(logits, wanted[validation], weight=weights)
            value = (uar(labels[validation], logits.argmax(dim=1).numpy()), -float(loss))
            if value > best:
                best, kept, waited = value, [t.detach().clone() for t in parameters], 0
            else:
                waited += 1
            if waited >= _PATIENCE:
                break
        logits = logits_of(vectors[train], weight, bias)
        loss = functional.cross_entropy(logits, wanted[train], weight=weights)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    for tensor, good in zip(parameters, kept, strict=True):
        tensor.requires_grad_(False).copy_(good)


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
    """The head that is best on the validation rows: weight and bias for vectors as they are, from
    those to begin with, or from none."""
    classes = int(labels.max()) + 1
    if base.cosine:
        weight = _means(vectors[train], labels[train], classes) if began is None else began[0]
        weight = functional.normalize(weight)
        _train(vectors, weight, None, labels, train, validation)
        return weight, torch.zeros(classes)
    mean, deviation = vectors[train].mean(dim=0), vectors[train].std(dim=0).clamp(min=1e-6)
    if began is None:
        weight, bias = torch.zeros(classes, vectors.shape[1]), torch.zeros(classes)
    else:
        weight, bias = began[0] * deviation, began[1] + began[0] @ mean
    _train((vectors - mean) / deviation, weight, bias, labels, train, validation)
    weight = weight / deviation
    return weight, bias - weight @ mean


def _means(vectors: Tensor, labels: NDArray[np.int64], classes: int) -> Tensor:
    """Means of the classes' directions, (classes, dim), less the mean of all."""
    unit, rows = functional.normalize(vectors), torch.from_numpy(labels)
    means = torch.stack([unit[rows == one].mean(dim=0) for one in range(classes)])
    return means - means.mean(dim=0)


def given_by(base: Base, vectors: Tensor, head: tuple[Tensor, Tensor]) -> NDArray[np.int64]:
    """The class that a head gives to each vector."""
    weight, bias = head
    logits = logits_of(vectors, weight, None if base.cosine else bias)
    return np.asarray(logits.argmax(dim=1).numpy())


def mapping(classes: Sequence[str], before: Sequence[str]) -> dict[str, str | None]:
    """The base's class that means the same, by new class; None where there is none."""
    named = {common(one): one for one in before}
    return {one: named.get(common(one)) for one in classes}

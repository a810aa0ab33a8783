"""Classification probes: what a simple classifier reads off the embeddings of unseen speakers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

from emotion_search.engine.quality.labelled import LabelledVectors
from emotion_search.engine.quality.measure import measure

Split = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Rows to train on, and rows to classify."""

_MOST_FOLDS = 10  # more speakers than this are left out some at a time
_NEIGHBOURS = 15


@dataclass(frozen=True)
class Probe:
    """How a classifier did on clips of speakers (or recordings) it was not trained on.

    Attributes:
        name: ``linear`` or ``k-NN``.
        uar: unweighted average recall, the mean over classes of the share found.
        chance: UAR of guessing, one over the number of classes.
        folds: how often it was trained.
        confusion: clips by true class (rows) and class given (columns), as ``classes``.
        classes: in order.
    """

    name: str
    uar: float
    chance: float
    folds: int
    confusion: tuple[tuple[int, ...], ...]
    classes: tuple[str, ...]


def probe(data: LabelledVectors, *, seed: int) -> list[Probe]:
    """A linear and a k-NN classifier, each clip classified by one trained without its speaker.

    Leave-one-speaker-out up to ten speakers, beyond that groups of speakers; by recording where
    speakers are not known. Classes that one such group alone has cannot be found and are left out.
    None where there are fewer than two classes.
    """
    shared = [one for one in data.classes if len(np.unique(data.groups[data.labels == one])) > 1]
    if len(shared) < 2:
        return []
    data = data.part(np.flatnonzero(np.isin(data.labels, shared)))
    folds = min(_MOST_FOLDS, len(np.unique(data.groups)))
    splits = list(
        GroupKFold(folds, shuffle=True, random_state=seed).split(data.vectors, groups=data.groups)
    )
    linear = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000)
    )
    nearest = make_pipeline(
        StandardScaler(with_std=False),
        Normalizer(),
        KNeighborsClassifier(_NEIGHBOURS, weights="distance"),
    )
    return [_run("linear", linear, data, splits), _run(f"{_NEIGHBOURS}-NN", nearest, data, splits)]


def _run(name: str, classifier: Pipeline, data: LabelledVectors, splits: Sequence[Split]) -> Probe:
    classes = data.classes
    given = np.empty_like(data.labels)
    for train, test in splits:
        if len(np.unique(data.labels[train])) < 2:
            given[test] = data.labels[train][0]
            continue
        if "kneighborsclassifier" in classifier.named_steps:
            most = min(_NEIGHBOURS, len(data.labels[train]))
            classifier.set_params(kneighborsclassifier__n_neighbors=most)
        given[test] = classifier.fit(data.vectors[train], data.labels[train]).predict(
            data.vectors[test]
        )
    true, found = (np.searchsorted(classes, some) for some in (data.labels, given))
    measured = measure(true, found, data.groups, len(classes), rounds=0)
    return Probe(
        name, measured.uar.value, 1 / len(classes), len(splits), measured.confusion, tuple(classes)
    )

"""Evaluation of search on labelled clips: retrieval, methods of space, probes, calibration."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from emotion_search.engine.quality.calibration import CalibrationCheck, check_calibration
from emotion_search.engine.quality.labelled import LabelledVectors, Strings
from emotion_search.engine.quality.probes import Probe, probe
from emotion_search.engine.quality.retrieval import METRICS, Array, Gallery, judge
from emotion_search.engine.quality.summary import Estimate, over_classes, over_queries
from emotion_search.engine.quality.tune import compare_methods
from emotion_search.index.database.embeddings import draw
from emotion_search.index.vectors.space import Method, Space

QUERIES = 2000
"""Most queries; beyond, a random sample asks."""


@dataclass(frozen=True)
class Evaluation:
    """How good retrieval is on labelled clips.

    Attributes:
        name: the model, or the file of the vectors.
        space: the method of the space that similarity was taken in.
        learned: a learned space was asked about; as it has seen labels, everything but ``steps``
            was measured in the plain space instead.
        clips: by class.
        speakers: how many; None where they are not all known.
        gallery: what galleries left out besides the query.
        queries: how many asked; ``unanswerable`` more had nothing to find.
        micro: by metric, the mean over queries.
        macro: by metric, the mean over classes of the mean over the class's queries.
        by_class: mean of each metric by class.
        chance: ``micro`` of galleries in random order; ``chance_macro`` likewise.
        steps: mAP by method of space on halves of the speakers it was not fitted to.
        probes: classifiers on speakers they were not trained on.
        calibration: what percentiles mean; None where there are too few speakers.
    """

    name: str
    space: str
    learned: bool
    clips: dict[str, int]
    speakers: int | None
    gallery: str
    queries: int
    unanswerable: int
    micro: dict[str, Estimate]
    macro: dict[str, Estimate]
    by_class: dict[str, dict[str, float]]
    chance: dict[str, float]
    chance_macro: dict[str, float]
    steps: dict[str, float]
    probes: tuple[Probe, ...]
    calibration: CalibrationCheck | None

    def record(self) -> dict[str, Any]:
        """Everything as plain data."""
        return asdict(self)


def evaluate(
    data: LabelledVectors,
    space: Space,
    *,
    gallery: Gallery | None = None,
    rounds: int = 1000,
    seed: int = 0,
) -> Evaluation:
    """The evaluation of labelled clips in a space.

    A learned space was fitted to the labels of these clips or of clips by these speakers, and finds
    them again: in its place the plain space is measured. What learning is worth on speakers that
    the space was not fitted to is in ``steps``.

    Args:
        data: embeddings, not in any space yet.
        gallery: None for other speakers where they are known, else other recordings.
        rounds: bootstrap samples of the speakers (or recordings) for confidence intervals.

    Raises:
        InvalidInputError: see ``judge``.
    """
    known = data.speakers is not None and len(np.unique(data.speakers)) > 1
    if gallery is None:
        gallery = Gallery.SPEAKER if known else Gallery.RECORDING
    learned = space.method.learned
    if learned:
        space = Space(Method.BASELINE, space.mean) if space.method.grouped else Space()
    turned = data.turned(space)
    judged = judge(turned, gallery, draw(np.arange(len(data.labels)), QUERIES, seed=seed))
    labels = data.labels[judged.queries]
    groups = data.groups[judged.queries]
    micro = over_queries(judged.values, groups, rounds=rounds, seed=seed)
    macro = over_classes(judged.values, labels, groups, rounds=rounds, seed=seed)
    names, counts = np.unique(data.labels, return_counts=True)
    return Evaluation(
        name=data.name,
        space=space.method.value,
        learned=learned,
        clips=dict(zip(names.tolist(), counts.tolist(), strict=True)),
        speakers=None if data.speakers is None else len(np.unique(data.speakers)),
        gallery=gallery.value,
        queries=len(judged.queries),
        unanswerable=judged.unanswerable,
        micro=dict(zip(METRICS, micro, strict=True)),
        macro=dict(zip(METRICS, macro, strict=True)),
        by_class={k: _named(v) for k, v in _class_means(judged.values, labels).items()},
        chance=_named(judged.chance.mean(axis=0)),
        chance_macro=_named(np.mean([*_class_means(judged.chance, labels).values()], axis=0)),
        steps={method.value: quality for method, quality in compare_methods(data).items()},
        probes=tuple(probe(turned, seed=seed)),
        calibration=check_calibration(turned, seed=seed),
    )


def _class_means(values: Array, labels: Strings) -> dict[str, Array]:
    """By class, the mean over its queries of each column."""
    return {str(name): values[labels == name].mean(axis=0) for name in np.unique(labels)}


def _named(values: Array) -> dict[str, float]:
    return dict(zip(METRICS, values.tolist(), strict=True))

"""Evaluation of search on labelled clips: retrieval, confounds, class scores, percentiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.machine.progress import Progress, unwatched
from emotion_search.engine.machine.threads import alone
from emotion_search.engine.quality.calibration import CalibrationCheck, check_calibration
from emotion_search.engine.quality.confounds import Share, Triplets, confounds
from emotion_search.engine.quality.labelled import LabelledVectors, Strings
from emotion_search.engine.quality.methods import compare_methods
from emotion_search.engine.quality.probes import Probe, probe
from emotion_search.engine.quality.ranks import rank_correlations
from emotion_search.engine.quality.retrieval import METRICS, Array, Gallery, groups, judge_apart
from emotion_search.engine.quality.scores import ClassScores, judge_scores
from emotion_search.engine.quality.summary import Estimate, over_classes, over_queries
from emotion_search.index.database.embeddings import draw
from emotion_search.index.errors import InvalidInputError
from emotion_search.index.vectors.space import Method, Space

QUERIES = 2000
"""Most queries; beyond, a random sample asks."""


@dataclass(frozen=True)
class Retrieval:
    """How good retrieval is in one kind of gallery.

    Attributes:
        gallery: what galleries left out besides the query: clips of the same ``speaker``,
            ``recording`` or ``source``, or ``none``.
        queries: how many asked; ``unanswerable`` more had nothing to find.
        micro: by metric, the mean over queries.
        macro: by metric, the mean over classes of the mean over the class's queries.
        by_class: mean of each metric by class.
        chance: ``micro`` of galleries in random order; ``chance_macro`` likewise.
    """

    gallery: str
    queries: int
    unanswerable: int
    micro: dict[str, Estimate]
    macro: dict[str, Estimate]
    by_class: dict[str, dict[str, float]]
    chance: dict[str, float]
    chance_macro: dict[str, float]


@dataclass(frozen=True)
class Evaluation(Retrieval):
    """How good retrieval is on labelled clips, and what else nearness follows.

    Attributes:
        name: the model, or the file of the vectors.
        space: the method of the space that similarity was taken in.
        learned: a learned space was asked about; as it has seen labels, everything but ``steps``
            and ``calibration`` was measured in the plain space (of baselines) instead.
        clips: by class.
        speakers: how many; None where they are not all known.
        by: whose halves ``steps`` and ``calibration`` are of; see ``LabelledVectors.by``.
        galleries: the same in other galleries: with the speaker kept in (``recording``), where no
            gallery was asked for and speakers are known; among other sources (``source``), where
            there are several.
        triplets: by what the distractor shares with the anchor; see ``confounds``.
        nearest: how many of the ten nearest are of the query's own source, speaker, recording.
        left_out: kinds of triplets and galleries that could not be measured, and why.
        scores: the model's own class scores against the labels; None where it has none.
        ranks: Spearman's correlation of labels that are numbers with valence, arousal and
            dominance, by dimension; see ``ranks``.
        steps: mAP by method of space on halves of the speakers it was not fitted to.
        probes: classifiers on speakers they were not trained on.
        calibration: what percentiles mean; None where there are too few speakers.
    """

    name: str
    space: str
    learned: bool
    clips: dict[str, int]
    speakers: int | None
    by: str
    galleries: tuple[Retrieval, ...]
    triplets: dict[str, Triplets]
    nearest: dict[str, Share]
    left_out: dict[str, str]
    scores: ClassScores | None
    ranks: dict[str, Estimate]
    steps: dict[str, float]
    probes: tuple[Probe, ...]
    calibration: CalibrationCheck | None


@alone
def evaluate(
    data: LabelledVectors,
    space: Space,
    *,
    gallery: str | None = None,
    rounds: int = 1000,
    seed: int = 0,
    progress: Progress = unwatched,
) -> Evaluation:
    """The evaluation of labelled clips in a space.

    A learned space was fitted to the labels of these clips or of clips by these speakers, and finds
    them again: in its place the plain space (of baselines) is measured. What learning is worth on
    speakers that the space was not fitted to is in ``steps``.

    Args:
        data: embeddings, not in any space yet.
        gallery: None for other speakers where they are known, else other recordings.
        rounds: bootstrap samples of the speakers (or recordings) for confidence intervals.
        progress: of ``compare_methods``, which takes longest.

    Raises:
        InvalidInputError: no such ``gallery``; see also ``judge``.
    """
    if gallery is not None and gallery not in list(Gallery):
        raise InvalidInputError(f"gallery {gallery}: choose {', '.join(Gallery)}")
    known = data.speakers is not None and len(np.unique(data.speakers)) > 1
    wanted = [Gallery(gallery or ("speaker" if known else "recording"))]
    if gallery is None and known:
        wanted.append(Gallery.RECORDING)
    learned, method = space.method.learned, space.method
    if learned:
        space = Space(Method.BASELINE, space.mean) if method.grouped else Space()
    turned = data.turned(space)
    queries = draw(np.arange(len(data.labels)), QUERIES, seed=seed)

    def retrieval(name: str, group: Strings | None) -> Retrieval:
        return _retrieval(turned, queries, name, group, rounds=rounds, seed=seed)

    main, *others = [retrieval(one.value, groups(data, one)) for one in wanted]
    found = confounds(turned, queries, rounds=rounds, seed=seed)
    left_out = dict(found.left_out)
    if data.sources is not None and len(np.unique(data.sources)) > 1:
        try:
            others.append(retrieval("source", data.sources))
        except InvalidInputError:
            left_out["other sources"] = "no label is in two sources"
    probes = tuple(probe(turned, seed=seed))
    if probes and (alone := sorted({*data.classes} - {*probes[0].classes})):
        left_out["probes"] = f"classes that one speaker alone has: {', '.join(alone)}"
    names, counts = np.unique(data.labels, return_counts=True)
    return Evaluation(
        **vars(main),
        name=data.name,
        space=space.method.value,
        learned=learned,
        clips=dict(zip(names.tolist(), counts.tolist(), strict=True)),
        speakers=None if data.speakers is None else len(np.unique(data.speakers)),
        by=data.by,
        galleries=tuple(others),
        triplets=found.triplets,
        nearest=found.nearest,
        left_out=left_out,
        scores=judge_scores(data, rounds=rounds, seed=seed),
        ranks=rank_correlations(data, rounds=rounds, seed=seed),
        steps={
            method.value: quality.precision
            for method, quality in compare_methods(data, progress).items()
        },
        probes=probes,
        calibration=check_calibration(data, method, seed=seed),
    )


def _retrieval(
    data: LabelledVectors,
    queries: NDArray[np.intp],
    gallery: str,
    group: Strings | None,
    *,
    rounds: int,
    seed: int,
) -> Retrieval:
    judged = judge_apart(data, group, queries)
    labels, voices = data.labels[judged.queries], data.groups[judged.queries]
    micro = over_queries(judged.values, voices, rounds=rounds, seed=seed)
    macro = over_classes(judged.values, labels, voices, rounds=rounds, seed=seed)
    return Retrieval(
        gallery=gallery,
        queries=len(judged.queries),
        unanswerable=judged.unanswerable,
        micro=dict(zip(METRICS, micro, strict=True)),
        macro=dict(zip(METRICS, macro, strict=True)),
        by_class={k: _named(v) for k, v in _class_means(judged.values, labels).items()},
        chance=_named(judged.chance.mean(axis=0)),
        chance_macro=_named(np.mean([*_class_means(judged.chance, labels).values()], axis=0)),
    )


def _class_means(values: Array, labels: Strings) -> dict[str, Array]:
    """By class, the mean over its queries of each column."""
    return {str(name): values[labels == name].mean(axis=0) for name in np.unique(labels)}


def _named(values: Array) -> dict[str, float]:
    return dict(zip(METRICS, values.tolist(), strict=True))

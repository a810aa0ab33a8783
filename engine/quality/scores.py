"""A model's own class scores against labels: UAR, confusion, calibration error, shares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emotion_search.engine.quality.labelled import LabelledVectors
from emotion_search.engine.quality.measure import Bin, by_width, measure, reliability
from emotion_search.engine.quality.summary import Estimate
from emotion_search.index.database.emotion_names import common


@dataclass(frozen=True)
class ClassScores:
    """How well the class of the highest score agrees with the label.

    Attributes:
        clips: that were looked at.
        unmatched: clips by label that is no class of the model, which were left out.
        unscored: clips left out because they have no scores.
        classes: of the model, in its order.
        uar: unweighted average recall over the classes that are labels, of the highest score of
            all classes.
        uar_own: the same of the highest score of these classes alone.
        chance, chance_own: UAR of guessing among all classes, and among these.
        confusion: clips by label (rows) and class of the highest score (columns), as ``classes``.
        error: expected calibration error: the mean over clips of the distance between the highest
            score and the share that was right, in bins of equal width (Guo et al., ICML 2017).
        bins: these bins, of those that hold clips.
        labelled, given: share of the clips by class, of labels and of highest scores.
    """

    clips: int
    unmatched: dict[str, int]
    unscored: int
    classes: tuple[str, ...]
    uar: Estimate
    uar_own: Estimate
    chance: float
    chance_own: float
    confusion: tuple[tuple[int, ...], ...]
    error: float
    bins: tuple[Bin, ...]
    labelled: dict[str, float]
    given: dict[str, float]


def judge_scores(data: LabelledVectors, *, rounds: int, seed: int) -> ClassScores | None:
    """Class scores against labels, matched by their common names: ``anger`` is ``angry``.

    None where the model gives no scores, or fewer than two labels are classes of it.
    """
    if data.scores is None:
        return None
    names = [common(name) for name in data.score_classes]
    number = len(names)
    values, row = np.unique(data.labels, return_inverse=True)
    classes = np.array([names.index(common(v)) if common(v) in names else -1 for v in values])
    matched = classes[row] >= 0
    scored = np.isfinite(data.scores).all(axis=1)
    kept = matched & scored
    true, scores = classes[row][kept], data.scores[kept].astype(np.float64)
    own = np.unique(true)
    if len(own) < 2:
        return None
    groups = data.groups[kept]
    highest = scores.argmax(axis=1)
    every = measure(true, highest, groups, number, rounds=rounds, seed=seed)
    among = measure(
        np.searchsorted(own, true),
        scores[:, own].argmax(axis=1),
        groups,
        len(own),
        rounds=rounds,
        seed=seed,
    )
    confidence = scores.max(axis=1)
    bins, error = reliability(confidence, highest == true, by_width(confidence))
    lost, counts = np.unique(data.labels[~matched], return_counts=True)

    def shares(found: np.ndarray[tuple[int], np.dtype[np.intp]]) -> dict[str, float]:
        part = np.bincount(found, minlength=number) / len(found)
        return dict(zip(data.score_classes, part.tolist(), strict=True))

    return ClassScores(
        clips=len(true),
        unmatched=dict(zip(lost.tolist(), counts.tolist(), strict=True)),
        unscored=int((matched & ~scored).sum()),
        classes=data.score_classes,
        uar=every.uar,
        uar_own=among.uar,
        chance=1 / number,
        chance_own=1 / len(own),
        confusion=every.confusion,
        error=error,
        bins=tuple(bins),
        labelled=shares(true),
        given=shares(highest),
    )

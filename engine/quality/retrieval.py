"""Retrieval metrics on labelled clips: mAP, precision@k and recall@k, beside chance."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.quality.labelled import LabelledVectors, Strings
from emotion_search.index.errors import UnusableError
from emotion_search.index.vectors.arrays import normalise

Array = NDArray[np.float64]

_BLOCK = 256  # queries compared with the gallery at once


class Gallery(StrEnum):
    """What a query's gallery leaves out besides the query itself."""

    SPEAKER = "speaker"
    RECORDING = "recording"
    NONE = "none"


METRICS = ("mAP", "P@1", "P@10", "R@10", "R@100")
"""Average precision, precision of the first 1 and 10 hits, recall among the first 10 and 100."""


@dataclass(frozen=True, eq=False)
class Judged:
    """What each query found.

    Attributes:
        queries: rows of the clips that were queries, (q,).
        values: (q, ``METRICS``), of each query.
        chance: (q, ``METRICS``), expected of galleries in random order.
        unanswerable: queries left out because nothing in their gallery has their label.
    """

    queries: NDArray[np.intp]
    values: Array
    chance: Array
    unanswerable: int


def groups(data: LabelledVectors, gallery: Gallery) -> Strings | None:
    """The group of each clip whose members are no hits for each other; None for no groups.

    Raises:
        InvalidInputError: the speakers are not known, or there is a single one.
    """
    if gallery is Gallery.NONE:
        return None
    if gallery is Gallery.RECORDING:
        return data.recordings
    if data.speakers is None:
        raise UnusableError(
            "galleries of other speakers need the speaker of every labelled clip; name speakers"
            " in a manifest, or choose --exclude-same recording"
        )
    if len(np.unique(data.speakers)) < 2:
        raise UnusableError(
            "galleries of other speakers need two speakers; all labelled clips are of one:"
            " choose --exclude-same recording"
        )
    return data.speakers


def judge(
    data: LabelledVectors, gallery: Gallery, queries: NDArray[np.intp] | None = None
) -> Judged:
    """Every query against the gallery of all other clips that its group does not hold.

    Clips are ranked by cosine, ties by row. Average precision is the mean, over the relevant
    clips (those with the query's label), of the precision at each one's rank, as scikit-learn's
    ``average_precision_score`` has it. Its chance is the exact expectation of a random order,
    (R - 1)(N - H) / (N (N - 1)) + H / N with H the N-th harmonic number (Bestgen, 2015).

    Args:
        queries: rows of the clips to ask with; None for all.

    Raises:
        InvalidInputError: the galleries cannot be made, or no query can be answered.
    """
    return judge_apart(data, groups(data, gallery), queries)


def judge_apart(
    data: LabelledVectors, group: Strings | None, queries: NDArray[np.intp] | None = None
) -> Judged:
    """As ``judge``: queries against the clips of other groups, (n,), than their own."""
    unit = normalise(data.vectors)
    rows = np.arange(len(unit)) if queries is None else queries
    labels = np.unique(data.labels, return_inverse=True)[1]
    kept, values, chance = [], [], []
    for block in np.array_split(rows, max(1, -(-len(rows) // _BLOCK))):
        similarity = unit[block] @ unit.T
        for row, similar in zip(block, similarity, strict=True):
            away = np.arange(len(unit)) != row if group is None else group != group[row]
            away[row] = False
            ranked = np.argsort(-similar[away], kind="stable")
            relevant = (labels[away] == labels[row])[ranked]
            if relevant.any():
                kept.append(row)
                values.append(_metrics(relevant))
                chance.append(_chance(len(relevant), int(relevant.sum())))
    if not kept:
        raise UnusableError(
            "no query can be answered: in no gallery is there a clip with the query's label;"
            " label more clips, or exclude less"
        )
    found = np.array(kept, dtype=np.intp)
    return Judged(found, np.array(values), np.array(chance), len(rows) - len(kept))


def _metrics(relevant: NDArray[np.bool_]) -> list[float]:
    at = np.flatnonzero(relevant)
    precision = np.arange(1, len(at) + 1) / (at + 1)
    return [
        float(precision.mean()),
        float(relevant[0]),
        float(relevant[:10].mean()),
        float((at < 10).mean()),
        float((at < 100).mean()),
    ]


def _chance(gallery: int, relevant: int) -> list[float]:
    share = relevant / gallery
    harmonic = float((1 / np.arange(1, gallery + 1)).sum())
    average = 1.0
    if gallery > 1:
        average = (relevant - 1) * (gallery - harmonic) / (gallery * (gallery - 1))
        average += harmonic / gallery
    return [average, share, share, min(1.0, 10 / gallery), min(1.0, 100 / gallery)]

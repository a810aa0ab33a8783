"""Comparison of the methods of a space: fitted to one half of the speakers, judged on the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.machine.progress import Progress, unwatched
from emotion_search.engine.quality.confounds import confounds
from emotion_search.engine.quality.labelled import LabelledVectors
from emotion_search.engine.quality.retrieval import Gallery, judge
from emotion_search.index.database.embeddings import draw
from emotion_search.index.errors import InvalidInputError
from emotion_search.index.vectors.space import Method, fit_space

_ROUNDS = 4  # random halves of the speakers; each half is fitted to once and judged once
_QUERIES = 1000  # of each half


class Quality(NamedTuple):
    """How good a method is on speakers that it was not fitted to.

    Attributes:
        precision: mAP with galleries of other speakers.
        triplets: share of the triplets that are right whose distractor shares the anchor's speaker,
            sentence or source, mean over those kinds of which there are any; 0.5 where there are
            none.
    """

    precision: float
    triplets: float

    @property
    def total(self) -> float:
        """What methods are compared by."""
        return self.precision + self.triplets


def compare_methods(data: LabelledVectors, progress: Progress = unwatched) -> dict[Method, Quality]:
    """Each method on halves of the speakers that it was not fitted to; baselines, which know no
    labels, are those of all clips.

    Empty where there are too few speakers (or recordings) for that.
    """
    gallery = Gallery.RECORDING if data.speakers is None else Gallery.SPEAKER
    methods = [one for one in Method if data.centres is not None or not one.grouped]
    found: dict[Method, list[Quality]] = {method: [] for method in methods}
    halves = list(_halves(data.groups))
    for number, (fitted, others) in enumerate(halves):
        progress(number, len(halves))
        try:
            some, rest = data.part(fitted), data.part(others)
            queries = draw(np.arange(len(others)), _QUERIES)
            values = {
                method: _judged(
                    rest.turned(fit_space(method, some.vectors, some.labels, some.centres)),
                    gallery,
                    queries,
                )
                for method in methods
            }
        except InvalidInputError:  # a half with a single class, for one
            continue
        for method, quality in values.items():
            found[method].append(quality)
    return {method: Quality(*np.mean(one, axis=0).tolist()) for method, one in found.items() if one}


def _judged(data: LabelledVectors, gallery: Gallery, queries: NDArray[np.intp]) -> Quality:
    precision = float(judge(data, gallery, queries).values[:, 0].mean())
    triplets = confounds(data, queries, rounds=0, seed=0).triplets
    right = [one.right.value for kind, one in triplets.items() if kind != "nothing"]
    return Quality(precision, float(np.mean(right)) if right else 0.5)


def _halves(groups: NDArray[np.str_]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Rows of one half of the groups and of the other, each way round, some times over."""
    names = np.unique(groups)
    if len(names) < 4:
        return
    random = np.random.default_rng(0)
    for _ in range(_ROUNDS // 2):
        chosen = np.isin(groups, random.permutation(names)[: len(names) // 2])
        yield np.flatnonzero(chosen), np.flatnonzero(~chosen)
        yield np.flatnonzero(~chosen), np.flatnonzero(chosen)

"""Active learning: the unlabelled clips that are most worth labelling next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.classify.apply import Ready, load_classifier
from emotion_search.engine.clusters.kmeans import assign, fit_centres
from emotion_search.index.database.clips import ClipDetails, clip_details
from emotion_search.index.database.connection import Database, Session
from emotion_search.index.database.embeddings import (
    draw,
    embedded_ids,
    embeddings_in_order,
    vectors_by_id,
)
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.labels import labelled_ids
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.spaces import ArchiveSpace, active_space
from emotion_search.index.errors import InvalidInputError, ModelMismatchError, NotFoundError
from emotion_search.index.vectors.arrays import Ids

MOST = 500
"""Most clips that are suggested at once."""

_POOL = 20  # uncertain clips kept for each that is suggested
_DOUBTFUL = 0.5  # of the doubt of the last clip that doubt alone would suggest
_SAMPLE = 10_000  # clips, and unlabelled ones, looked at where there is no classifier yet


class NothingToSuggestError(InvalidInputError):
    """Every clip that is meant has its label, or none is meant."""


@dataclass(frozen=True)
class Suggestion:
    """A clip that is worth labelling.

    Attributes:
        value, probability: the prediction of the classifier; None where there is none yet.
        uncertainty: 1 where its two likeliest classes are equally likely, 0 where it is sure;
            None where there is no classifier yet.
        why: in words.
    """

    clip: ClipDetails
    value: str | None
    probability: float | None
    uncertainty: float | None
    why: str


def suggest(
    database: Database,
    model: ModelInfo,
    *,
    task: str,
    limit: int = 20,
    wanted: ClipFilter | None = None,
    seed: int = 0,
) -> list[Suggestion]:
    """The unlabelled clips that are most worth labelling under a task, best first.

    With a classifier: among the clips whose two likeliest classes are nearest to each other (the
    smallest margin), one from each of as many clusters, so that they are not all alike, and of
    different recordings while there are any (Zhdanov, *Diverse mini-batch
    active learning*, 2019). Without one yet: clips typical of parts of the archive, first of those
    that have no labels.

    Raises:
        InvalidInputError: a limit out of range.
        NothingToSuggestError: nothing is left to label.
    """
    if not 1 <= limit <= MOST:
        raise InvalidInputError(f"limit must be 1 to {MOST}, not {limit}")
    with database.read() as session:
        known = labelled_ids(session, task)
        ids = embedded_ids(session, model, wanted or ClipFilter())
        unlabelled = ids[~np.isin(ids, known)]
        if not len(unlabelled):
            what = "no clip matches" if not len(ids) else "every clip that matches is labelled"
            raise NothingToSuggestError(f"nothing to suggest under the task {task}: {what}")
        try:
            ready = load_classifier(session, model, task)
        except (NotFoundError, ModelMismatchError) as error:
            mismatch = f"; {error}" if isinstance(error, ModelMismatchError) else ""
            space = active_space(session, model)
            return _typical(session, model, space, ids, unlabelled, known, limit, seed, mismatch)
        return _uncertain(session, model, ready, unlabelled, limit, seed)


def _uncertain(
    session: Session, model: ModelInfo, ready: Ready, ids: Ids, limit: int, seed: int
) -> list[Suggestion]:
    parts = []
    for some, vectors in vectors_by_id(session, model, ids):
        given, chances = ready.decide(session, some, vectors)
        ordered = np.sort(chances, axis=1)
        doubt = 1 - (ordered[:, -1] - ordered[:, -2])
        parts.append((some, doubt, given, chances[np.arange(len(some)), given]))
    ids, doubt, given, sure = (np.concatenate(column) for column in zip(*parts, strict=True))
    pool = np.lexsort((ids, -doubt))[: _POOL * limit]
    pool = pool[doubt[pool] >= _DOUBTFUL * doubt[pool[min(limit, len(pool)) - 1]]]
    ids, doubt, given, sure = ids[pool], doubt[pool], given[pool], sure[pool]
    vectors = ready.space.turn(session, ids, embeddings_in_order(session, model, ids))
    clusters = assign(vectors, fit_centres(vectors, min(limit, len(ids)), seed=seed))[0]
    details = {clip.id: clip for clip in clip_details(session, model, ids.tolist())}
    rows = _spread(doubt, clusters, [details[i].recording_id for i in ids.tolist()])
    return [
        Suggestion(
            details[int(ids[row])],
            ready.info.classes[given[row]],
            float(sure[row]),
            float(doubt[row]),
            f"{ready.info.task} {ready.info.version} is not sure",
        )
        for row in rows[:limit]
    ]


def _typical(
    session: Session,
    model: ModelInfo,
    space: ArchiveSpace,
    ids: Ids,
    unlabelled: Ids,
    known: Ids,
    limit: int,
    seed: int,
    mismatch: str,
) -> list[Suggestion]:
    drawn = np.union1d(draw(ids, _SAMPLE, seed=seed), draw(unlabelled, _SAMPLE, seed=seed))
    parts = [
        (some, space.turn(session, some, v)) for some, v in vectors_by_id(session, model, drawn)
    ]
    drawn, vectors = (np.concatenate(list(column)) for column in zip(*parts, strict=True))
    number = min(2 * limit, len(drawn))
    clusters, similarity = assign(vectors, fit_centres(vectors, number, seed=seed))
    free = np.isin(drawn, unlabelled)
    labels = np.bincount(clusters[np.isin(drawn, known)], minlength=number)
    sizes = np.bincount(clusters, minlength=number)
    rounds = np.zeros(len(drawn))
    for cluster in range(number):  # the first of each cluster, then the second of each, …
        rows = np.flatnonzero((clusters == cluster) & free)
        rounds[rows[np.argsort(-similarity[rows], kind="stable")]] = np.arange(len(rows))
    order = np.lexsort((-sizes[clusters], labels[clusters], rounds))
    rows = order[free[order]][:limit]
    details = clip_details(session, model, drawn[rows].tolist())
    return [
        Suggestion(
            clip,
            None,
            None,
            None,
            f"typical of {sizes[clusters[row]]} clips"
            + ("" if labels[clusters[row]] else ", none of them labelled")
            + mismatch,
        )
        for clip, row in zip(details, rows, strict=True)
    ]


def _spread(
    doubt: NDArray[np.float64], clusters: NDArray[np.int32], recordings: list[int]
) -> list[int]:
    """Rows, the most doubtful of each cluster first; of a recording that had its turn only once
    the others are through."""
    order = np.argsort(-doubt, kind="stable")
    turn: dict[int, int] = {}
    shown: dict[int, int] = {}
    keys: list[tuple[int, int, int, int]] = []
    for row in order.tolist():
        cluster, recording = int(clusters[row]), recordings[row]
        keys.append((shown.get(recording, 0), turn.get(cluster, 0), len(keys), row))
        turn[cluster] = turn.get(cluster, 0) + 1
        shown[recording] = shown.get(recording, 0) + 1
    return [row for *_, row in sorted(keys)]

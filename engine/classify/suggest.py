"""Active learning: the unlabelled clips that are most worth labelling next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emotion_search.engine.classify.apply import Ready, load_classifier
from emotion_search.engine.clusters.kmeans import assign, fit_centres
from emotion_search.engine.machine.threads import alone
from emotion_search.index.database.clips import ClipDetails, clip_details
from emotion_search.index.database.connection import Database, Session
from emotion_search.index.database.embeddings import draw, embedded_ids, vectors_by_id
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.labels import labelled_ids
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.spaces import ArchiveSpace, active_space
from emotion_search.index.errors import (
    DatabaseError,
    InvalidInputError,
    ModelMismatchError,
    NotFoundError,
)
from emotion_search.index.vectors.arrays import Ids

MOST = 500
"""Most clips that are suggested at once."""

_POOL = 20  # clips drawn for each that is suggested, so that recordings can take turns
_LEAST_DOUBT = 1e-6
_SURE = 0.9  # probability from which on a classifier is called sure
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


@alone
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

    With a classifier: drawn at random, a clip as many times as likely as another as its doubt is
    greater, of different recordings while there are any. The most doubtful alone would be like one
    another, and unlike the others that the classifier is to judge. Without one yet: clips typical
    of parts of the archive, first of those that have no labels. The same archive gives the same
    suggestions.

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
        except (NotFoundError, ModelMismatchError, DatabaseError) as error:
            mismatch = "" if isinstance(error, NotFoundError) else f"; {error}"
            space = active_space(session, model)
            return _typical(session, model, space, ids, unlabelled, known, limit, seed, mismatch)
        return _uncertain(session, model, ready, unlabelled, limit, seed)


def _uncertain(
    session: Session, model: ModelInfo, ready: Ready, ids: Ids, limit: int, seed: int
) -> list[Suggestion]:
    # Weighted sampling without replacement: Efraimidis and Spirakis, Inf. Proc. Letters 97, 2006.
    parts = []
    for some, vectors in vectors_by_id(session, model, ids):
        given, chances = ready.decide(session, some, vectors)
        ordered = np.sort(chances, axis=1)
        doubt = 1 - (ordered[:, -1] - ordered[:, -2])
        parts.append((some, doubt, given, chances[np.arange(len(some)), given]))
    ids, doubt, given, sure = (np.concatenate(column) for column in zip(*parts, strict=True))
    chance = np.random.default_rng(seed).random(len(ids))
    weights = np.maximum(doubt - doubt.min(), _LEAST_DOUBT)  # probabilities never reach 1
    drawn = np.argsort(np.log(chance) / weights)[::-1][: _POOL * limit]
    details = {clip.id: clip for clip in clip_details(session, model, ids[drawn].tolist())}
    shown: dict[int, int] = {}  # how many of a recording came before
    turns = []
    for clip in (details[i] for i in ids[drawn].tolist()):
        turns.append(shown.get(clip.recording_id, 0))
        shown[clip.recording_id] = turns[-1] + 1
    rows = drawn[np.argsort(turns, kind="stable")[:limit]]
    return [
        Suggestion(
            details[int(ids[row])],
            ready.info.classes[given[row]],
            float(sure[row]),
            float(doubt[row]),
            f"{ready.info.task} {ready.info.version} is not sure"
            if sure[row] < _SURE
            else f"drawn by chance: {ready.info.task} {ready.info.version} is sure",
        )
        for row in rows[np.argsort(-doubt[rows], kind="stable")]
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

"""Which clips are most worth labelling next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.classify.apply import Ready, load_classifier
from emotion_search.index.database.clips import ClipDetails, clip_details
from emotion_search.index.database.connection import Database, Session
from emotion_search.index.database.embeddings import draw, embedded_ids, vectors_by_id
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.labels import labelled_ids
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.spaces import active_space
from emotion_search.index.errors import InvalidInputError, ModelMismatchError, NotFoundError
from emotion_search.index.vectors.arrays import Ids, Vectors
from emotion_search.index.vectors.space import Space

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
            space = active_space(session, model)[1]
            return _typical(session, model, space, ids, unlabelled, known, limit, seed, mismatch)
        return _uncertain(session, model, ready, unlabelled, limit, seed)


def _uncertain(
    session: Session, model: ModelInfo, ready: Ready, ids: Ids, limit: int, seed: int
) -> list[Suggestion]:
    pool = _Pool(_POOL * limit)
    for some, vectors in vectors_by_id(session, model, ids):
        given, chances = ready.decide(some, vectors)
        ordered = np.sort(chances, axis=1)
        doubt = 1 - (ordered[:, -1] - ordered[:, -2])
        sure = chances[np.arange(len(some)), given]
        pool.offer(some, doubt, given, sure, ready.space.apply(vectors))
    pool.keep(_DOUBTFUL * pool.doubt[min(limit, len(pool.ids)) - 1])
    chosen: list[Suggestion] = []
    details = {clip.id: clip for clip in clip_details(session, model, pool.ids.tolist())}
    clusters = _kmeans(pool.vectors, min(limit, len(pool.ids)), seed)[0]
    for row in _spread(pool.doubt, clusters, [details[i].recording_id for i in pool.ids.tolist()]):
        chosen.append(
            Suggestion(
                details[int(pool.ids[row])],
                ready.info.classes[pool.given[row]],
                float(pool.sure[row]),
                float(pool.doubt[row]),
                f"{ready.info.task} {ready.info.version} is not sure",
            )
        )
        if len(chosen) == limit:
            break
    return chosen


def _typical(
    session: Session,
    model: ModelInfo,
    space: Space,
    ids: Ids,
    unlabelled: Ids,
    known: Ids,
    limit: int,
    seed: int,
    mismatch: str,
) -> list[Suggestion]:
    drawn = np.union1d(draw(ids, _SAMPLE, seed=seed), draw(unlabelled, _SAMPLE, seed=seed))
    parts = [(some, space.apply(v)) for some, v in vectors_by_id(session, model, drawn)]
    drawn, vectors = (np.concatenate(list(column)) for column in zip(*parts, strict=True))
    number = min(2 * limit, len(drawn))
    clusters, similarity = _kmeans(vectors, number, seed)
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


class _Pool:
    """The most doubtful clips so far."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._parts: tuple[NDArray[np.generic], ...] | None = None

    def offer(
        self,
        ids: Ids,
        doubt: NDArray[np.float64],
        given: NDArray[np.int64],
        sure: NDArray[np.float64],
        vectors: Vectors,
    ) -> None:
        """Keep those that are among the most doubtful."""
        new: tuple[NDArray[np.generic], ...] = (ids, doubt, given, sure, vectors)
        if self._parts is not None:
            new = tuple(np.concatenate(pair) for pair in zip(self._parts, new, strict=True))
        order = np.lexsort((new[0], -new[1].astype(np.float64)))[: self._most]
        self._set(tuple(part[order] for part in new))

    def keep(self, least: float) -> None:
        """Drop those of less doubt."""
        assert self._parts is not None
        self._set(tuple(part[self.doubt >= least] for part in self._parts))

    def _set(self, parts: tuple[NDArray[np.generic], ...]) -> None:
        self._parts = parts
        self.ids: Ids = parts[0].astype(np.int64)
        self.doubt = parts[1].astype(np.float64)
        self.given = parts[2].astype(np.int64)
        self.sure = parts[3].astype(np.float64)
        self.vectors: Vectors = parts[4].astype(np.float32)


def _spread(
    doubt: NDArray[np.float64], clusters: NDArray[np.int64], recordings: list[int]
) -> Iterator[int]:
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
    for _, _, _, row in sorted(keys):
        yield row


def _kmeans(
    vectors: Vectors, number: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The cluster of each vector, (n,), and its cosine to the cluster's centre, (n,)."""
    from emotion_search.engine.clusters.kmeans import assign, fit_centres

    centres = fit_centres(vectors, number, seed=seed)
    clusters, cosines = assign(vectors, centres)
    return clusters.astype(np.int64), cosines.astype(np.float64)

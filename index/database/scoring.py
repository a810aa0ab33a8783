"""Class scores adapted to where clips come from: centres, and scores that are to be made anew.

A model that adapts scores a clip by its embedding and a *centre*, which stands for speaker, room
and line: the clip's baseline where the space that serves has baselines, else the mean of the
archive. When other centres come into force, ``models.score_version`` goes up in the same
transaction; clips whose ``embeddings.score_version`` is lower have their scores made anew from
their stored embeddings.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from sqlalchemy import Select, bindparam, select, update
from sqlalchemy.orm import Session

from emotion_search.index.database.changes import note_changed
from emotion_search.index.database.embeddings import as_arrays, scored
from emotion_search.index.database.models import ModelInfo, score_anew
from emotion_search.index.database.schema import Embedding, Model
from emotion_search.index.database.spaces import active_space, serving_baselines
from emotion_search.index.vectors.arrays import Ids, Vectors
from emotion_search.index.vectors.baselines import Place

FEWEST = 20
"""Fewest clips that an archive's mean is taken from."""

BATCH = 500
"""Clips whose scores are made anew in one transaction."""


class Scorer(Protocol):
    """Scores of embeddings (float32, (n, dim)) by centres (float32, (dim,) or (n, dim); None for
    none): float32, (n, classes)."""

    def __call__(self, vectors: Vectors, centre: Vectors | None = None, /) -> Vectors: ...


def archive_mean(session: Session, model: ModelInfo) -> Vectors | None:
    """The mean of the archive's L2-normalised embeddings, as it was last taken: float32, (dim,);
    None while there are too few clips."""
    data = session.scalar(select(Model.mean).where(Model.id == model.id))
    return None if data is None else np.frombuffer(data, "<f4")


def mean_clips(session: Session, model: ModelInfo) -> int | None:
    """How many clips the archive had when its mean was taken; None where it has none."""
    return session.scalar(select(Model.mean_clips).where(Model.id == model.id))


def set_mean(session: Session, model: ModelInfo, mean: Vectors | None, clips: int) -> None:
    """Store the mean of an archive of so many clips, float32 (dim,), in place of the last."""
    data = None if mean is None else mean.astype("<f4").tobytes()
    values = {"mean": data, "mean_clips": None if mean is None else clips}
    session.execute(update(Model).where(Model.id == model.id).values(values))
    if serving_baselines(session, model) is None:
        score_anew(session, model)


def centres_of(session: Session, model: ModelInfo, ids: Ids) -> Vectors | None:
    """The centres of clips: float32, (n, dim) or (dim,); None where nothing is known."""
    space = active_space(session, model)
    if space.baselines is None:
        return archive_mean(session, model)
    return space.centres(session, ids)


def centre_at(session: Session, model: ModelInfo, place: Place, vectors: Vectors) -> Vectors | None:
    """The centre of embeddings (float32, (n, dim)) of one recording that was not ingested: float32,
    (dim,); None where nothing is known."""
    space = active_space(session, model)
    if space.baselines is None:
        return archive_mean(session, model)
    return space.centre_at(session, place, vectors)[0]


def adapted_to(session: Session, model: ModelInfo) -> str | None:
    """What scores are adapted to by now, of a model that adapts: the ``mean`` of the archive,
    ``baselines``; None for nothing, as where those of no clip could be made anew."""
    made = select(Embedding.clip_id).where(
        Embedding.model_id == model.id, Embedding.score_version > 0
    )
    if not _version(session, model) or session.execute(made.limit(1)).first() is None:
        return None
    if serving_baselines(session, model) is not None:
        return "baselines"
    return None if mean_clips(session, model) is None else "mean"


def stop_adapting(session: Session, model: ModelInfo) -> None:
    """Note that the model does not adapt: no clip's scores are to be made anew."""
    session.execute(update(Model).where(Model.id == model.id).values(score_version=0))


def are_stale(session: Session, model: ModelInfo) -> bool:
    """Whether some clip's scores are to be made anew."""
    version = _version(session, model)
    return session.execute(_stale(model, version).limit(1)).first() is not None


def rescore(session: Session, model: ModelInfo, scorer: Scorer, *, since: int | None = None) -> int:
    """Make the scores of up to ``BATCH`` clips anew that are to be; returns how many those were.

    Args:
        since: of all clips of later revisions instead: those that a transaction wrote itself.
    """
    version = _version(session, model)
    query = _stale(model, version)
    query = query.limit(BATCH) if since is None else query.where(Embedding.revision > since)
    rows = session.execute(query).all()
    if not rows:
        return 0
    ids, vectors = as_arrays(rows, model.dimension)
    scores = scorer(vectors, centres_of(session, model, ids))
    # Past SQLAlchemy's objects, whose own bulk update takes twice as long
    statement = (
        update(Embedding.__table__)  # type: ignore[arg-type]
        .where(Embedding.clip_id == bindparam("clip"), Embedding.model_id == model.id)
        .values(score_version=version)
    )
    session.connection().execute(
        statement,
        [
            {"clip": clip, **scored(model.classes, row)}
            for clip, row in zip(ids.tolist(), scores, strict=True)
        ],
    )
    if since is None:
        note_changed(session, ids.tolist())
    return len(rows)


def _version(session: Session, model: ModelInfo) -> int:
    return session.scalar(select(Model.score_version).where(Model.id == model.id)) or 0


def _stale(model: ModelInfo, version: int) -> Select[int, bytes, int | None]:
    return select(Embedding.clip_id, Embedding.vector, Embedding.vector_crc32).where(
        Embedding.model_id == model.id, Embedding.score_version < version
    )

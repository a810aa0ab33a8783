"""Predictions of classifiers: rows beside the labels that people gave, never over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import Session, aliased

from emotion_search.index.database.bulk import chunks, insert_or_replace, known_clips
from emotion_search.index.database.changes import note_changed
from emotion_search.index.database.classifiers import ClassifierInfo
from emotion_search.index.database.embeddings import ROWS, as_arrays
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.matching import matching
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.schema import ClassifierRow, Clip, Embedding, Prediction
from emotion_search.index.vectors.arrays import Ids, Vectors


def standing_classifiers(
    session: Session, model: ModelInfo, classifier: ClassifierInfo, *, named: bool
) -> list[int]:
    """Ids of the classifiers whose predictions ``classifier`` does not replace: its own, and unless
    it was ``named`` those of its task and model that are newer."""
    newer = select(ClassifierRow.id).where(
        ClassifierRow.task == classifier.task,
        ClassifierRow.model_id == model.id,
        ClassifierRow.id > classifier.id,
    )
    return [classifier.id, *([] if named else session.scalars(newer))]


def next_unclassified(
    session: Session,
    model: ModelInfo,
    classifier: ClassifierInfo,
    wanted: ClipFilter,
    standing: Sequence[int],
    *,
    after_id: int,
    limit: int = ROWS,
) -> tuple[Ids, Vectors]:
    """Ids and embeddings, float32 (n, dim), of the next clips beyond ``after_id`` that pass the
    filter and of which no ``standing`` classifier has a prediction; none where all are done."""
    query = _unclassified(model, classifier, wanted, standing).where(Clip.id > after_id)
    columns = Clip.id, Embedding.vector, Embedding.vector_crc32
    rows = session.execute(query.with_only_columns(*columns).order_by(Clip.id).limit(limit)).all()
    return as_arrays(rows, model.dimension)


def count_unclassified(
    session: Session,
    model: ModelInfo,
    classifier: ClassifierInfo,
    wanted: ClipFilter,
    standing: Sequence[int],
) -> int:
    """How many clips ``next_unclassified`` would give in all."""
    query = _unclassified(model, classifier, wanted, standing)
    return session.execute(query.with_only_columns(func.count())).scalar_one()


def _unclassified(
    model: ModelInfo, classifier: ClassifierInfo, wanted: ClipFilter, standing: Sequence[int]
) -> Select[Any]:
    known = aliased(Prediction)  # the filter may be about predictions as well
    return (
        matching(wanted)
        .join(Embedding, and_(Embedding.clip_id == Clip.id, Embedding.model_id == model.id))
        .outerjoin(known, and_(known.clip_id == Clip.id, known.task == classifier.task))
        .where(or_(known.classifier_id.is_(None), known.classifier_id.not_in(standing)))
    )


def put_predictions(
    session: Session,
    classifier: ClassifierInfo,
    ids: Ids,
    values: Sequence[str],
    probabilities: NDArray[np.float64],
    standing: Sequence[int],
) -> int:
    """Store predictions of the classifier, in place of those under its task that are by none of the
    ``standing`` ones; returns for how many clips it was stored."""
    known = known_clips(session, ids.tolist())
    for some in chunks(ids.tolist()):
        known.difference_update(
            session.scalars(
                select(Prediction.clip_id).where(
                    Prediction.clip_id.in_(some),
                    Prediction.task == classifier.task,
                    Prediction.classifier_id.in_(standing),
                )
            )
        )
    rows = [
        {
            "task": classifier.task,
            "clip_id": clip,
            "classifier_id": classifier.id,
            "value": value,
            "probability": probability,
        }
        for clip, value, probability in zip(
            ids.tolist(), values, probabilities.tolist(), strict=True
        )
        if clip in known
    ]
    insert_or_replace(session, Prediction, rows)
    note_changed(session, known)
    return len(rows)


def count_predictions(session: Session, classifier: ClassifierInfo) -> dict[str, int]:
    """How many clips the classifier gave each value, most first."""
    rows = session.execute(
        select(Prediction.value, func.count())
        .where(Prediction.classifier_id == classifier.id)
        .group_by(Prediction.value)
    )
    return dict(sorted(((v, n) for v, n in rows), key=lambda row: (-row[1], row[0])))

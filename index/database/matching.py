"""The SQL that finds the clips that pass a filter."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Select, and_, literal_column, not_, or_, select
from sqlalchemy.orm import Session

from emotion_search.index.database.filters import AFFECT, ROUNDED_S, ClipFilter, cluster_of
from emotion_search.index.database.schema import (
    SPEAKER,
    Archive,
    Clip,
    ClusteringRow,
    ClusterMember,
    Embedding,
    Label,
    Metadatum,
    Prediction,
    Recording,
)
from emotion_search.index.database.speakers import speaks


def matching(wanted: ClipFilter) -> Select[Any]:
    """A query for the ids of the clips that pass the filter, in no order; clips and recordings are
    joined in it."""
    query = select(Clip.id).join(Recording, Recording.id == Clip.recording_id)
    return query.where(*_of_clips(wanted), *_of_recordings(wanted))


def matching_ids(session: Session, wanted: ClipFilter) -> NDArray[np.int64]:
    """Ids of the clips that pass the filter: int64, ascending."""
    joined = bool(_of_recordings(wanted))  # in vain where nothing is asked of recordings
    query = matching(wanted) if joined else select(Clip.id).where(*_of_clips(wanted))
    ids = np.fromiter(session.scalars(query), dtype=np.int64)
    ids.sort()
    return ids


def _of_recordings(wanted: ClipFilter) -> list[ColumnElement[bool]]:
    """What must hold of a clip's recording."""
    found: list[ColumnElement[bool]] = []
    if wanted.sources:
        found.append(Recording.source.in_(wanted.sources))
    if wanted.speakers:
        found.append(speaks(*wanted.speakers))
    if wanted.after is not None:
        found.append(Recording.recorded_at >= wanted.after)
    if wanted.before is not None:
        found.append(Recording.recorded_at < wanted.before)
    for key, value in wanted.metadata.items():
        pair = (
            Metadatum.key == key,
            literal_column("substr(recording_metadata.value, 1, 200)") == value[:200],
            Metadatum.value == value,
        )
        found.append(Recording.id.in_(select(Metadatum.recording_id).where(*pair)))
    if wanted.not_recordings:
        found.append(not_(Recording.id.in_(wanted.not_recordings)))
    if wanted.not_speaker is not None:
        found.append(SPEAKER.is_distinct_from(wanted.not_speaker))
    if wanted.not_source is not None:
        found.append(Recording.source.is_distinct_from(wanted.not_source))
    return found


def _of_clips(wanted: ClipFilter) -> list[ColumnElement[bool]]:
    """What must hold of the clip itself."""
    found: list[ColumnElement[bool]] = []
    if wanted.labels:
        labelled = (Label.task == wanted.task, Label.value.in_(wanted.of_task(wanted.labels)))
        found.append(Clip.id.in_(select(Label.clip_id).where(*labelled)))
    if scored := _scored(wanted):
        serving = select(Archive.active_model_id).scalar_subquery()
        scored.append(Embedding.model_id == serving)
        found.append(Clip.id.in_(select(Embedding.clip_id).where(*scored)))
    if wanted.channels:
        named = Clip.channel_name.in_(wanted.channels)
        numbers = [int(text) for text in wanted.channels if text.isdecimal() and len(text) < 5]
        found.append(or_(named, Clip.channel.in_(numbers)) if numbers else named)
    if wanted.min_duration is not None:
        found.append(Clip.end - Clip.start >= wanted.min_duration - ROUNDED_S)
    if wanted.max_duration is not None:
        found.append(Clip.end - Clip.start <= wanted.max_duration + ROUNDED_S)
    if wanted.predicted or wanted.min_probability > 0:
        predicted = [
            Prediction.task == wanted.task,
            Prediction.probability >= wanted.min_probability,
        ]
        if wanted.predicted:
            predicted.append(Prediction.value.in_(wanted.of_task(wanted.predicted)))
        found.append(Clip.id.in_(select(Prediction.clip_id).where(*predicted)))
    if wanted.clusters:
        meant = []
        for name, number in map(cluster_of, wanted.clusters):
            of = select(ClusteringRow.id).where(ClusteringRow.name == name).scalar_subquery()
            meant.append(and_(ClusterMember.clustering_id == of, ClusterMember.cluster == number))
        found.append(Clip.id.in_(select(ClusterMember.clip_id).where(or_(*meant))))
    return found


def _scored(wanted: ClipFilter) -> list[ColumnElement[bool]]:
    """What must hold of the clip's scores."""
    found: list[ColumnElement[bool]] = []
    if wanted.emotions:
        found.append(Embedding.emotion.in_(wanted.emotion_names))
    if wanted.min_score is not None:
        found.append(Embedding.confidence >= wanted.min_score)
    for name, dimension, compare in AFFECT:
        if (bound := getattr(wanted, name)) is not None:
            found.append(compare(getattr(Embedding, dimension), bound))
    return found

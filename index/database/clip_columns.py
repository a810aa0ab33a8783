"""Labels, predictions, emotions, sources and speakers of many clips, as columns of small codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from emotion_search.index.database.column_rows import (
    ABSENT,
    QUERIES,
    Column,
    Names,
    fetch_columns,
    numbers,
)
from emotion_search.index.database.embeddings import count_embedded
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.schema import SPEAKER, Clip, Embedding, Recording
from emotion_search.index.vectors.arrays import Ids

_ALL = 0.5  # share of the clips from which on all are read rather than those

Codes = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Attribute:
    """One thing that is known of clips.

    Attributes:
        names: its values, in the order in which they came.
        codes: int32 (n,), row of ``names`` for each clip; -1 where it is not known.
    """

    names: tuple[str, ...]
    codes: Codes

    def of(self, row: int) -> str | None:
        """The value of one clip."""
        code = int(self.codes[row])
        return None if code == ABSENT else self.names[code]


@dataclass(frozen=True, eq=False)
class Attributes:
    """What is known of some clips; each an ``Attribute`` over them.

    Attributes:
        ids: int64 (n,), ascending.
        label: given by a person under the task.
        predicted: by a classifier under the task.
        emotion: the likeliest class by the embedding model's own scores.
        source, speaker: of the recording.
        recordings: int64 (n,), the recording of each.
    """

    ids: Ids
    label: Attribute
    predicted: Attribute
    emotion: Attribute
    source: Attribute
    speaker: Attribute
    recordings: NDArray[np.int64]


def attributes_of(session: Session, model: ModelInfo, ids: Ids, *, task: str) -> Attributes:
    """What is known under a task of the clips ``ids`` (ascending), which have embeddings of the
    model."""
    asked = None if len(ids) > _ALL * count_embedded(session, model) else ids
    whole, source, speaker = numbers("i8"), Names(), Names()
    query = select(Clip.id, Clip.recording_id, Recording.source, SPEAKER)
    query = query.join(Recording, Recording.id == Clip.recording_id)
    clips, recordings, *codes = fetch_columns(
        session, query, Clip.id, asked, whole, whole, source.encode, speaker.encode
    )

    def of(names: Names, clips: Ids, codes: Column) -> Attribute:
        return Attribute(*names.compact(_among(ids, clips, codes)))

    def read(key: Any, query: Any) -> Attribute:
        names = Names()
        return of(names, *fetch_columns(session, query, key, asked, whole, names.encode))

    emotions = select(Embedding.clip_id, Embedding.emotion).where(Embedding.model_id == model.id)
    return Attributes(
        ids,
        label=read(*QUERIES["label"](task)),
        predicted=read(*QUERIES["predicted"](task)),
        emotion=read(Embedding.clip_id, emotions),
        source=of(source, clips, codes[0]),
        speaker=of(speaker, clips, codes[1]),
        recordings=_among(ids, clips, recordings),
    )


def _among(ids: Ids, clips: Ids, values: Column) -> Column:
    """The values of ``clips`` in the rows of ``ids``; ``ABSENT`` for others."""
    found = np.full(len(ids), ABSENT, values.dtype)
    there = np.isin(clips, ids)
    found[np.searchsorted(ids, clips[there])] = values[there]
    return found

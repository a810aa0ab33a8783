"""Labels, predictions, emotions, sources and speakers of many clips, as columns of small codes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from emotion_search.index.database.chunks import chunks
from emotion_search.index.database.embeddings import ROWS
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.schema import (
    SPEAKER,
    Clip,
    Embedding,
    Label,
    Prediction,
    Recording,
)
from emotion_search.index.vectors.arrays import Ids

ABSENT = -1
"""The code of clips of which something is not known."""

_GAPS = 4  # clips between the first and the last, for each that is meant, worth reading in one go

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
    """What is known of the clips ``ids`` (ascending) under a task."""
    recordings = np.full(len(ids), ABSENT, np.int64)
    source, speaker = _Coder(ids), _Coder(ids)
    query = select(Clip.id, Clip.recording_id, Recording.source, SPEAKER)
    query = query.join(Recording, Recording.id == Clip.recording_id)
    for clip, recording, at, who in _rows(session, query, Clip.id, ids):
        row = source.row(clip)
        if row is not None:
            recordings[row] = recording
            source.put(row, at)
            speaker.put(row, who)
    labels = select(Label.clip_id, Label.value).where(Label.task == task)
    predictions = select(Prediction.clip_id, Prediction.value).where(Prediction.task == task)
    return Attributes(
        ids=ids,
        label=_coded(ids, _rows(session, labels, Label.clip_id, ids)),
        predicted=_coded(ids, _rows(session, predictions, Prediction.clip_id, ids)),
        emotion=_coded(ids, _likeliest(session, model, ids)),
        source=source.done(),
        speaker=speaker.done(),
        recordings=recordings,
    )


def _likeliest(session: Session, model: ModelInfo, ids: Ids) -> Iterable[tuple[int, str]]:
    query = select(Embedding.clip_id, Embedding.scores).where(Embedding.model_id == model.id)
    for clip, scores in _rows(session, query, Embedding.clip_id, ids):
        values = np.frombuffer(scores, dtype="<f4")
        if len(values) and len(values) == len(model.classes):
            yield clip, model.classes[int(values.argmax())]


def _rows(session: Session, query: Any, column: Any, ids: Ids) -> Iterator[Any]:
    """Rows of the query whose ``column`` is among ``ids``, and maybe of clips between them."""
    if not len(ids):
        return
    if ids[-1] - ids[0] < _GAPS * len(ids):
        near = query.where(column.between(int(ids[0]), int(ids[-1])))
        yield from session.execute(near.execution_options(yield_per=ROWS))
        return
    for some in chunks(ids.tolist()):
        yield from session.execute(query.where(column.in_(some)))


class _Coder:
    """Codes of values as they come."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._codes = np.full(len(ids), ABSENT, np.int32)
        self._known: dict[str, int] = {}

    def row(self, clip: int) -> int | None:
        """The row of a clip; None if it is not meant."""
        at = int(np.searchsorted(self._ids, clip))
        return at if at < len(self._ids) and self._ids[at] == clip else None

    def put(self, row: int, value: str | None) -> None:
        """Note a clip's value."""
        if value is not None:
            self._codes[row] = self._known.setdefault(value, len(self._known))

    def done(self) -> Attribute:
        """All of them."""
        return Attribute(tuple(self._known), self._codes)


def _coded(ids: Ids, rows: Iterable[Any]) -> Attribute:
    coder = _Coder(ids)
    for clip, value in rows:
        row = coder.row(clip)
        if row is not None:
            coder.put(row, value)
    return coder.done()

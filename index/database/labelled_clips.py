"""The labelled clips of an archive, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from emotion_search.index.database.affect import DIMENSIONS
from emotion_search.index.database.bulk import chunks
from emotion_search.index.database.embeddings import as_arrays
from emotion_search.index.database.emotion_names import one_spelling
from emotion_search.index.database.filters import EMOTION
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.schema import (
    SPEAKER,
    Clip,
    Embedding,
    Label,
    Metadatum,
    Recording,
)
from emotion_search.index.vectors.arrays import Ids


@dataclass(frozen=True, eq=False)
class LabelledClips:
    """Clips with a label under a task, by ascending id.

    Attributes:
        ids: int64, (n,).
        labels: (n,).
        speakers: (n,), empty text where unknown.
        recordings: int64, (n,), the recording of each.
    """

    ids: NDArray[np.int64]
    labels: NDArray[np.str_]
    speakers: NDArray[np.str_]
    recordings: NDArray[np.int64]

    def part(self, rows: NDArray[np.intp]) -> LabelledClips:
        """Some of them, by ascending row."""
        return LabelledClips(
            self.ids[rows], self.labels[rows], self.speakers[rows], self.recordings[rows]
        )


def labelled_clips(session: Session, model: ModelInfo, task: str) -> LabelledClips:
    """The clips that have an embedding of the model and a label under the task; emotions go by
    one name each."""
    rows = session.execute(
        select(Clip.id, Label.value, SPEAKER, Recording.id)
        .join(Label, Label.clip_id == Clip.id)
        .join(Recording, Recording.id == Clip.recording_id)
        .join(Embedding, Embedding.clip_id == Clip.id)
        .where(Label.task == task, Embedding.model_id == model.id)
        .order_by(Clip.id)
    ).all()
    return _arrays(rows, task)


def clips_labelled_as(
    session: Session, model: ModelInfo, given: Mapping[int, str], task: str
) -> LabelledClips:
    """The clips of ``given`` (label of the task by id) that have an embedding of the model."""
    rows: list[tuple[int, str, str | None, int]] = []
    for some in chunks(sorted(given)):
        found = session.execute(
            select(Clip.id, SPEAKER, Recording.id)
            .join(Recording, Recording.id == Clip.recording_id)
            .join(Embedding, Embedding.clip_id == Clip.id)
            .where(Embedding.model_id == model.id, Clip.id.in_(some))
            .order_by(Clip.id)
        )
        rows += [(clip, given[clip], speaker, recording) for clip, speaker, recording in found]
    return _arrays(rows, task)


def _arrays(rows: Sequence[Any], task: str) -> LabelledClips:
    labels = [row[1] for row in rows]
    return LabelledClips(
        np.array([row[0] for row in rows], dtype=np.int64),
        np.array(one_spelling(labels) if task == EMOTION else labels, dtype=str),
        np.array([row[2] or "" for row in rows], dtype=str),
        np.array([row[3] for row in rows], dtype=np.int64),
    )


@dataclass(frozen=True, eq=False)
class ClipContext:
    """What is known of some clips besides their labels.

    Attributes:
        sources: (n,), of the recording; empty text where unknown.
        sentences: what is said in each; empty text where unknown. No array, whose rows would all
            be as long as the longest transcript.
        scores: float32, (n, classes of the model); NaN where a clip has none.
        affect: float64, (n, 3), valence, arousal and dominance, NaN where a clip has none.
    """

    sources: NDArray[np.str_]
    sentences: list[str]
    scores: NDArray[np.float32]
    affect: NDArray[np.float64]


def context_of(session: Session, model: ModelInfo, ids: Ids, key: str) -> ClipContext:
    """What is known of clips that have an embedding of the model, in the order of ``ids``; what is
    said in them is under the metadata ``key``."""
    found: dict[int, tuple[str, str, Any, list[float | None]]] = {}
    dimensions = [getattr(Embedding, name) for name in DIMENSIONS]
    for some in chunks(ids.tolist()):
        rows = session.execute(
            select(
                *(Recording.source, Metadatum.value, Clip.id),
                *(Embedding.scores, Embedding.scores_crc32, *dimensions),
            )
            .join(Recording, Recording.id == Clip.recording_id)
            .join(Embedding, Embedding.clip_id == Clip.id)
            .outerjoin(
                Metadatum, and_(Metadatum.recording_id == Recording.id, Metadatum.key == key)
            )
            .where(Embedding.model_id == model.id, Clip.id.in_(some))
        )
        for source, sentence, clip, data, checksum, *own in rows:
            found[clip] = (source or "", sentence or "", (clip, data, checksum), own)
    ordered = [found[clip] for clip in ids.tolist()]
    stored = [one[2] for one in ordered]
    scored = [n for n, (_, data, checksum) in enumerate(stored) if data or checksum]
    scores = np.full((len(ordered), len(model.classes)), np.nan, np.float32)
    scores[scored] = as_arrays([stored[n] for n in scored], len(model.classes))[1]
    return ClipContext(
        np.array([one[0] for one in ordered], dtype=str),
        [one[1] for one in ordered],
        scores,
        np.array([one[3] for one in ordered], np.float64).reshape(-1, 3),
    )


@dataclass(frozen=True)
class LabelledSpan:
    """A labelled clip and where its audio is: ids, span in seconds, the sha256 of the recording."""

    clip: int
    label: str
    channel: int | None
    start: float
    end: float
    recording: int
    name: str
    sha256: str
    speaker: str | None


def labelled_spans(session: Session, task: str) -> list[LabelledSpan]:
    """The clips with a label under the task, whatever models they have embeddings of, by id;
    emotions go by one name each."""
    rows = session.execute(
        select(
            Clip.id,
            Label.value,
            Clip.channel,
            Clip.start,
            Clip.end,
            Recording.id,
            Recording.name,
            Recording.sha256,
            SPEAKER,
        )
        .join(Label, Label.clip_id == Clip.id)
        .join(Recording, Recording.id == Clip.recording_id)
        .where(Label.task == task)
        .order_by(Clip.id)
    )
    found = [LabelledSpan(*row) for row in rows]
    if task != EMOTION:
        return found
    names = one_spelling([one.label for one in found])
    return [replace(one, label=name) for one, name in zip(found, names, strict=True)]

"""Writing recordings: add with clips and embeddings, annotate, remove, note failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from index.errors import NotFoundError
from index.models import next_revision
from index.schema import (
    Clip,
    Embedding,
    Failure,
    Label,
    Location,
    Metadatum,
    Model,
    Recording,
    Tombstone,
)
from index.upsert import insert_new, insert_or_replace

_IDS_A_QUERY = 500


@dataclass(frozen=True)
class FileFacts:
    """A file as it was seen: absolute path, size in bytes, time of change in nanoseconds."""

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Span:
    """A stretch of a recording that is to be a clip: seconds, channel (counted from 0; None for
    all mixed down), and its own labels by task."""

    start: float
    end: float
    channel: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Annotations:
    """What is said about a recording; None and missing keys say nothing.

    Attributes:
        name: what to call it, if not by its file's name.
        source: where it came from (archive, queue, campaign).
        speaker: who speaks.
        recorded_at: when, timezone-aware.
        labels: value by task, for each of its clips.
        metadata: free keys and values.
        spans: the clips that it has, with what is said of each; empty to have it cut.
    """

    name: str | None = None
    source: str | None = None
    speaker: str | None = None
    recorded_at: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    spans: tuple[Span, ...] = ()

    def over(self, defaults: Annotations) -> Annotations:
        """These, with what they leave unsaid taken from ``defaults``."""
        return Annotations(
            name=self.name or defaults.name,
            source=self.source or defaults.source,
            speaker=self.speaker or defaults.speaker,
            recorded_at=self.recorded_at or defaults.recorded_at,
            labels={**defaults.labels, **self.labels},
            metadata={**defaults.metadata, **self.metadata},
            spans=self.spans or defaults.spans,
        )


@dataclass(frozen=True, eq=False)
class NewClip:
    """A clip to add: its channel (None for all mixed down) and what that is called, its span in
    seconds, its embedding (float32, (dim,)) and scores (float32, (classes,))."""

    channel: int | None
    start: float
    end: float
    vector: NDArray[np.float32]
    scores: NDArray[np.float32]
    channel_name: str | None = None


@dataclass(frozen=True, eq=False)
class NewRecording:
    """A recording to add, with all its clips, and how it was cut into them; ``file`` is None where
    nobody knows of one."""

    file: FileFacts | None
    name: str
    sha256: str
    duration: float
    sample_rate: int
    channels: int
    annotations: Annotations
    clips: Sequence[NewClip]
    cut: str | None = None


def add_recording(session: Session, model_id: int, new: NewRecording) -> tuple[int, bool]:
    """The recording's id, and whether it is new: known bytes only gain a name.

    ``new.clips`` must not be empty. Rows of one call become visible together, at the commit.
    """
    assert new.clips
    insert_new(
        session,
        Recording,
        [
            {
                "sha256": new.sha256,
                "name": new.name,
                "duration": new.duration,
                "sample_rate": new.sample_rate,
                "channels": new.channels,
                "cut": new.cut,
                "ingested_at": datetime.now(UTC),
            }
        ],
    )
    recording_id = find_by_sha256(session, new.sha256)
    assert recording_id is not None
    has_clips = select(Clip.id).where(Clip.recording_id == recording_id).limit(1)
    is_new = session.execute(has_clips).first() is None
    if is_new:
        _add_clips(session, recording_id, model_id, new.clips)
    if new.file is not None:
        add_location(session, recording_id, new.file)
    annotate(session, recording_id, new.annotations)
    return recording_id, is_new


def add_spans(session: Session, recording_id: int, model_id: int, clips: Sequence[NewClip]) -> int:
    """Give a recording the ``clips`` whose span it has not yet; returns how many that were."""
    query = select(Clip.channel, Clip.start, Clip.end).where(Clip.recording_id == recording_id)
    known = {(channel, _ms(start), _ms(end)) for channel, start, end in session.execute(query)}
    new = [one for one in clips if (one.channel, _ms(one.start), _ms(one.end)) not in known]
    if new:
        _add_clips(session, recording_id, model_id, new)
    return len(new)


def _add_clips(
    session: Session, recording_id: int, model_id: int, clips: Sequence[NewClip]
) -> None:
    clip_ids = session.scalars(
        insert(Clip).returning(Clip.id, sort_by_parameter_order=True),
        [
            {
                "recording_id": recording_id,
                "channel": clip.channel,
                "channel_name": clip.channel_name,
                "start": clip.start,
                "end": clip.end,
            }
            for clip in clips
        ],
    ).all()
    insert_embeddings(
        session,
        model_id,
        [(clip_id, one.vector, one.scores) for clip_id, one in zip(clip_ids, clips, strict=True)],
    )


def insert_embeddings(
    session: Session,
    model_id: int,
    embedded: Sequence[tuple[int, NDArray[np.float32], NDArray[np.float32]]],
) -> None:
    """Give clips that have none yet an embedding under the model: id, vector, scores of each."""
    revision = next_revision(session, model_id)
    classes = session.execute(select(Model.classes).where(Model.id == model_id)).scalar_one()
    rows = []
    for clip_id, vector, scores in embedded:
        best = int(scores.argmax()) if len(scores) else None
        rows.append(
            {
                "clip_id": clip_id,
                "model_id": model_id,
                "revision": revision,
                "vector": vector.astype("<f4").tobytes(),
                "scores": scores.astype("<f4").tobytes(),
                "emotion": None if best is None else classes[best],
                "confidence": None if best is None else float(scores[best]),
            }
        )
    session.execute(insert(Embedding), rows)


def exists(session: Session, recording_id: int) -> bool:
    """Whether the archive has this recording."""
    return session.get(Recording, recording_id) is not None


def find_by_sha256(session: Session, sha256: str) -> int | None:
    """The id of the recording with these bytes; None if unknown."""
    return session.scalar(select(Recording.id).where(Recording.sha256 == sha256))


def known_files(session: Session, paths: Sequence[str]) -> dict[str, tuple[FileFacts, int]]:
    """What the archive knows of ``paths``: how each file was when seen, and its recording's id."""
    rows = session.execute(
        select(Location.path, Location.size, Location.mtime_ns, Location.recording_id).where(
            Location.path.in_(paths)
        )
    )
    return {path: (FileFacts(path, size, mtime), rec) for path, size, mtime, rec in rows}


def add_location(session: Session, recording_id: int, file: FileFacts) -> None:
    """Note that the recording's bytes lie at ``file``, which is then no failure any more."""
    insert_or_replace(
        session,
        Location,
        [
            {
                "path": file.path,
                "recording_id": recording_id,
                "size": file.size,
                "mtime_ns": file.mtime_ns,
            }
        ],
    )
    remove_failure(session, file.path)


def annotate(session: Session, recording_id: int, said: Annotations) -> None:
    """Set what ``said`` says about the recording and its clips; the rest stays."""
    columns = {
        name: value
        for name in ("name", "source", "speaker", "recorded_at")
        if (value := getattr(said, name)) is not None
    }
    if columns:
        session.execute(update(Recording).where(Recording.id == recording_id).values(columns))
    insert_or_replace(
        session,
        Metadatum,
        [
            {"recording_id": recording_id, "key": key, "value": value}
            for key, value in said.metadata.items()
        ],
    )
    if said.spans:
        _label_spans(session, recording_id, said.spans)
    if said.labels:
        clip_ids = session.scalars(select(Clip.id).where(Clip.recording_id == recording_id)).all()
        insert_or_replace(
            session,
            Label,
            [
                {"clip_id": clip_id, "task": task, "value": value}
                for clip_id in clip_ids
                for task, value in said.labels.items()
            ],
        )


def _label_spans(session: Session, recording_id: int, spans: Sequence[Span]) -> None:
    """Label the clips of the recording that are these spans."""
    query = select(Clip.id, Clip.channel, Clip.start, Clip.end)
    rows = session.execute(query.where(Clip.recording_id == recording_id)).all()
    clips = {(channel, _ms(start), _ms(end)): clip_id for clip_id, channel, start, end in rows}
    said = [
        {"clip_id": clip_id, "task": task, "value": value}
        for span in spans
        if (clip_id := clips.get((span.channel, _ms(span.start), _ms(span.end)))) is not None
        for task, value in span.labels.items()
    ]
    insert_or_replace(session, Label, said)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def set_labels(session: Session, said: Sequence[tuple[int, str, str | None]]) -> list[int]:
    """Set labels of clips: id, task, and value (None takes it away); returns unknown ids."""
    ids = sorted({clip for clip, _, _ in said})
    known: set[int] = set()
    for begin in range(0, len(ids), _IDS_A_QUERY):
        some = ids[begin : begin + _IDS_A_QUERY]
        known.update(session.scalars(select(Clip.id).where(Clip.id.in_(some))))
    last = {(clip, task): value for clip, task, value in said if clip in known}
    rows = [{"clip_id": c, "task": t, "value": v} for (c, t), v in last.items() if v is not None]
    insert_or_replace(session, Label, rows)
    for (clip, task), value in last.items():
        if value is None:
            session.execute(delete(Label).where(Label.clip_id == clip, Label.task == task))
    return [clip for clip in ids if clip not in known]


def add_failure(session: Session, path: str, reason: str) -> None:
    """Note that the file could not be ingested, and count the attempt."""
    attempts = session.scalar(select(Failure.attempts).where(Failure.path == path)) or 0
    insert_or_replace(
        session,
        Failure,
        [
            {
                "path": path,
                "reason": reason,
                "attempts": attempts + 1,
                "failed_at": datetime.now(UTC),
            }
        ],
    )


def remove_failure(session: Session, path: str) -> None:
    """Forget that the file could not be ingested."""
    session.execute(delete(Failure).where(Failure.path == path))


def remove_failures_under(session: Session, prefix: str) -> None:
    """Forget the failures whose path begins with ``prefix``."""
    session.execute(delete(Failure).where(Failure.path.startswith(prefix, autoescape=True)))


def remove_recording(session: Session, recording_id: int) -> list[str]:
    """Remove a recording with its clips, embeddings and labels; returns the paths it was known by.

    Tombstones tell every index, here and in other processes, to drop its clips.

    Raises:
        NotFoundError: no such recording.
    """
    if not exists(session, recording_id):
        raise NotFoundError(f"no recording {recording_id} in this archive")
    paths = session.scalars(
        select(Location.path).where(Location.recording_id == recording_id).order_by(Location.path)
    ).all()
    embedded = session.execute(
        select(Embedding.model_id, Embedding.clip_id)
        .join(Clip, Clip.id == Embedding.clip_id)
        .where(Clip.recording_id == recording_id)
        .order_by(Embedding.model_id, Embedding.clip_id)
    ).all()
    revisions = {
        model_id: next_revision(session, model_id) for model_id in sorted({m for m, _ in embedded})
    }
    if embedded:
        session.execute(
            insert(Tombstone),
            [
                {"model_id": model_id, "revision": revisions[model_id], "clip_id": clip_id}
                for model_id, clip_id in embedded
            ],
        )
    session.execute(delete(Recording).where(Recording.id == recording_id))
    return list(paths)

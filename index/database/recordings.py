"""Writing recordings: add with clips and embeddings, annotate, remove."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from emotion_search.index.database.baselines import forget_speakers
from emotion_search.index.database.changes import note_changed
from emotion_search.index.database.chunks import chunks
from emotion_search.index.database.embeddings import add_tombstones, insert_embeddings, renew
from emotion_search.index.database.files import FileFacts as FileFacts
from emotion_search.index.database.files import remove_failures
from emotion_search.index.database.labels import label_clips, label_spans, spans_of
from emotion_search.index.database.schema import Clip, Location, Metadatum, Recording
from emotion_search.index.database.spans import Side, Span, span_key, texts_cleaned
from emotion_search.index.database.speakers import set_speakers, side_of
from emotion_search.index.database.upsert import insert_new, insert_or_replace
from emotion_search.index.errors import NotFoundError


@dataclass(frozen=True)
class Annotations:
    """Annotations of a recording; None and missing keys leave what is known.

    Attributes:
        name: what to call it, if not by its file's name.
        source: where it came from (archive, queue, campaign).
        speaker: who speaks.
        recorded_at: when, timezone-aware.
        labels: value by task, for each of its clips.
        metadata: free keys and values.
        sides: what each of its channels is known for, counted from 0.
        spans: the clips that it has, with their own labels; empty to have it cut.
    """

    name: str | None = None
    source: str | None = None
    speaker: str | None = None
    recorded_at: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    sides: Mapping[int, Side] = field(default_factory=dict)
    spans: tuple[Span, ...] = ()

    def __post_init__(self) -> None:
        """See ``texts_cleaned``."""
        texts_cleaned(self)

    def over(self, defaults: Annotations) -> Annotations:
        """These, with what they leave out taken from ``defaults``."""
        return Annotations(
            name=self.name or defaults.name,
            source=self.source or defaults.source,
            speaker=self.speaker or defaults.speaker,
            recorded_at=self.recorded_at or defaults.recorded_at,
            labels={**defaults.labels, **self.labels},
            metadata={**defaults.metadata, **self.metadata},
            sides={**defaults.sides, **self.sides},
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
    """One recording; see ``add_recordings``."""
    return add_recordings(session, model_id, [new])[0]


def add_recordings(
    session: Session, model_id: int, new: Sequence[NewRecording]
) -> list[tuple[int, bool]]:
    """Of each recording its id, and whether it is new: known bytes only gain a name.

    All have clips, and no two the same bytes. Rows of one call become visible together, at the
    commit.
    """
    assert all(one.clips for one in new)
    insert_new(
        session,
        Recording,
        [
            {
                "sha256": one.sha256,
                "name": one.name,
                "duration": one.duration,
                "sample_rate": one.sample_rate,
                "channels": one.channels,
                "cut": one.cut,
                "ingested_at": datetime.now(UTC),
            }
            for one in new
        ],
    )
    ids: dict[str, int] = {}
    have_clips: set[int] = set()
    for part in chunks(new):
        hashes = [one.sha256 for one in part]
        of_bytes = select(Recording.sha256, Recording.id).where(Recording.sha256.in_(hashes))
        some = {row.sha256: row.id for row in session.execute(of_bytes)}
        ids |= some
        of_clips = select(Clip.recording_id).where(Clip.recording_id.in_(some.values())).distinct()
        have_clips.update(session.scalars(of_clips))
    fresh = [one for one in new if ids[one.sha256] not in have_clips]
    if fresh:
        add_clips(
            session, model_id, [(ids[one.sha256], clip) for one in fresh for clip in one.clips]
        )
    add_locations(session, [(ids[one.sha256], one.file) for one in new if one.file is not None])
    for one in new:
        recording = ids[one.sha256]
        annotate(session, recording, one.annotations, is_new=recording not in have_clips)
    return [(ids[one.sha256], ids[one.sha256] not in have_clips) for one in new]


def add_spans(session: Session, recording_id: int, model_id: int, clips: Sequence[NewClip]) -> int:
    """Give a recording the ``clips`` whose span it has not yet; returns how many that were."""
    known = spans_of(session, recording_id)
    new = [one for one in clips if span_key(one.channel, one.start, one.end) not in known]
    if new:
        add_clips(session, model_id, [(recording_id, one) for one in new])
    return len(new)


def add_clips(
    session: Session, model_id: int, clips: Sequence[tuple[int, NewClip]]
) -> Sequence[int]:
    """Add clips, each to a recording, embedded by a model; returns their ids.

    ``clips`` is not empty.
    """
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
            for recording_id, clip in clips
        ],
    ).all()
    insert_embeddings(
        session,
        model_id,
        [
            (clip_id, one.vector, one.scores)
            for clip_id, (_, one) in zip(clip_ids, clips, strict=True)
        ],
    )
    return clip_ids


def exists(session: Session, recording_id: int) -> bool:
    """Whether the archive has this recording."""
    return session.get(Recording, recording_id) is not None


def known_hashes(session: Session, hashes: Collection[str]) -> set[str]:
    """Those of the hashes (up to a few hundred) that are a recording's content."""
    return set(session.scalars(select(Recording.sha256).where(Recording.sha256.in_(hashes))))


def find_by_sha256(session: Session, sha256: str) -> int | None:
    """The id of the recording with these bytes; None if unknown."""
    return session.scalar(select(Recording.id).where(Recording.sha256 == sha256))


def recording_at(session: Session, path: str) -> int | None:
    """The id of the recording whose bytes were seen at this absolute path; None if unknown."""
    return session.scalar(select(Location.recording_id).where(Location.path == path))


def add_locations(session: Session, places: Sequence[tuple[int, FileFacts]]) -> None:
    """Note where recordings' bytes lie; these files are then no failures any more."""
    rows = {
        file.path: {
            "path": file.path,
            "recording_id": recording_id,
            "size": file.size,
            "mtime_ns": file.mtime_ns,
        }
        for recording_id, file in places
    }
    insert_or_replace(session, Location, list(rows.values()))
    remove_failures(session, list(rows))


def annotate(
    session: Session, recording_id: int, annotations: Annotations, *, is_new: bool = False
) -> None:
    """Set what is annotated of the recording and its clips; the rest stays.

    Another speaker or source is another baseline: indexes are told to read the clips anew.

    Args:
        is_new: the recording came in this transaction, so that no index can have its clips.
    """
    columns = {
        name: value
        for name in ("name", "source", "recorded_at")
        if (value := getattr(annotations, name)) is not None
    }
    anew = False
    if columns:
        of_recording = Recording.id == recording_id
        source = session.scalar(select(Recording.source).where(of_recording))
        session.execute(update(Recording).where(of_recording).values(columns))
        anew = annotations.source not in (None, source)
    sides, spans = annotations.sides, annotations.spans
    of_parts = [side.speaker for side in sides.values()] + [span.speaker for span in spans]
    if annotations.speaker or any(of_parts):
        anew |= set_speakers(session, recording_id, annotations.speaker, sides, spans)
    if anew and not is_new:
        renew(session, recording_id)
    insert_or_replace(
        session,
        Metadatum,
        [
            {"recording_id": recording_id, "key": key, "value": value}
            for key, value in annotations.metadata.items()
        ],
    )
    if annotations.spans:
        label_spans(session, recording_id, annotations.spans)
    if annotations.labels or any(side.labels for side in sides.values()):
        on: dict[int | None, list[int]] = {}
        query = select(Clip.id, Clip.channel).where(Clip.recording_id == recording_id)
        for clip, channel in session.execute(query):
            on.setdefault(channel, []).append(clip)
        for channel, clips in on.items():
            side = side_of(sides, channel) or Side()
            label_clips(session, clips, {**annotations.labels, **side.labels})
    if not is_new and (columns or sides or annotations.spans or annotations.labels):
        note_changed(session, Clip.recording_id == recording_id)


def replace_content(session: Session, recording_id: int, new: NewRecording) -> None:
    """A recording is of other bytes now: hash, length and format; clips and annotations stay."""
    session.execute(
        update(Recording)
        .where(Recording.id == recording_id)
        .values(
            sha256=new.sha256,
            duration=new.duration,
            sample_rate=new.sample_rate,
            channels=new.channels,
        )
    )


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
    clip_ids = session.scalars(select(Clip.id).where(Clip.recording_id == recording_id)).all()
    add_tombstones(session, clip_ids)
    session.execute(delete(Recording).where(Recording.id == recording_id))
    forget_speakers(session)
    return list(paths)

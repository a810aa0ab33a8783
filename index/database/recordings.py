"""Writing recordings: add with clips and embeddings, annotate, remove."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from emotion_search.index.database.baselines import forget_speakers
from emotion_search.index.database.bulk import chunks, insert_many, insert_or_replace, reserve_ids
from emotion_search.index.database.changes import note_changed
from emotion_search.index.database.embeddings import add_tombstones, insert_embeddings, renew
from emotion_search.index.database.files import FileFacts, add_locations, ids_of_hashes
from emotion_search.index.database.labels import spans_of_each
from emotion_search.index.database.schema import Clip, Label, Location, Metadatum, Recording
from emotion_search.index.database.spans import ClipSpan, Side, Span, span_key, texts_cleaned
from emotion_search.index.database.speakers import named_speakers, set_speakers, side_of
from emotion_search.index.database.webhooks import forget_recording_in_deliveries
from emotion_search.index.errors import AudioError, NotFoundError


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
    seconds, its embedding (float32, (dim,)) and scores (float32, (classes,)), who speaks where its
    recording has several speakers, and valence, arousal and dominance (floats, (3,)) where the
    model has its own."""

    channel: int | None
    start: float
    end: float
    vector: NDArray[np.float32]
    scores: NDArray[np.float32]
    channel_name: str | None = None
    speaker: str | None = None
    affect: NDArray[np.floating] | None = None


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


def add_recordings(
    session: Session, model_id: int, new: Sequence[NewRecording]
) -> list[tuple[int, bool]]:
    """Of each recording its id, and whether it is new: known bytes only gain a name.

    All have clips, and no two the same bytes. Rows of one call become visible together, at the
    commit.
    """
    assert all(one.clips for one in new)
    known = ids_of_hashes(session, [one.sha256 for one in new])
    unknown = [one for one in new if one.sha256 not in known]
    reserved = reserve_ids(session, Recording, len(unknown))
    ids = known | {one.sha256: number for one, number in zip(unknown, reserved, strict=True)}
    now = datetime.now(UTC)
    voices = {one.sha256: _voices(one) for one in unknown}
    insert_many(
        session,
        Recording,
        [_row(ids[one.sha256], one, voices[one.sha256][0], now) for one in unknown],
    )
    have_clips = {
        recording
        for some in chunks(list(known.values()))
        for recording in session.scalars(
            select(Clip.recording_id).where(Clip.recording_id.in_(some)).distinct()
        )
    }
    fresh = [one for one in new if ids[one.sha256] not in have_clips]
    clips = iter(
        add_clips(
            session,
            model_id,
            [
                (ids[one.sha256], clip)
                for one in fresh
                for clip in (voices[one.sha256][1] if one.sha256 in voices else one.clips)
            ],
        )
    )
    own = {one.sha256: list(islice(clips, len(one.clips))) for one in fresh}
    add_locations(session, [(ids[one.sha256], one.file) for one in new if one.file is not None])
    insert_many(
        session,
        Metadatum,
        [
            {"recording_id": ids[one.sha256], "key": key, "value": value}
            for one in unknown
            for key, value in one.annotations.metadata.items()
        ],
    )
    insert_many(
        session,
        Label,
        [
            {"clip_id": clip, "task": task, "value": value}
            for one in unknown
            for (clip, task), value in _labels(one.annotations, _by_span(one, own)).items()
        ],
    )
    annotate(
        session,
        {ids[one.sha256]: one.annotations for one in new if one.sha256 in known},
        {ids[sha256] for sha256 in own},
    )
    return [(ids[one.sha256], one.sha256 in own) for one in new]


def _voices(new: NewRecording) -> tuple[str | None, Sequence[NewClip]]:
    """Who speaks in a whole new recording, and its clips, with speakers of their own where it has
    several."""
    about, clips = new.annotations, new.clips
    if not about.sides and not any(span.speaker for span in about.spans):
        return about.speaker, clips
    spans = [(clip.channel, clip.start, clip.end) for clip in clips]
    voices = named_speakers(spans, about.speaker, about.sides, about.spans)
    if len(set(voices)) == 1:
        return voices[0], clips
    return None, [replace(one, speaker=who) for one, who in zip(clips, voices, strict=True)]


def _row(
    recording_id: int, new: NewRecording, speaker: str | None, now: datetime
) -> dict[str, Any]:
    return {
        "id": recording_id,
        "sha256": new.sha256,
        "name": new.annotations.name or new.name,
        "source": new.annotations.source,
        "speaker": speaker,
        "recorded_at": new.annotations.recorded_at,
        "duration": new.duration,
        "sample_rate": new.sample_rate,
        "channels": new.channels,
        "cut": new.cut,
        "ingested_at": now,
    }


def _by_span(new: NewRecording, own: Mapping[str, Sequence[int]]) -> dict[ClipSpan, int]:
    return {
        span_key(one.channel, one.start, one.end): clip
        for one, clip in zip(new.clips, own[new.sha256], strict=True)
    }


def _labels(annotations: Annotations, clips: Mapping[ClipSpan, int]) -> dict[tuple[int, str], str]:
    """Labels of a recording's clips, given by span: value by clip and task. Of two that one clip
    is given under a task the last counts, and before those of its span that of its channel, and of
    all clips."""
    found: dict[tuple[int, str], str] = {}
    for span in annotations.spans:
        clip = clips.get(span_key(span.channel, span.start, span.end))
        if clip is not None:
            found |= {(clip, task): value for task, value in span.labels.items()}
    for (channel, _, _), clip in clips.items():
        side = side_of(annotations.sides, channel) or Side()
        every = {**annotations.labels, **side.labels}
        found |= {(clip, task): value for task, value in every.items()}
    return found


def add_spans(
    session: Session, model_id: int, clips: Sequence[tuple[int, Sequence[NewClip]]]
) -> list[int]:
    """Give recordings, each once, those of the clips whose span they have not yet; returns how many
    that were of each."""
    known = spans_of_each(session, [recording for recording, _ in clips])
    new = [
        [one for one in some if span_key(one.channel, one.start, one.end) not in known[recording]]
        for recording, some in clips
    ]
    pairs = [
        (recording, one) for (recording, _), some in zip(clips, new, strict=True) for one in some
    ]
    add_clips(session, model_id, pairs)
    return list(map(len, new))


def add_clips(
    session: Session, model_id: int, clips: Sequence[tuple[int, NewClip]]
) -> Sequence[int]:
    """Add clips, each to a recording, embedded by a model; returns their ids, ascending."""
    if not clips:
        return []
    clip_ids = reserve_ids(session, Clip, len(clips))
    insert_many(
        session,
        Clip,
        [
            {
                "id": clip_id,
                "recording_id": recording_id,
                "channel": clip.channel,
                "channel_name": clip.channel_name,
                "speaker": clip.speaker,
                "start_s": clip.start,
                "end_s": clip.end,
            }
            for clip_id, (recording_id, clip) in zip(clip_ids, clips, strict=True)
        ],
    )
    insert_embeddings(
        session,
        model_id,
        [
            (clip_id, one.vector, one.scores, one.affect)
            for clip_id, (_, one) in zip(clip_ids, clips, strict=True)
        ],
    )
    return clip_ids


def exists(session: Session, recording_id: int) -> bool:
    """Whether the archive has this recording."""
    return session.get(Recording, recording_id) is not None


def check_sides(about: Annotations, channels: int) -> None:
    """Raise AudioError if annotations say something of a channel that a recording has not."""
    for channel in about.sides:
        if not 0 <= channel < channels:
            raise AudioError(f"has no channel {channel} (it has {channels}, counted from 0)")


def annotate(
    session: Session, given: Mapping[int, Annotations], fresh: Collection[int] = ()
) -> None:
    """Set what is annotated of recordings, by id, and their clips; the rest stays.

    Another speaker or source is another baseline: indexes are told to read the clips anew.

    Args:
        fresh: those that got their first clips in this transaction, so that no index can have any.

    Raises:
        AudioError: one says something of a channel that its recording has not.
    """
    named = ("name", "source", "recorded_at", "speaker")
    known = Recording.id, Recording.channels, Recording.sample_rate
    query = select(*known, *(getattr(Recording, name) for name in named))
    changed: set[int] = set()
    for some in chunks(list(given)):
        there = session.execute(query.where(Recording.id.in_(some))).all()
        for number, channels, rate, *before in there:
            about = given[number]
            if rate:  # else an import, whose audio nobody has read
                check_sides(about, channels)
            columns = {
                name: value
                for name, old in zip(named, before, strict=True)
                if (value := getattr(about, name)) is not None and value != old
            }
            other = columns.pop("speaker", None) is not None
            if columns:
                of_it = Recording.id == number
                session.execute(update(Recording).where(of_it).values(columns))
                changed.add(number)
            parts: list[Side | Span] = [*about.sides.values(), *about.spans]
            if other or any(part.speaker for part in parts):
                other = set_speakers(session, number, about.speaker, about.sides, about.spans)
            if number not in fresh and (other or "source" in columns):
                renew(session, number)
    insert_or_replace(
        session,
        Metadatum,
        [
            {"recording_id": number, "key": key, "value": value}
            for number, annotations in given.items()
            for key, value in annotations.metadata.items()
        ],
    )
    labelled = [
        number
        for number, one in given.items()
        if one.spans or one.labels or any(side.labels for side in one.sides.values())
    ]
    labels = {
        (clip, task): value
        for number, clips in spans_of_each(session, labelled).items()
        for (clip, task), value in _labels(given[number], clips).items()
    }
    rows = [{"clip_id": c, "task": task, "value": value} for (c, task), value in labels.items()]
    insert_or_replace(session, Label, rows)
    for numbers in chunks(sorted({*changed, *labelled} - set(fresh))):
        note_changed(session, Clip.recording_id.in_(numbers))


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
    forget_recording_in_deliveries(session, recording_id)
    forget_speakers(session)
    return list(paths)

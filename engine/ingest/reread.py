"""Decoding known clips again from their recordings, cut where they were cut on ingest."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from emotion_search.engine.audio.channels import track_of
from emotion_search.engine.audio.file import Samples
from emotion_search.engine.audio.windows import GivenSpans
from emotion_search.engine.audio.workers import Block, Decoders, Opened
from emotion_search.engine.files.objects import opened
from emotion_search.index.database.connection import Session
from emotion_search.index.database.coverage import MissingClip
from emotion_search.index.database.recording_details import get_recording, locations_of
from emotion_search.index.errors import AudioError


@dataclass(frozen=True, eq=False)
class DecodedClip:
    """A clip of the archive with its samples: float32, (n,), 16 kHz."""

    id: int
    samples: Samples


@dataclass(frozen=True)
class ClipSource:
    """A recording to decode again: where its bytes may lie, the clips that are wanted of it, and
    the sound track that they are of, as ``AudioFile`` has it."""

    name: str
    sha256: str
    paths: tuple[str, ...]
    clips: tuple[MissingClip, ...]
    track: int | None = None


def clip_source(session: Session, recording_id: int, clips: Iterable[MissingClip]) -> ClipSource:
    """Clips of a recording of the archive, to decode again from the sound track they are of."""
    row = get_recording(session, recording_id)
    paths = tuple(place.path for place in locations_of(session, recording_id))
    return ClipSource(row.name, row.sha256, paths, tuple(clips), track_of(row.cut))


def decode_clips(source: ClipSource, decoders: Decoders) -> Iterator[DecodedClip]:
    """The wanted clips of a recording, each once, cut where they were cut on ingest, from the first
    place where its bytes still lie; about one clip is in memory. The end of a clip may be rounded
    to a little beyond the recording's.

    Raises:
        AudioError: the file is gone everywhere or has changed, or cannot be decoded.
    """
    left: dict[int | None, dict[tuple[float, float], list[int]]] = {}
    for clip in source.clips:
        left.setdefault(clip.channel, {}).setdefault((clip.start, clip.end), []).append(clip.id)
    channels = sorted(left, key=lambda channel: -1 if channel is None else channel)
    problem = AudioError("no file of it is known")
    for path in source.paths:
        try:
            with (
                opened(path) as (file, sha256),
                contextlib.closing(decoders.read(file, channels, sha256, source.track)) as messages,
            ):
                first = next(messages)
                assert isinstance(first, Opened)
                if first.sha256 != source.sha256:
                    problem = AudioError("has changed since it was taken in")
                    continue
                cutters = [GivenSpans(left[channel]) for channel in channels]
                for message in messages:
                    if isinstance(message, Block):
                        pairs = zip(cutters, message.tracks, strict=True)
                        cut = [cutter.feed(samples) for cutter, samples in pairs]
                    else:
                        cut = [cutter.finish() for cutter in cutters]
                    for channel, windows in zip(channels, cut, strict=True):
                        for window in windows:
                            for number in left[channel].pop((window.start, window.end)):
                                yield DecodedClip(number, window.samples)
                return
        except OSError as error:
            problem = AudioError(f"is no longer there ({error.strerror})")
    raise problem

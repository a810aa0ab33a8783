"""Playback: the file of a recording, and stretches of it as samples."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from emotion_search.engine.archive.archive import Archive
from emotion_search.engine.audio.channels import track_of
from emotion_search.engine.audio.file import Samples
from emotion_search.engine.files.object_parts import fetched_part
from emotion_search.engine.files.objects import fetched
from emotion_search.engine.files.scan import unchanged
from emotion_search.index.database.addresses import is_object
from emotion_search.index.database.recording_details import get_recording, locations_of
from emotion_search.index.database.schema import Recording
from emotion_search.index.database.spans import Span
from emotion_search.index.errors import (
    AbsentError,
    AudioError,
    NotFoundError,
    UnusableError,
    reason,
)

LONGEST = 600.0
"""Seconds that are given at once."""


def span_of_recording(
    archive: Archive, recording_id: int, *, start: float, end: float | None, channel: int | None
) -> tuple[Samples, int]:
    """What a stretch of a recording sounds like: mono float32 (n,), and its sample rate in Hz.

    Args:
        start, end: seconds; None for its end.
        channel: counted from 0; None mixes all down.

    Raises:
        NotFoundError: no such recording, or its file is no longer there or has changed.
        AbsentError: no such channel, or nothing of the recording there.
        UnusableError: a stretch longer than ten minutes.
    """
    with archive.database.read() as session:
        recording = get_recording(session, recording_id)
    duration, channels = recording.duration, recording.channels
    stop = duration if end is None else min(end, duration)
    if end is not None and not start < end:
        raise AbsentError(f"{start:g} to {end:g} s is no stretch: start must come before end")
    if not start < stop:
        raise AbsentError(f"the recording has {duration:.2f} s, none from {start:g} s on")
    if stop - start > LONGEST:
        raise UnusableError(f"ask for up to {LONGEST:g} s at once, by start and end")
    if channel is not None and channel >= channels:
        raise AbsentError(f"no channel {channel}: they are counted from 0 up to {channels - 1}")
    return read_span(archive, recording, Span(start, stop, channel), f"recording {recording_id}")


def read_span(archive: Archive, recording: Recording, span: Span, what: str) -> tuple[Samples, int]:
    """A span that a recording has: mono float32 (n,), and its sample rate in Hz.

    Raises:
        NotFoundError: its file is no longer there, has changed or cannot be read; names ``what``.
    """
    with ExitStack() as stack:
        path = _part(archive, recording.id, span, stack)
        if path is None:
            path = stack.enter_context(file_of_recording(archive, recording.id, recording.sha256))
        try:
            return archive.decoders.read_span(
                path,
                channel=span.channel,
                start=span.start,
                end=span.end,
                track=track_of(recording.cut),
            )
        except (AudioError, OSError) as error:
            raise NotFoundError(f"{what} cannot be played: {reason(error)}") from error


def _part(archive: Archive, recording_id: int, span: Span, stack: ExitStack) -> Path | None:
    """What is needed of a recording that lies in a bucket alone; None where that is all of it."""
    with archive.database.read() as session:
        places = locations_of(session, recording_id)
    if not places or not all(is_object(place.path) for place in places):
        return None
    try:
        return stack.enter_context(fetched_part(places[0], span.start, span.end))
    except OSError:  # the whole may be at another place; else its error is raised
        return None


@contextmanager
def file_of_recording(archive: Archive, recording_id: int, sha256: str) -> Iterator[Path]:
    """A file that still has the recording's bytes, of which ``sha256`` is the hash; of an object a
    copy, for as long as the block lasts.

    Raises:
        NotFoundError: there is none.
    """
    with archive.database.read() as session:
        places = locations_of(session, recording_id)
    problem = "is no longer there, or has changed"
    with ExitStack() as stack:
        for place in places:
            if not is_object(place.path):
                if unchanged(place.path, place, sha256):
                    yield Path(place.path)
                    return
                continue
            try:
                copy = stack.enter_context(fetched(place.path))
            except FileNotFoundError:
                continue
            except OSError as error:
                problem = f"cannot be read ({error.strerror})"
            else:
                if copy.sha256 == sha256:
                    yield copy.path
                    return
    raise NotFoundError(f"the file of recording {recording_id} {problem}")

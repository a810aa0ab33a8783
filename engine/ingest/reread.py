"""Known clips decoded again from their recordings, cut where they were cut on ingest."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from emotion_search.engine.audio.file import Samples
from emotion_search.engine.audio.windows import GivenSpans, Window
from emotion_search.engine.audio.workers import Block, Decoders, Opened
from emotion_search.index.database.coverage import MissingClip
from emotion_search.index.errors import AudioError


@dataclass(frozen=True, eq=False)
class DecodedClip:
    """A clip of the archive with its samples: float32, (n,), 16 kHz."""

    id: int
    samples: Samples


@dataclass(frozen=True)
class ClipSource:
    """A recording to decode again: where its bytes may lie, and the clips that are wanted of it."""

    name: str
    sha256: str
    paths: tuple[str, ...]
    clips: tuple[MissingClip, ...]


def decode_clips(source: ClipSource, decoders: Decoders) -> Iterator[DecodedClip]:
    """The wanted clips of a recording, as they are decoded, from the first place where its bytes
    still lie; about one clip is in memory.

    Raises:
        AudioError: the file is gone everywhere or has changed, or cannot be decoded.
    """
    problem = AudioError("no file of it is known")
    for path in source.paths:
        channels = sorted({c.channel for c in source.clips}, key=lambda c: -1 if c is None else c)
        try:
            messages = decoders.read(Path(path), channels)
            with contextlib.closing(messages):
                opened = next(messages)
                assert isinstance(opened, Opened)
                if opened.sha256 != source.sha256:
                    problem = AudioError("has changed since it was taken in")
                    continue
                cutters = [
                    ClipCutter([c for c in source.clips if c.channel == n]) for n in channels
                ]
                for message in messages:
                    if isinstance(message, Block):
                        for cutter, samples in zip(cutters, message.tracks, strict=True):
                            yield from cutter.feed(samples)
                for cutter in cutters:
                    yield from cutter.finish()
                return
        except OSError as error:
            problem = AudioError(f"is no longer there ({error.strerror})")
    raise problem


class ClipCutter:
    """The clips of one channel, cut where they were cut on ingest; the end of one may be rounded to
    a little beyond the recording's."""

    def __init__(self, clips: Sequence[MissingClip]) -> None:
        self._spans = GivenSpans((clip.start, clip.end) for clip in clips)
        self._ids: dict[tuple[float, float], list[int]] = {}
        for clip in clips:
            self._ids.setdefault((clip.start, clip.end), []).append(clip.id)

    def feed(self, block: Samples) -> Iterator[DecodedClip]:
        """The clips that this block completes."""
        return self._named(self._spans.feed(block))

    def finish(self) -> Iterator[DecodedClip]:
        """The clips that the end completes."""
        return self._named(self._spans.finish())

    def _named(self, windows: list[Window]) -> Iterator[DecodedClip]:
        for window in windows:
            for number in self._ids[window.start, window.end]:
                yield DecodedClip(number, window.samples)

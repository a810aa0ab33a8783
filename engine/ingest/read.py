"""Decoding and segmenting one file: its clips, and the row that is written of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from emotion_search.engine.audio.channels import Channels, Track
from emotion_search.engine.audio.file import SAMPLE_RATE
from emotion_search.engine.audio.voice import voiceless
from emotion_search.engine.audio.windows import FixedWindows, GivenSpans, Segmenter, Window
from emotion_search.engine.audio.workers import Block, Decoders, Ended, Message, Opened
from emotion_search.engine.files.objects import opened
from emotion_search.engine.files.scan import FoundFile, facts
from emotion_search.engine.files.values import parse_time
from emotion_search.engine.ingest.options import IngestOptions
from emotion_search.index.database.addresses import is_object
from emotion_search.index.database.recordings import Annotations, NewClip, NewRecording
from emotion_search.index.database.spans import ClipSpan, Span, span_key
from emotion_search.index.errors import AudioError, InvalidInputError

_WHOLE_DATE = len("2026-01-31")  # a bare year says too little


@dataclass(frozen=True, eq=False)
class Cut:
    """A clip that was cut out of a track."""

    track: Track
    window: Window


@dataclass(eq=False)
class Reading:
    """A recording on its way into the archive.

    Attributes:
        file, sha256: what is read.
        recut: id of the recording that is there already and is cut anew; None for a new one.
        grown: that recording is the beginning of this file, which takes its place.
        there: spans of the clips that it has, which need no embedding.
        cuts: number of clips cut so far.
        clips: those that are embedded.
        kept: spans that it keeps, and what their channel is called.
        aliases: other names of the same bytes.
        ended: how it ended.
        refused: why it cannot be taken after all.
    """

    file: FoundFile
    sha256: str
    recut: int | None = None
    grown: bool = False
    there: Mapping[ClipSpan, int] = field(default_factory=dict)
    cuts: int = 0
    clips: list[NewClip] = field(default_factory=list)
    kept: dict[ClipSpan, str | None] = field(default_factory=dict)
    aliases: list[FoundFile] = field(default_factory=list)
    ended: Ended | None = None
    refused: str | None = None

    @property
    def embedded(self) -> bool:
        """Whether all clips that were cut have their embeddings."""
        return self.cuts == len(self.clips) + len(self.kept)

    def row(self, options: IngestOptions) -> NewRecording:
        """The row of a new recording that is read to its end."""
        assert self.ended is not None
        return NewRecording(
            file=self.file.facts,
            name=Path(self.file.path).name,
            sha256=self.sha256,
            duration=self.ended.duration,
            sample_rate=self.ended.sample_rate,
            channels=self.ended.channels,
            annotations=self._dated(options.dated),
            clips=self.clips,
            cut=options.cut_for(self.file.annotations.spans),
        )

    def _dated(self, dated: str) -> Annotations:
        """The file's annotations, with its own date where they have none."""
        given = self.file.annotations
        if given.recorded_at is not None or dated == "none":
            return given
        moment, origin = _date_of(self.ended.tags if self.ended else {}), "tags"
        if moment is None and dated == "file":
            moment = datetime.fromtimestamp(self.file.facts.mtime_ns / 1e9, UTC)
            origin = "file"
        if moment is None:
            return given
        metadata = {"recorded_at_from": origin, **given.metadata}
        return replace(given, recorded_at=moment, metadata=metadata)


def read_cuts(
    decoders: Decoders,
    file: FoundFile,
    options: IngestOptions,
    *,
    expected: Callable[[float | None], None] = lambda _: None,
) -> Iterator[Opened | Cut | Ended]:
    """A file's identity, its clips (spans of its annotations, or as the options cut), its end.

    Args:
        expected: called with the file's seconds by its header; None where that does not say.

    Raises:
        AudioError: it cannot be decoded, is longer than the options allow, or changed meanwhile.
        OSError: it cannot be read.
    """
    channels, spans = options.channels, file.annotations.spans
    if spans:
        named = {track.channel: track for track in channels.tracks or ()}
        wanted = sorted({span.channel for span in spans}, key=lambda c: -1 if c is None else c)
        tracks_of = tuple(named.get(channel, Track(channel)) for channel in wanted)
        channels = replace(channels, tracks=tracks_of)
    with opened(file.path, file.facts) as (path, sha256):
        messages = decoders.read(path, channels.wanted, file.sha256 or sha256, channels.sound_track)
        with contextlib.closing(messages):
            yield from _cuts(messages, file, channels, options, expected)


def _cuts(
    messages: Iterator[Message],
    file: FoundFile,
    channels: Channels,
    options: IngestOptions,
    expected: Callable[[float | None], None],
) -> Iterator[Opened | Cut | Ended]:
    spans = file.annotations.spans
    cutters: list[tuple[Track, Segmenter]] = []
    samples_read, longest = 0, options.longest
    for message in messages:
        if isinstance(message, Block):
            expected(message.header_duration)
            samples_read += len(message.tracks[0])
            if longest is not None and samples_read > longest * SAMPLE_RATE:
                raise AudioError(f"is longer than {longest:g} s, the most that is taken here")
            if not cutters:
                tracks = map(channels.track, range(len(message.tracks)))
                cutters = [(track, _segmenter(track, spans, options)) for track in tracks]
            for (track, cutter), samples in zip(cutters, message.tracks, strict=True):
                yield from _taken(track, cutter, cutter.feed(samples))
            continue
        if isinstance(message, Ended):
            for track, cutter in cutters:
                yield from _taken(track, cutter, cutter.finish())
            if not is_object(file.path) and facts(file.path) != file.facts:
                raise AudioError("changed while it was read; ingest it again once it is complete")
        yield message


def _taken(track: Track, cutter: Segmenter, found: list[Window]) -> Iterator[Cut]:
    """The windows as cuts, of fixed ones those that may hold a voice."""
    fixed = isinstance(cutter, FixedWindows)
    return (Cut(track, one) for one in found if not (fixed and voiceless(one.samples)))


def _segmenter(track: Track, spans: Sequence[Span], options: IngestOptions) -> Segmenter:
    if spans:
        own = [span for span in spans if span.channel == track.channel]
        keyed = {span_key(one.channel, one.start, one.end): (one.start, one.end) for one in own}
        return GivenSpans(keyed.values())
    return options.segmenter()


def _date_of(tags: Mapping[str, str]) -> datetime | None:
    """When the file's tags say that it was recorded; None if they give no whole date."""
    for name in ("date", "creation_time"):
        date = tags.get(name, "")
        if len(date) >= _WHOLE_DATE:
            with contextlib.suppress(InvalidInputError):
                return parse_time(date)[0]
    return None

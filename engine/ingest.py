"""Bulk ingest: decode ahead, embed in batches, one transaction a batch; resumable anywhere."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from engine.audio import SAMPLE_RATE
from engine.channels import MIX, Channels, Track
from engine.decoding import Block, Decoders, Ended, Opened
from engine.embedders.base import Embedder, check, usable
from engine.manifest import parse_time
from engine.prefetch import prefetch
from engine.scan import facts
from engine.segment import FixedWindows, GivenSpans, Segmenter, SpeechWindows, Window
from index.database import Database
from index.errors import AudioError, InvalidInputError
from index.models import ModelInfo
from index.recordings import (
    Annotations,
    FileFacts,
    NewClip,
    NewRecording,
    Span,
    add_failure,
    add_location,
    add_recording,
    annotate,
    exists,
    find_by_sha256,
    known_files,
)

_LOOKED_UP = 500  # paths a query
_WHOLE_DATE = len("2026-01-31")  # a bare year says too little


@dataclass
class IngestReport:
    """What an ingest did.

    Attributes:
        recordings, clips: added.
        known: files seen before, unchanged.
        duplicates: files under a new name whose bytes were known.
        failed: path and reason of each file that could not be used.
        duration: seconds of audio added.
        reached, told: seconds into the file in hand that are embedded, and that its header tells
            (None: it does not).
        stopped: it ended early because it was asked to.
    """

    recordings: int = 0
    clips: int = 0
    known: int = 0
    duplicates: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    duration: float = 0.0
    reached: float = 0.0
    told: float | None = None
    stopped: bool = False

    @property
    def files(self) -> int:
        """Files dealt with so far."""
        return self.recordings + self.known + self.duplicates + len(self.failed)


@dataclass(frozen=True, eq=False)
class _Cut:
    """A clip that was cut out of a track."""

    track: Track
    window: Window


@dataclass(eq=False)
class _Reading:
    """A recording on its way: its clips so far, and other names of the same bytes."""

    file: FileFacts
    sha256: str
    cuts: int = 0
    clips: list[NewClip] = field(default_factory=list)
    aliases: list[FileFacts] = field(default_factory=list)
    ended: Ended | None = None
    refused: str | None = None


@dataclass(frozen=True)
class IngestOptions:
    """How to ingest.

    Attributes:
        window: seconds of the longest clip.
        hop: seconds from the start of one window to the next; None for no overlap. Only with
            ``segments`` ``fixed``.
        segments: ``speech`` cuts long recordings into stretches of speech, ``fixed`` into windows.
        channels: which become clips.
        batch: seconds of audio that are embedded and committed together.
        decoders: how many files are decoded at once.
        limit: most new files to take; None for all.
        dated: where nobody said when it was, take the date of the file's ``tags``, or failing
            that the ``file``'s time of change.
        rescan: hash files also where path, size and time of change are known.
        longest: seconds beyond which a file is refused; None for any.
    """

    window: float = 15.0
    hop: float | None = None
    segments: Literal["speech", "fixed"] = "speech"
    channels: Channels = MIX
    batch: float = 120.0
    decoders: int = 2
    limit: int | None = None
    dated: Literal["tags", "file", "none"] = "tags"
    rescan: bool = False
    longest: float | None = None

    def segmenter(self) -> Segmenter:
        """What cuts one track."""
        if self.segments == "speech":
            return SpeechWindows(self.window)
        return FixedWindows(self.window, self.hop)

    @property
    def cut(self) -> str:
        """How recordings are cut into clips, in words for the archive."""
        hop = f" every {self.hop:g} s" if self.hop else ""
        return f"{self.segments} up to {self.window:g} s{hop}, channels {self.channels}"


class _StoppedError(Exception):
    """The user wants to stop."""


class Ingest:
    """One run over a list of files; ``run`` does it all.

    Args:
        decoders: what decodes the files.
        said: what is said about the file at an absolute path.
        progress: called after each file and batch with the report so far.
        stop: once set, the batch in hand is committed and the run ends.
    """

    def __init__(
        self,
        database: Database,
        embedder: Embedder,
        model: ModelInfo,
        *,
        options: IngestOptions,
        decoders: Decoders,
        said: Callable[[str], Annotations],
        progress: Callable[[IngestReport], None],
        stop: threading.Event | None = None,
    ) -> None:
        self._database = database
        self._embedder = embedder
        self._model = model
        self._options = options
        self._decoders = decoders
        self._said = said
        self._stop = stop or threading.Event()
        self._progress = progress
        self.report = IngestReport()
        self._readings: dict[str, _Reading] = {}  # by sha256: read, but not committed yet
        self._waiting: list[tuple[_Reading, _Cut]] = []
        self._seconds = 0.0
        self._failed: list[tuple[str, str]] = []

    def run(self, files: Iterable[FileFacts]) -> IngestReport:
        """Ingest ``files``; what is committed stays, whatever happens to the process.

        Raises:
            DatabaseError, StorageFullError: nothing of the batch in hand was kept.
        """
        new = itertools.islice(self._new(files), self._options.limit)
        readers = prefetch(new, self._read, workers=self._options.decoders)
        with contextlib.closing(readers):  # or its threads would wait for ever after an error
            for file, messages in readers:
                try:
                    self._take(file, messages)
                except _StoppedError:
                    break
                except AudioError as error:
                    self._fail(file, str(error))
                except OSError as error:
                    self._fail(file, f"cannot be read ({error.strerror})")
                if self._seconds >= self._options.batch or len(self._failed) >= _LOOKED_UP:
                    self._commit()
                self._progress(self.report)
                if self._stop.is_set():
                    break
        self.report.stopped = self._stop.is_set()
        self._commit()
        self._progress(self.report)
        return self.report

    def _new(self, files: Iterable[FileFacts]) -> Iterator[FileFacts]:
        """Files not known by path, size and time of change; the known ones are only annotated."""
        remaining = iter(files)
        while chunk := list(itertools.islice(remaining, _LOOKED_UP)):
            with self._database.read() as session:
                known = known_files(session, [file.path for file in chunk])
            if self._options.rescan:
                known = {}
            unchanged = [
                (known[file.path][1], said)
                for file in chunk
                if file.path in known and known[file.path][0] == file
                for said in [self._said(file.path)]
            ]
            if any(said != Annotations() for _, said in unchanged):
                with self._database.write() as session:
                    for recording_id, said in unchanged:
                        if exists(session, recording_id):
                            annotate(session, recording_id, said)
            self.report.known += len(unchanged)
            yield from (f for f in chunk if f.path not in known or known[f.path][0] != f)

    def _read(self, file: FileFacts) -> Iterator[Opened | _Cut | Ended]:
        """Runs on a thread of its own: identity, clips, end."""
        path, spans = Path(file.path), self._said(file.path).spans
        channels = self._options.channels
        if spans:
            named = {track.channel: track for track in channels.tracks or ()}
            wanted = sorted({span.channel for span in spans}, key=lambda c: -1 if c is None else c)
            channels = Channels(tuple(named.get(channel, Track(channel)) for channel in wanted))
        cutters: list[tuple[Track, Segmenter]] = []
        heard, longest = 0, self._options.longest
        for message in self._decoders.read(path, channels.wanted):
            if isinstance(message, Block):
                self.report.told = message.told
                heard += len(message.tracks[0])
                if longest is not None and heard > longest * SAMPLE_RATE:
                    raise AudioError(f"is longer than {longest:g} s, the most that is taken here")
                if not cutters:
                    tracks = map(channels.track, range(len(message.tracks)))
                    cutters = [(track, self._segmenter(track, spans)) for track in tracks]
                for (track, cutter), samples in zip(cutters, message.tracks, strict=True):
                    yield from (_Cut(track, window) for window in cutter.feed(samples))
                continue
            if isinstance(message, Ended):
                for track, cutter in cutters:
                    yield from (_Cut(track, window) for window in cutter.finish())
                if facts(path) != file:
                    raise AudioError(
                        "changed while it was read; ingest it again once it is complete"
                    )
            yield message

    def _segmenter(self, track: Track, spans: Sequence[Span]) -> Segmenter:
        if spans:
            return GivenSpans((s.start, s.end) for s in spans if s.channel == track.channel)
        return self._options.segmenter()

    def _take(self, file: FileFacts, messages: Iterator[Opened | _Cut | Ended]) -> None:
        """Read one file to its end, embedding whenever a batch is full."""
        identified = next(messages)
        assert isinstance(identified, Opened)
        if (same := self._readings.get(identified.sha256)) is not None:
            same.aliases.append(file)
            return
        with self._database.read() as session:
            known = find_by_sha256(session, identified.sha256)
        if known is not None:
            self._seen_again(known, file)
            return
        reading = _Reading(file, identified.sha256)
        mark = len(self._waiting)
        try:
            for message in messages:
                if self._stop.is_set():
                    raise _StoppedError
                if isinstance(message, _Cut):
                    window = message.window
                    check([window.samples])
                    reading.cuts += 1
                    self._waiting.append((reading, message))
                    self._seconds += window.end - window.start
                    if self._seconds >= self._options.batch:
                        self._commit()
                        mark = 0
                elif isinstance(message, Ended):
                    reading.ended = message
            if not reading.cuts and self._said(file.path).spans:
                raise AudioError("ends before the spans that the manifest names")
            if not reading.cuts:
                raise AudioError("has no speech in it; with segments fixed it is taken anyway")
        except BaseException:
            del self._waiting[mark:]
            raise
        self._readings[reading.sha256] = reading

    def _embed(self) -> None:
        """Embed every waiting window."""
        embeddings = self._embedder.embed([cut.window.samples for _, cut in self._waiting])
        for (reading, cut), vector, scores in zip(
            self._waiting, embeddings.vectors, embeddings.scores, strict=True
        ):
            window, track = cut.window, cut.track
            if not usable(vector):
                reading.refused = f"gets no usable embedding at {window.start:.2f} s"
            reading.clips.append(
                NewClip(
                    track.channel, window.start, window.end, vector, scores, channel_name=track.name
                )
            )
            self.report.reached = window.end
        self._waiting.clear()
        self._seconds = 0.0
        self._progress(self.report)

    def _commit(self) -> None:
        """Embed what waits, and write every recording that is complete, in one transaction."""
        if self._waiting:
            self._embed()
        for reading in [r for r in self._readings.values() if r.refused]:
            for file in (reading.file, *reading.aliases):
                self._fail(file, str(reading.refused))
            del self._readings[reading.sha256]
        done = IngestReport()
        with self._database.write() as session:
            for path, reason in self._failed:
                add_failure(session, path, reason)
            for reading in self._readings.values():
                recording_id, is_new = add_recording(
                    session, self._model.id, self._new_row(reading)
                )
                for alias in reading.aliases:
                    add_location(session, recording_id, alias)
                    annotate(session, recording_id, self._said(alias.path))
                done.duplicates += len(reading.aliases) + (not is_new)
                done.recordings += is_new
                done.clips += len(reading.clips) * is_new
                done.duration += reading.ended.duration * is_new if reading.ended else 0.0
        self.report.recordings += done.recordings
        self.report.clips += done.clips
        self.report.duplicates += done.duplicates
        self.report.duration += done.duration
        self._readings.clear()
        self._failed.clear()

    def _new_row(self, reading: _Reading) -> NewRecording:
        assert reading.ended is not None
        return NewRecording(
            file=reading.file,
            name=Path(reading.file.path).name,
            sha256=reading.sha256,
            duration=reading.ended.duration,
            sample_rate=reading.ended.sample_rate,
            channels=reading.ended.channels,
            annotations=self._annotations(reading),
            clips=reading.clips,
            cut="given" if self._said(reading.file.path).spans else self._options.cut,
        )

    def _annotations(self, reading: _Reading) -> Annotations:
        """What is said, and when it was by the file's own account where nobody said it."""
        said, dated = self._said(reading.file.path), self._options.dated
        if said.recorded_at is not None or dated == "none":
            return said
        moment, origin = _date_of(reading.ended.tags if reading.ended else {}), "tags"
        if moment is None and dated == "file":
            moment = datetime.fromtimestamp(reading.file.mtime_ns / 1e9, UTC)
            origin = "file"
        if moment is None:
            return said
        return replace(
            said, recorded_at=moment, metadata={"recorded_at_from": origin, **said.metadata}
        )

    def _seen_again(self, recording_id: int, file: FileFacts) -> None:
        with self._database.write() as session:
            places = known_files(session, [file.path])
            if exists(session, recording_id):  # another process may have forgotten it since
                add_location(session, recording_id, file)
                annotate(session, recording_id, self._said(file.path))
        if file.path in places and places[file.path][1] == recording_id:
            self.report.known += 1
        else:
            self.report.duplicates += 1

    def _fail(self, file: FileFacts, reason: str) -> None:
        self._failed.append((file.path, reason))
        self.report.failed.append((file.path, reason))


def _date_of(tags: Mapping[str, str]) -> datetime | None:
    """When the file's tags say that it was recorded; None if they give no whole date."""
    for name in ("date", "creation_time"):
        date = tags.get(name, "")
        if len(date) >= _WHOLE_DATE:
            with contextlib.suppress(InvalidInputError):
                return parse_time(date)[0]
    return None

"""Bulk ingest: decode ahead, embed in batches, one transaction a batch; resumable anywhere."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.audio import AudioFile
from engine.embedders.base import Embedder, check, usable
from engine.prefetch import prefetch
from engine.scan import facts
from engine.segment import Window, windows
from index.database import Database
from index.errors import AudioError
from index.models import ModelInfo
from index.recordings import (
    Annotations,
    FileFacts,
    NewClip,
    NewRecording,
    add_failure,
    add_location,
    add_recording,
    annotate,
    exists,
    find_by_sha256,
    known_files,
)

_LOOKED_UP = 500  # paths a query


@dataclass
class IngestReport:
    """What an ingest did.

    Attributes:
        recordings, clips: added.
        known: files seen before, unchanged.
        duplicates: files under a new name whose bytes were known.
        failed: path and reason of each file that could not be used.
        duration: seconds of audio added.
    """

    recordings: int = 0
    clips: int = 0
    known: int = 0
    duplicates: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    duration: float = 0.0

    @property
    def files(self) -> int:
        """Files dealt with so far."""
        return self.recordings + self.known + self.duplicates + len(self.failed)


@dataclass(frozen=True)
class _Identified:
    sha256: str


@dataclass(frozen=True)
class _Ended:
    duration: float
    sample_rate: int
    channels: int


@dataclass(eq=False)
class _Reading:
    """A recording on its way: its clips so far, and other names of the same bytes."""

    file: FileFacts
    sha256: str
    clips: list[NewClip] = field(default_factory=list)
    aliases: list[FileFacts] = field(default_factory=list)
    ended: _Ended | None = None
    refused: str | None = None


@dataclass(frozen=True)
class IngestOptions:
    """How to ingest.

    Attributes:
        window: seconds of the longest clip.
        batch: seconds of audio that are embedded and committed together.
        decoders: threads that decode.
        channel: counted from 0; None mixes all down.
    """

    window: float = 15.0
    batch: float = 120.0
    decoders: int = 2
    channel: int | None = None


class Ingest:
    """One run over a list of files; ``run`` does it all.

    Args:
        said: annotations by absolute path.
        progress: called after each file and batch with the report so far.
    """

    def __init__(
        self,
        database: Database,
        embedder: Embedder,
        model: ModelInfo,
        *,
        options: IngestOptions,
        said: Mapping[str, Annotations],
        progress: Callable[[IngestReport], None],
    ) -> None:
        self._database = database
        self._embedder = embedder
        self._model = model
        self._options = options
        self._said = said
        self._progress = progress
        self.report = IngestReport()
        self._readings: dict[str, _Reading] = {}  # by sha256: read, but not committed yet
        self._waiting: list[tuple[_Reading, Window]] = []
        self._seconds = 0.0
        self._failed: list[tuple[str, str]] = []

    def run(self, files: Iterable[FileFacts]) -> IngestReport:
        """Ingest ``files``; what is committed stays, whatever happens to the process.

        Raises:
            DatabaseError, StorageFullError: nothing of the batch in hand was kept.
        """
        readers = prefetch(self._new(files), self._read, workers=self._options.decoders)
        with contextlib.closing(readers):  # or its threads would wait for ever after an error
            for file, messages in readers:
                try:
                    self._take(file, messages)
                except AudioError as error:
                    self._fail(file, str(error))
                except OSError as error:
                    self._fail(file, f"cannot be read ({error.strerror})")
                if self._seconds >= self._options.batch or len(self._failed) >= _LOOKED_UP:
                    self._commit()
                self._progress(self.report)
        self._commit()
        self._progress(self.report)
        return self.report

    def _new(self, files: Iterable[FileFacts]) -> Iterator[FileFacts]:
        """Files not known by path, size and time of change; the known ones are only annotated."""
        remaining = iter(files)
        while chunk := list(itertools.islice(remaining, _LOOKED_UP)):
            with self._database.read() as session:
                known = known_files(session, [file.path for file in chunk])
            unchanged = [
                (known[file.path][1], said)
                for file in chunk
                if file.path in known and known[file.path][0] == file
                for said in [self._said.get(file.path, Annotations())]
            ]
            if any(said != Annotations() for _, said in unchanged):
                with self._database.write() as session:
                    for recording_id, said in unchanged:
                        if exists(session, recording_id):
                            annotate(session, recording_id, said)
            self.report.known += len(unchanged)
            yield from (f for f in chunk if f.path not in known or known[f.path][0] != f)

    def _read(self, file: FileFacts) -> Iterator[_Identified | Window | _Ended]:
        """Runs on a decoder thread: identity, windows, end."""
        path = Path(file.path)
        with path.open("rb") as handle:
            yield _Identified(hashlib.file_digest(handle, "sha256").hexdigest())
        with AudioFile(path, self._options.channel) as audio:
            yield from windows(audio.blocks(), self._options.window)
            ended = _Ended(audio.duration, audio.sample_rate, audio.channels)
        if facts(path) != file:
            raise AudioError("changed while it was read; ingest it again once it is complete")
        yield ended

    def _take(self, file: FileFacts, messages: Iterator[_Identified | Window | _Ended]) -> None:
        """Read one file to its end, embedding whenever a batch is full."""
        identified = next(messages)
        assert isinstance(identified, _Identified)
        if (same := self._readings.get(identified.sha256)) is not None:
            same.aliases.append(file)
            return
        with self._database.read() as session:
            known = find_by_sha256(session, identified.sha256)
        if known is not None:
            self._rename(known, file)
            return
        reading = _Reading(file, identified.sha256)
        mark = len(self._waiting)
        try:
            for message in messages:
                if isinstance(message, Window):
                    check([message.samples])
                    self._waiting.append((reading, message))
                    self._seconds += message.end - message.start
                    if self._seconds >= self._options.batch:
                        self._commit()
                        mark = 0
                elif isinstance(message, _Ended):
                    reading.ended = message
        except BaseException:
            del self._waiting[mark:]
            raise
        self._readings[reading.sha256] = reading

    def _embed(self) -> None:
        """Embed every waiting window."""
        embeddings = self._embedder.embed([window.samples for _, window in self._waiting])
        for (reading, window), vector, scores in zip(
            self._waiting, embeddings.vectors, embeddings.scores, strict=True
        ):
            if not usable(vector):
                reading.refused = f"gets no usable embedding at {window.start:.2f} s"
            reading.clips.append(
                NewClip(self._options.channel, window.start, window.end, vector, scores)
            )
        self._waiting.clear()
        self._seconds = 0.0

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
                    annotate(session, recording_id, self._said.get(alias.path, Annotations()))
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
            annotations=self._said.get(reading.file.path, Annotations()),
            clips=reading.clips,
        )

    def _rename(self, recording_id: int, file: FileFacts) -> None:
        with self._database.write() as session:
            if exists(session, recording_id):  # another process may have forgotten it since
                add_location(session, recording_id, file)
                annotate(session, recording_id, self._said.get(file.path, Annotations()))
        self.report.duplicates += 1

    def _fail(self, file: FileFacts, reason: str) -> None:
        self._failed.append((file.path, reason))
        self.report.failed.append((file.path, reason))

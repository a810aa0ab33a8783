"""Bulk ingest: decode ahead, embed one batch while the last is written; resumable anywhere."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from pathlib import Path

from emotion_search.engine.audio.channels import track_of
from emotion_search.engine.audio.workers import Decoders, Ended, Opened
from emotion_search.engine.embedders.base import check, usable
from emotion_search.engine.embedders.shared import SharedEmbedder
from emotion_search.engine.files.grown import goes_on
from emotion_search.engine.files.scan import FoundFile
from emotion_search.engine.ingest.batches import Batches
from emotion_search.engine.ingest.lookup import LOOKED_UP, look_up
from emotion_search.engine.ingest.options import IngestOptions, cut_otherwise
from emotion_search.engine.ingest.prefetch import prefetch
from emotion_search.engine.ingest.read import Cut, Reading, read_cuts
from emotion_search.engine.ingest.report import IngestReport
from emotion_search.engine.ingest.write import Writer
from emotion_search.engine.machine.memory import release_free_memory
from emotion_search.index.database import files as rows
from emotion_search.index.database.addresses import is_object
from emotion_search.index.database.connection import Database
from emotion_search.index.database.forgotten import digest_of
from emotion_search.index.database.models import ModelInfo, archive_uuid, revision_and_space
from emotion_search.index.database.recording_details import get_recording, locations_of
from emotion_search.index.database.recordings import Annotations, NewClip, check_sides, exists
from emotion_search.index.database.recut import Cut as CurrentCut
from emotion_search.index.database.recut import current_cut
from emotion_search.index.database.scoring import rescore
from emotion_search.index.database.spans import span_key
from emotion_search.index.errors import AudioError

BATCH_S = 120.0
"""Seconds of audio that are embedded and committed together."""
UNREADABLE = "cannot be read"
"""How the reason begins why a file was not ingested that the system did not give to read."""

_MOVED = "was changed by another ingest meanwhile; try again"


class _StoppedError(Exception):
    """The user wants to stop."""


@dataclass(eq=False)
class Ingest:
    """One run over a list of files; ``run`` does it all.

    Attributes:
        options: ``completed``.
        decoders: decode the files.
        workers: how many files are decoded at once.
        progress: called after each file and batch with the report so far.
        stop: once set, the batch in hand is committed and the run ends.
    """

    database: Database
    embedder: SharedEmbedder
    model: ModelInfo
    _: KW_ONLY
    options: IngestOptions
    decoders: Decoders
    workers: int
    progress: Callable[[IngestReport], None]
    stop: threading.Event | None = None

    def __post_init__(self) -> None:
        self.report = IngestReport()
        self._stop = self.stop or threading.Event()
        self._readings: dict[str, Reading] = {}  # by sha256: read, but not committed yet
        self._silent: dict[str, Reading] = {}  # the same, of those without a clip
        self._otherwise: set[int] = set()  # recordings that are cut otherwise and stay so
        self._waiting: list[tuple[Reading, Cut]] = []
        self._batches: Batches[tuple[Reading, Cut]] = Batches(self.embedder)
        self._writer = Writer(self.model.id, self.options)
        self._seconds = 0.0
        self._failed: list[tuple[str, str]] = []

    def run(self, files: Iterable[FoundFile]) -> IngestReport:
        """Ingest ``files``; what is committed stays, whatever happens to the process.

        Raises:
            DatabaseError, StorageFullError: nothing of the batch in hand was kept.
        """
        import scipy.fft  # noqa: F401 - takes a tenth of a second, and telling tones then less

        limit = self.options.limit
        readers = prefetch(self._new(files), self._read, workers=self.workers)
        # Or threads would wait for ever after an error, and the model go on.
        with contextlib.closing(readers), contextlib.closing(self._batches):
            for file, messages in readers:
                try:
                    self._take(file, messages)
                except _StoppedError:
                    break
                except AudioError as error:
                    self._fail(file, str(error))
                except OSError as error:
                    self._fail(file, f"{UNREADABLE} ({error.strerror})")
                if self._unwritten >= LOOKED_UP:
                    self._commit()
                self.progress(self.report)
                if self._stop.is_set() or (limit is not None and self._taken >= limit):
                    break
            self.report.stopped = self._stop.is_set()
            for _ in range(2):  # one batch is always ahead
                self._commit()
        self.progress(self.report)
        return self.report

    @property
    def _unwritten(self) -> int:
        """Files that are done with but for being written down."""
        return len(self._failed) + len(self._silent) + len(self._readings)

    @property
    def _taken(self) -> int:
        """New files that are dealt with for good, written down or not."""
        unwritten = [*self._readings.values(), *self._silent.values()]
        done = self.report
        return done.added + sum(1 + len(reading.aliases) for reading in unwritten)

    def _new(self, files: Iterable[FoundFile]) -> Iterator[FoundFile]:
        """Files that have to be read; the known ones are only annotated."""
        options = self.options
        for chunk in look_up(self.database, files, options, self._fail):
            if options.rescan:
                yield from (looked.file for looked in chunk)
                continue
            unread = []
            unchanged: list[tuple[int, FoundFile, bool]] = []
            for looked in chunk:
                if looked.recording_id is not None and not (looked.otherwise and options.recut):
                    if looked.failed or looked.file.annotations != Annotations():
                        unchanged.append((looked.recording_id, looked.file, looked.otherwise))
                    if looked.otherwise:
                        self._otherwise.add(looked.recording_id)
                elif not looked.silent or options.retry:
                    unread.append(looked.file)
            if unchanged:
                with self.database.write() as session:
                    for recording_id, file, otherwise in unchanged:
                        if exists(session, recording_id):
                            rows.remove_failures(session, [file.path])
                            lost = len(self.report.lost)
                            self._writer.annotate(session, recording_id, file, self.report)
                            if otherwise:  # it is counted; its spans are no failures
                                del self.report.lost[lost:]
            self.report.otherwise = len(self._otherwise)
            self.report.known += len(chunk) - len(unread)
            yield from unread

    def _read(self, file: FoundFile) -> Iterator[Opened | Cut | Ended]:
        """Runs on a thread of its own: identity, clips, end."""

        def expected(seconds: float | None) -> None:
            self.report.expected = seconds

        return read_cuts(self.decoders, file, self.options, expected=expected)

    def _take(self, file: FoundFile, messages: Iterator[Opened | Cut | Ended]) -> None:
        """Read one file to its end, embedding whenever a batch is full."""
        identified = next(messages)
        assert isinstance(identified, Opened)
        if (same := self._readings.get(identified.sha256)) is not None:
            same.aliases.append(file)
            return
        reading = self._begun(file, identified.sha256)
        if reading is None:
            return
        mark = len(self._waiting)
        try:
            for message in messages:
                if self._stop.is_set():
                    raise _StoppedError
                if isinstance(message, Cut):
                    if self._cut(reading, message):
                        mark = 0
                elif isinstance(message, Ended):
                    check_sides(file.annotations, message.channels)
                    reading.ended = message
                    self.report.notices += [(file.path, text) for text in message.notices]
            if not reading.cuts and file.annotations.spans:
                raise AudioError("ends before the spans that the manifest names")
        except BaseException:
            del self._waiting[mark:]
            raise
        if reading.cuts:
            self._readings[reading.sha256] = reading
        else:
            self._silent[reading.sha256] = reading

    @cached_property
    def _salt(self) -> str:
        with self.database.read() as session:
            return archive_uuid(session)

    def _begun(self, file: FoundFile, sha256: str) -> Reading | None:
        """A file that has to be read beyond its hash; None if these bytes are known well enough."""
        options = self.options
        wanted = options.cut_for(file.annotations.spans)
        digest = digest_of(self._salt, sha256)
        with self.database.read() as session:
            before = rows.seen_before(session, file.path, sha256, digest, wanted)
            known = before.recording
            cut = None if known is None else current_cut(session, known)
            silent = known is None and not options.retry and before.silent
            noted = rows.silent_files(session, [file.path]).get(file.path) if silent else None
        if known is None and before.erased and not options.again:
            self.report.forgotten += 1
            return None
        if (same := self._silent.get(sha256)) is not None:  # in this batch
            same.aliases.append(file)
            return None
        if known is None and before.located and (grown := self._grown(file)) is not None:
            return Reading(file, sha256, recut=grown[0], there=grown[1].clips, grown=True)
        if known is not None:
            otherwise = cut is not None and cut_otherwise(cut.how, wanted)
            if cut is None or not (otherwise and options.recut):
                if otherwise:
                    self._otherwise.add(known)
                    self.report.otherwise = len(self._otherwise)
                self._seen_again(known, file)
                return None
            # What another sound track holds at the same times is not the same.
            same_track = track_of(cut.how) == options.channels.sound_track
            return Reading(file, sha256, recut=known, there=cut.clips if same_track else {})
        reading = Reading(file, sha256)
        if silent and noted == rows.Silence(file.facts, sha256, wanted):
            self.report.known += 1
            return None
        if silent:
            self._silent[sha256] = reading
            return None
        return reading

    def _grown(self, file: FoundFile) -> tuple[int, CurrentCut] | None:
        """The recording that this file held when it was shorter, and that it goes on with, and how
        that is cut; None where there is none, or the shorter file still lies elsewhere, too."""
        if is_object(file.path):  # which nobody appends to
            return None
        with self.database.read() as session:
            before = rows.known_files(session, [file.path]).get(file.path)
            if before is None or not 0 < before.file.size < file.facts.size:
                return None
            places = locations_of(session, before.recording_id)
            row = get_recording(session, before.recording_id)
            sha256, cut = row.sha256, current_cut(session, before.recording_id)
        if cut is None or any(p.path != file.path and not rows.gone(p.path) for p in places):
            return None
        if not goes_on(Path(file.path), before.file.size, sha256):
            return None
        return before.recording_id, cut

    def _cut(self, reading: Reading, cut: Cut) -> bool:
        """Let a clip wait for the model, if it has to; whether that filled a batch."""
        window, track = cut.window, cut.track
        check([window.samples])
        reading.cuts += 1
        span = span_key(track.channel, window.start, window.end)
        if span in reading.there:
            reading.kept[span] = track.name
            return False
        self._waiting.append((reading, cut))
        self._seconds += window.end - window.start
        if self._seconds < BATCH_S:
            return False
        self._commit()
        return True

    def _commit(self) -> None:
        """Have what waits embedded, and meanwhile write every recording that is complete."""
        batch = [(one, one[1].window.samples) for one in self._waiting]
        self._waiting.clear()
        self._seconds = 0.0
        for (reading, cut), vector, scores, affect in self._batches.swap(batch):
            window, track = cut.window, cut.track
            if not usable(vector):
                reading.refused = f"gets no usable embedding at {window.start:.2f} s"
            reading.clips.append(
                NewClip(
                    track.channel,
                    window.start,
                    window.end,
                    vector,
                    scores,
                    channel_name=track.name,
                    affect=affect,
                )
            )
            self.report.reached = window.end
        self.progress(self.report)
        self._write()

    def _write(self) -> None:
        """Write every recording that is complete, and every note, in one transaction."""
        complete = [reading for reading in self._readings.values() if reading.embedded]
        if not (complete or self._silent or self._failed):
            return
        for reading in complete:
            if reading.refused:
                for file in (reading.file, *reading.aliases):
                    self._fail(file, reading.refused)
        done = IngestReport()
        with self.database.write() as session:
            before = revision_and_space(session, self.model.id)[0]
            for path, reason in self._failed:
                rows.add_failure(session, path, reason)
            self._writer.silent(session, self._silent.values(), done)
            moved = self._writer.recordings(session, (r for r in complete if not r.refused), done)
            for reading in moved:
                rows.add_failure(session, reading.file.path, _MOVED)
                done.failed.append((reading.file.path, _MOVED))
            if self.embedder.adapts:
                rescore(session, self.model, self.embedder.scores, since=before)
        self.report += done
        for reading in complete:
            del self._readings[reading.sha256]
        self._silent.clear()
        self._failed.clear()
        release_free_memory()

    def _seen_again(self, recording_id: int, file: FoundFile) -> None:
        with self.database.write() as session:
            places = {place.path for place in locations_of(session, recording_id)}
            moved = rows.drop_gone(session, sorted(places - {file.path}))
            if exists(session, recording_id):  # another process may have forgotten it since
                rows.add_locations(session, [(recording_id, file.facts)])
                self._writer.annotate(session, recording_id, file, self.report)
        if file.path in places:
            self.report.known += 1
        elif moved:
            self.report.moved += 1
        else:
            self.report.duplicates += 1

    def _fail(self, file: FoundFile, reason: str) -> None:
        self._failed.append((file.path, reason))
        self.report.failed.append((file.path, reason))

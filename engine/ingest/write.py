"""Writing what an ingest has read: recordings, new cuts, files without speech, failures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from emotion_search.engine.files.scan import FoundFile
from emotion_search.engine.ingest.options import IngestOptions
from emotion_search.engine.ingest.read import Reading
from emotion_search.engine.ingest.report import IngestReport
from emotion_search.index.database import files
from emotion_search.index.database.connection import Session
from emotion_search.index.database.forgotten import are_forgotten, take_back
from emotion_search.index.database.labels import spans_without_clip
from emotion_search.index.database.recording_details import locations_of
from emotion_search.index.database.recordings import (
    add_recordings,
    annotate,
    exists,
    remove_recording,
    replace_content,
)
from emotion_search.index.database.recut import recut_recording
from emotion_search.index.errors import AudioError


@dataclass(frozen=True)
class Writer:
    """Writes into one archive what was read.

    Args:
        model_id: of the model that embedded it.
    """

    model_id: int
    options: IngestOptions

    def silent(self, session: Session, readings: Iterable[Reading], done: IngestReport) -> None:
        """Note files without speech; a recording that was cut anew and has none is removed."""
        for reading in readings:
            if reading.recut is not None and exists(session, reading.recut):
                remove_recording(session, reading.recut)
                done.recut += 1
            else:
                done.silent += 1
            done.silent += len(reading.aliases)
            for file in (reading.file, *reading.aliases):
                cut = self.options.cut_for(file.annotations.spans)
                files.add_silence(session, files.Silence(file.facts, reading.sha256, cut))

    def recordings(
        self, session: Session, readings: Iterable[Reading], done: IngestReport
    ) -> list[Reading]:
        """Write recordings; returns those that another process took away meanwhile."""
        readings = list(readings)
        new = self._wanted(session, [one for one in readings if one.recut is None], done)
        rows = [reading.row(self.options) for reading in new]
        added = add_recordings(session, self.model_id, rows)
        for reading, row, (recording_id, is_new) in zip(new, rows, added, strict=True):
            done.recordings += is_new
            done.duplicates += len(reading.aliases) + (not is_new)
            done.clips += len(reading.clips) * is_new
            done.duration += row.duration * is_new
            done.mixed += is_new and row.channels > 1 and not self._asked(reading.file)
            self._note_lost(session, recording_id, reading.file, done)
            self._aliases(session, recording_id, reading, done)
        again = [reading for reading in readings if reading.recut is not None]
        return [reading for reading in again if not self._recut(session, reading, done)]

    def _asked(self, file: FoundFile) -> bool:
        """Whether somebody said which of a file's channels to take."""
        spans = file.annotations.spans
        named = bool(spans) and all(span.channel is not None for span in spans)
        return named or self.options.channels.asked

    def _wanted(self, session: Session, new: list[Reading], done: IngestReport) -> list[Reading]:
        """Those that were not forgotten, here or in another process since they were begun."""
        hashes = [reading.sha256 for reading in new]
        if self.options.again:
            take_back(session, hashes)
        erased = are_forgotten(session, hashes)
        done.forgotten += sum(1 + len(one.aliases) for one in new if one.sha256 in erased)
        return [reading for reading in new if reading.sha256 not in erased]

    def _recut(self, session: Session, reading: Reading, done: IngestReport) -> bool:
        recording_id, file = reading.recut, reading.file
        assert recording_id is not None
        cut = self.options.cut_for(file.annotations.spans)
        if reading.grown and files.find_by_sha256(session, reading.sha256) is not None:
            return False
        added = recut_recording(
            session,
            self.model_id,
            recording_id,
            reading.clips,
            reading.kept,
            cut,
            anew=not reading.there,
        )
        if added is None:
            return False
        new = reading.row(self.options)
        replace_content(session, recording_id, new)  # of an import nobody knew length and rate
        done.duration += new.duration if reading.grown else 0.0
        files.drop_gone(session, [place.path for place in locations_of(session, recording_id)])
        files.add_locations(session, [(recording_id, file.facts)])
        self.annotate(session, recording_id, file, done)
        done.recut += not reading.grown
        done.grown += reading.grown
        done.clips += added
        done.known += len(reading.aliases)
        self._aliases(session, recording_id, reading, done)
        return True

    def annotate(
        self, session: Session, recording_id: int, file: FoundFile, done: IngestReport
    ) -> None:
        """Write a file's annotations to the recording that it holds, and note the spans among them
        that are no clips of it, or that nothing was written, as it has not the channel of one."""
        try:
            annotate(session, {recording_id: file.annotations})
        except AudioError as error:
            done.failed.append((file.path, str(error)))
            return
        self._note_lost(session, recording_id, file, done)

    def _aliases(
        self, session: Session, recording_id: int, reading: Reading, done: IngestReport
    ) -> None:
        files.add_locations(session, [(recording_id, alias.facts) for alias in reading.aliases])
        for alias in reading.aliases:
            self.annotate(session, recording_id, alias, done)

    def _note_lost(
        self, session: Session, recording_id: int, file: FoundFile, done: IngestReport
    ) -> None:
        lost = spans_without_clip(session, recording_id, file.annotations.spans)
        done.lost += [(file.path, span) for span in lost]

"""Writing what an ingest has read: recordings, new cuts, files without speech, failures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from emotion_search.engine.ingest.options import IngestOptions
from emotion_search.engine.ingest.read import Reading
from emotion_search.engine.ingest.report import IngestReport
from emotion_search.index.database.connection import Session
from emotion_search.index.database.files import Silence, add_failure, add_silence
from emotion_search.index.database.labels import spans_without_clip
from emotion_search.index.database.recordings import (
    Annotations,
    add_locations,
    add_recordings,
    annotate,
    exists,
    remove_recording,
)
from emotion_search.index.database.recut import recut_recording


@dataclass(frozen=True)
class Writer:
    """Writes into one archive what is said to be there.

    Args:
        model_id: of the model that embedded it.
        said: what is said about the file at a path.
    """

    model_id: int
    options: IngestOptions
    said: Callable[[str], Annotations]

    def cut_of(self, path: str) -> str:
        """How the file at a path is cut into clips, in words."""
        return self.options.cut_for(self.said(path).spans)

    def failures(self, session: Session, failed: Iterable[tuple[str, str]]) -> None:
        """Note path and reason of files that could not be used."""
        for path, reason in failed:
            add_failure(session, path, reason)

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
                add_silence(session, Silence(file, reading.sha256, self.cut_of(file.path)))

    def recordings(
        self, session: Session, readings: Iterable[Reading], done: IngestReport
    ) -> list[Reading]:
        """Write recordings; returns those that another process took away meanwhile."""
        readings = list(readings)
        new = [reading for reading in readings if reading.recut is None]
        rows = [reading.row(self.said(reading.file.path), self.options) for reading in new]
        added = add_recordings(session, self.model_id, rows)
        for reading, row, (recording_id, is_new) in zip(new, rows, added, strict=True):
            done.recordings += is_new
            done.duplicates += len(reading.aliases) + (not is_new)
            done.clips += len(reading.clips) * is_new
            done.duration += row.duration * is_new
            self._note_lost(session, recording_id, reading.file.path, done)
            self._aliases(session, recording_id, reading, done)
        again = [reading for reading in readings if reading.recut is not None]
        return [reading for reading in again if not self._recut(session, reading, done)]

    def _recut(self, session: Session, reading: Reading, done: IngestReport) -> bool:
        recording_id, path = reading.recut, reading.file.path
        assert recording_id is not None
        how = self.cut_of(path)
        added = recut_recording(
            session, self.model_id, recording_id, reading.clips, reading.kept, how
        )
        if added is None:
            return False
        add_locations(session, [(recording_id, reading.file)])
        self.annotate(session, recording_id, path, done)
        done.recut += 1
        done.clips += added
        done.known += len(reading.aliases)
        self._aliases(session, recording_id, reading, done)
        return True

    def annotate(self, session: Session, recording_id: int, path: str, done: IngestReport) -> None:
        """Write what is said about the file at a path to the recording that it holds, and note
        the spans among it that are no clips of it."""
        annotate(session, recording_id, self.said(path))
        self._note_lost(session, recording_id, path, done)

    def _aliases(
        self, session: Session, recording_id: int, reading: Reading, done: IngestReport
    ) -> None:
        add_locations(session, [(recording_id, alias) for alias in reading.aliases])
        for alias in reading.aliases:
            self.annotate(session, recording_id, alias.path, done)

    def _note_lost(
        self, session: Session, recording_id: int, path: str, done: IngestReport
    ) -> None:
        lost = spans_without_clip(session, recording_id, self.said(path).spans)
        done.lost += [(path, span) for span in lost]

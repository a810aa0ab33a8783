"""Import: which recording a row is of, and where its bytes lie."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from emotion_search.engine.files.scan import facts, sha256_of
from emotion_search.engine.transfer.rows import Row
from emotion_search.index.database.connection import Database, Session
from emotion_search.index.database.files import FileFacts
from emotion_search.index.database.recording_details import get_recording
from emotion_search.index.database.recordings import find_by_sha256, recording_at

Identity = tuple[str, FileFacts | None]
"""The sha256 that a recording is known by, and where it lies, so far as that is new."""


class Identities:
    """Tells recordings by their rows. A file is read once, and in no write transaction: hashing
    hours of audio must not keep others from writing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._files: dict[str, tuple[FileFacts, str] | None] = {}

    def of(self, recordings: Sequence[Sequence[Row]]) -> list[Identity]:
        """The identity of each recording, given by its rows.

        It is the ``sha256`` that a row gives, else that of the file at its path, else of the
        recording that the archive has from this path, else made up from path or id. A file whose
        bytes are others than a row gives is not where the recording lies: its path is noted, as it
        is where there is no file, without size and time, so that an ingest will look at it.
        """
        firsts = [next((row for row in rows if row.path), rows[0]) for rows in recordings]
        for row in firsts:
            if row.path is not None and row.path not in self._files:
                self._files[row.path] = _hashed(row.path)
        with self._database.read() as session:
            return [self._identity(session, row) for row in firsts]

    def _identity(self, session: Session, row: Row) -> Identity:
        file = None if row.path is None else self._files[row.path]
        if file is not None and row.sha256 in (None, file[1]):
            return file[1], file[0]
        known = None if row.path is None else recording_at(session, row.path)
        sha256 = row.sha256
        if sha256 is None and known is not None:
            sha256 = get_recording(session, known).sha256
        if sha256 is None:
            sha256 = hashlib.sha256(f"emotion-search import\0{row.key}".encode()).hexdigest()
        new = known is None and find_by_sha256(session, sha256) is None
        return sha256, FileFacts(row.path, 0, 0) if row.path is not None and new else None


def _hashed(path: str) -> tuple[FileFacts, str] | None:
    """A file as it is and the sha256 of its bytes; None where it cannot be read."""
    try:
        return facts(Path(path)), sha256_of(Path(path))
    except OSError:
        return None

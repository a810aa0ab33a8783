"""Import: which recording a row is of, and where its bytes lie."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from emotion_search.engine.files.scan import facts, sha256_of
from emotion_search.engine.transfer.rows import Row
from emotion_search.index.database.addresses import is_object
from emotion_search.index.database.connection import Database
from emotion_search.index.database.files import FileFacts, hashes_at, ids_of_hashes

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
            at = hashes_at(session, [row.path for row in firsts if row.path is not None])
            identities = [self._identity(row, at) for row in firsts]
            known = ids_of_hashes(session, [sha256 for sha256, _ in identities])
        for number, (row, (sha256, file)) in enumerate(zip(firsts, identities, strict=True)):
            if file is None and row.path is not None and row.path not in at and sha256 not in known:
                identities[number] = sha256, FileFacts(row.path, 0, 0)
        return identities

    def _identity(self, row: Row, at: Mapping[str, str]) -> Identity:
        """The hash of a recording, and the file if that holds it; ``at`` tells the hash of what the
        archive has seen at a path."""
        file = None if row.path is None else self._files[row.path]
        if file is not None and row.sha256 in (None, file[1]):
            return file[1], file[0]
        made_up = f"emotion-search import\0{row.key}".encode()
        sha256 = row.sha256 or at.get(row.path or "") or hashlib.sha256(made_up).hexdigest()
        return sha256, None


def _hashed(path: str) -> tuple[FileFacts, str] | None:
    """A file as it is and the sha256 of its bytes; None where it cannot be read, and of objects."""
    try:
        return None if is_object(path) else (facts(path), sha256_of(path))
    except OSError:
        return None

"""The spool of uploads that wait to be ingested: files in the home, each with a lock."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from filelock import FileLock, Timeout

from emotion_search.engine.archive.uploads import ABANDONED_S, HomeUploads
from emotion_search.engine.files.disk import space_needed
from emotion_search.index.database.connection import Database
from emotion_search.index.database.jobs import place_of
from emotion_search.index.disk.permissions import FILE, make_file, make_folder
from emotion_search.index.disk.sync import publish, remove, sync

_PART = 1 << 20  # bytes that are read at once


class Hold(Protocol):
    """An upload that this process alone works on."""

    def release(self) -> None:
        """Let others have it."""

    def drop(self) -> None:
        """Remove it: nobody needs it any more."""


@dataclass
class Received:
    """An upload that is stored whole.

    Attributes:
        stored: its name here.
        sha256: of its bytes, computed as they arrived.
        size: bytes.
    """

    stored: str
    hold: Hold
    sha256: str
    size: int


class Incoming:
    """The uploads of a home that are not taken in yet. Safe for use from several threads.

    Attributes:
        place: a uuid by which the database knows this home.
        worker: by what name jobs are on lease here; None for locks in their stead.
    """

    worker: str | None = None

    def __init__(self, uploads: HomeUploads, database: Database) -> None:
        self._uploads, self._folder = uploads, uploads.folder / "incoming"
        self._database = database
        self.place = ""

    def open(self) -> None:
        """Make the folder, if it is not there."""
        make_folder(self._folder.parent)
        make_folder(self._folder)
        with FileLock(self._folder / "place.lock", mode=FILE):
            self.place = self._uploads.place() or self._named()

    def _named(self) -> str:
        """The uuid by which the jobs of the uploads that are here know this home, or a new one;
        from now on in its file."""
        with self._database.read() as session:
            known = place_of(session, [one.name for one in self._folder.iterdir()])
        place = known or str(uuid.uuid4())
        path = self._uploads.place_file
        partial = path.with_suffix(".partial")
        make_file(partial).write_text(place)
        publish(partial, path)
        return place

    def close(self) -> None:
        """End what ``open`` began."""

    def receive(self, content: BinaryIO) -> Received:
        """Store what is read to its end.

        Raises:
            StorageFullError: no space is left; nothing of it is kept.
        """
        stored = uuid.uuid4().hex
        hold = _Lock(self._folder / stored)
        hold.lock.acquire()
        reading = Hashing(content)
        try:
            with space_needed(self._folder), make_file(self._folder / stored).open("wb") as file:
                for part in reading:
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
            sync(self._folder)
        except BaseException:
            hold.drop()
            raise
        return Received(stored, hold, *reading.found())

    def take(self, stored: str) -> Hold | None:
        """An upload for this process alone; None while another, or another thread, works on it."""
        hold = _Lock(self._folder / stored)
        try:
            hold.lock.acquire(blocking=False)
        except Timeout:
            return None
        return hold

    def abandoned(self) -> list[str]:
        """Uploads that came an hour ago or longer: rubbish, if no job needs them."""
        old = set()
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another process is done with it
                if path.stem != "place" and time.time() - path.stat().st_mtime > ABANDONED_S:
                    old.add(path.stem)
        return sorted(old)

    def remove(self, stored: str) -> None:
        """Remove an upload that no job needs, unless it is being worked on."""
        if (hold := self.take(stored)) is not None:
            hold.drop()


class _Lock:
    """A lock on an upload of the home."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.lock = FileLock(path.with_name(f"{path.name}.lock"), mode=FILE, thread_local=False)

    def release(self) -> None:
        self.lock.release()

    def drop(self) -> None:
        remove([self._path])
        Path(self.lock.lock_file).unlink(missing_ok=True)
        self.lock.release()


class Hashing:
    """Parts of what is read to its end; sha256 and size of it are ``found`` then."""

    def __init__(self, content: BinaryIO) -> None:
        self._content, self._digest, self._size = content, hashlib.sha256(), 0

    def __iter__(self) -> Iterator[bytes]:
        while part := self._content.read(_PART):
            self._digest.update(part)
            self._size += len(part)
            yield part

    def found(self) -> tuple[str, int]:
        """Sha256 and size."""
        return self._digest.hexdigest(), self._size

"""The spool of uploads that wait to be ingested: files in the home, each with a lock."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from emotion_search.engine.files.disk import space_needed
from emotion_search.index.disk.permissions import FILE, make_file, make_folder
from emotion_search.index.disk.sync import publish, remove, sync

_ABANDONED_S = 3600.0  # after which a stored upload that no job knows is rubbish


@dataclass
class Received:
    """An upload that is whole on disk, and locked by this process.

    Attributes:
        stored: its name here.
        sha256: of its bytes, computed as they arrived.
        size: bytes.
    """

    stored: str
    lock: FileLock
    sha256: str
    size: int


class Incoming:
    """The uploads of a home that are not taken in yet. Safe for use from several threads.

    Attributes:
        place: a uuid by which the database knows this home.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.place = ""

    def open(self) -> None:
        """Make the folder, if it is not there."""
        make_folder(self._folder.parent)
        make_folder(self._folder)
        self.place = _identity(self._folder / "place")

    def receive(self, content: BinaryIO) -> Received:
        """Store what is read to its end.

        Raises:
            StorageFullError: no space is left; nothing of it is kept.
        """
        stored = uuid.uuid4().hex
        lock = self._lock(stored)
        lock.acquire()
        try:
            with space_needed(self._folder), make_file(self.path(stored)).open("wb") as file:
                digest, size = _copied(content, file)
                file.flush()
                os.fsync(file.fileno())
            sync(self._folder)
        except BaseException:
            self.drop(stored, lock)
            raise
        return Received(stored, lock, digest, size)

    def path(self, stored: str) -> Path:
        """Where an upload is."""
        return self._folder / stored

    def take(self, stored: str) -> FileLock | None:
        """The lock on an upload, acquired; None while another thread or process works on it."""
        lock = self._lock(stored)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return None
        return lock

    def drop(self, stored: str, lock: FileLock) -> None:
        """Remove an upload whose lock was acquired, and the lock."""
        remove([self.path(stored)])
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()

    def abandoned(self) -> list[str]:
        """Uploads that came an hour ago or longer: rubbish, if no job needs them."""
        old = set()
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another process is done with it
                if path.stem != "place" and time.time() - path.stat().st_mtime > _ABANDONED_S:
                    old.add(path.stem)
        return sorted(old)

    def remove(self, stored: str) -> None:
        """Remove an upload that no job needs, unless it is being worked on."""
        if (lock := self.take(stored)) is not None:
            self.drop(stored, lock)

    def _lock(self, stored: str) -> FileLock:
        return FileLock(self._folder / f"{stored}.lock", mode=FILE, thread_local=False)


def _identity(path: Path) -> str:
    """The uuid in the file, which is made if it is not there."""
    with FileLock(path.with_name("place.lock"), mode=FILE):
        if not path.exists():
            partial = path.with_suffix(".partial")
            make_file(partial).write_text(str(uuid.uuid4()))
            publish(partial, path)
        return path.read_text()


def _copied(content: BinaryIO, file: BinaryIO) -> tuple[str, int]:
    """sha256 and size of what was copied."""
    digest, size = hashlib.sha256(), 0
    while part := content.read(shutil.COPY_BUFSIZE):  # type: ignore[attr-defined]
        digest.update(part)
        size += len(part)
        file.write(part)
    return digest.hexdigest(), size

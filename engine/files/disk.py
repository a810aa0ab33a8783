"""Locks on uploads and on outputs, and disk-full errors."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from emotion_search.index.disk.permissions import FILE, make_folder
from emotion_search.index.disk.sync import unfinished
from emotion_search.index.errors import BusyError, ConflictError, StorageFullError


@contextmanager
def space_needed(folder: Path) -> Iterator[None]:
    """Within, a full disk is our error.

    Raises:
        StorageFullError: no space, or no quota, is left for ``folder``.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFullError(f"no space left in {folder}; free some and try again") from error
        raise


@contextmanager
def output_lock(path: Path) -> Iterator[None]:
    """Within, no other run writes this file or folder; whether it is there is asked within, too.
    Where its folder takes no locks, nothing is locked.

    Raises:
        ConflictError: another run is writing it.
    """
    place = Path(os.path.realpath(path))
    device = place.exists() and not (place.is_file() or place.is_dir())  # /dev/stdout, say
    if device or not place.parent.is_dir():  # which the lock would make
        yield
        return
    lock = FileLock(f"{unfinished(place)}-lock", timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise ConflictError(
            f"{path} is being written by another run; choose another name, or wait for its end"
        ) from error
    except (OSError, NotImplementedError):  # read-only, or without locks: writing it says why
        yield
        return
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)  # before the release, as below
        lock.release()


@contextmanager
def upload_lock(
    folder: Path, sha256: str, *, patience: float = 30.0, stop: threading.Event | None = None
) -> Iterator[None]:
    """Within, the bytes with this hash are ours, among threads and processes that share ``folder``.

    Args:
        patience: seconds to wait for another who has them.
        stop: once set, there is no more waiting.

    Raises:
        BusyError: somebody else has them.
    """
    locks = folder / ".locks"
    make_folder(folder)
    make_folder(locks)
    lock = FileLock(locks / sha256, mode=FILE, thread_local=False)
    try:
        lock.acquire(timeout=patience, cancel_check=stop.is_set if stop is not None else None)
    except Timeout as error:
        raise BusyError("the same bytes are being taken in; try again later") from error
    try:
        yield
    finally:
        # Before the release: whoever waits for this file gets a lock on a file that is no longer
        # there, which filelock sees, and tries again.
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()

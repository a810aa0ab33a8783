"""Files of our own: space that runs out, and one writer at a time."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from index.errors import StorageFullError


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


def upload_lock(folder: Path, sha256: str) -> FileLock:
    """A lock on the bytes with this hash, among threads and processes that share ``folder``."""
    locks = folder / ".locks"
    locks.mkdir(parents=True, exist_ok=True)
    return FileLock(locks / sha256[:2], thread_local=False)

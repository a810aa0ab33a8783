"""File permissions of an archive: folders 0700, files 0600, for its owner alone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from emotion_search.index.disk.sync import make_folders

FILE = 0o600
"""Permissions of a file; ``FileLock`` takes them as ``mode``."""

_FOLDER = 0o700
_OTHERS = 0o077


def make_folder(path: Path) -> None:
    """Make a folder of an archive, which outlasts a loss of power, unless it is there. Folders
    above it that are missing get the usual permissions.

    Raises:
        OSError: it cannot be made.
    """
    make_folders(path, _FOLDER)


def make_file(path: Path) -> Path:
    """Make a file, empty, for whoever writes it next (FAISS, SQLite, NumPy keep permissions of
    what is there); a file that is there stays as it is. Returns the path.

    Raises:
        OSError: it cannot be made.
    """
    path.touch(mode=FILE)
    return path


def open_to_others(paths: Iterable[Path]) -> list[Path]:
    """Those of the paths that are there and that other users of the machine may read, write or
    search, as far as their own permissions say."""
    return [path for path in paths if path.exists() and path.stat().st_mode & _OTHERS]

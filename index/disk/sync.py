"""fsync: files and folders that outlast a loss of power."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, on disk when this returns.

    Raises:
        OSError: it cannot be read, or the disk does not take it.
    """
    if os.name == "nt" and path.is_dir():
        return  # Windows knows no such thing
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def make_folders(path: Path, mode: int = 0o777) -> None:
    """Make a folder, with these permissions, and those above it that are missing, with the usual
    ones; they outlast a loss of power.

    Raises:
        OSError: as ``sync``, and if one cannot be made.
    """
    missing = [one for one in (path, *path.parents) if not one.is_dir()]
    path.mkdir(mode, parents=True, exist_ok=True)
    for folder in missing:
        sync(folder.parent)


def publish(partial: Path, target: Path) -> None:
    """Give a file, or a folder with all in it, its name: after a loss of power it is there whole,
    or what was there before is.

    Raises:
        OSError: as ``sync``, and if ``target`` cannot be replaced.
    """
    if partial.is_dir():
        for path in partial.rglob("*"):
            sync(path)
    sync(partial)
    partial.replace(target)
    sync(target.parent)


def remove(paths: Iterable[Path]) -> int:
    """Remove files for good; how many of them were there."""
    gone = set()
    for path in paths:
        if path.exists():
            path.unlink(missing_ok=True)
            gone.add(path)
    for folder in {path.parent for path in gone}:
        sync(folder)
    return len(gone)

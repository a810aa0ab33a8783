"""fsync: files and folders that outlast a loss of power."""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_HERE, _EXCHANGE = -100, 2  # AT_FDCWD, RENAME_EXCHANGE


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


def unfinished(path: Path) -> Path:
    """Where a file or folder is written until it is whole: beside it, under a name that is nobody
    else's, so that what a killed run left there may be removed."""
    return path.with_name(f".{path.name}.emotion-search")


def publish(partial: Path, target: Path, *, over_folder: bool = False) -> None:
    """Give a file, or a folder with all in it, its name: after a loss of power it is there whole,
    or what was there before is. Where a folder is replaced, or replaces a file, what was there
    before has the other name afterwards. A file replaces no folder but ``over_folder``.

    Raises:
        OSError: as ``sync``, and if ``target`` cannot be replaced.
    """
    if partial.is_dir():
        for path in partial.rglob("*"):
            sync(path)
    sync(partial)
    if target.exists() and (partial.is_dir() or (over_folder and target.is_dir())):
        exchange(partial, target)
    else:
        partial.replace(target)
    sync(target.parent)


def exchange(one: Path, other: Path) -> None:
    """Let two paths change names: at once, or with a moment of neither where the system cannot."""
    paths = os.fsencode(one), os.fsencode(other)
    with suppress(AttributeError, OSError, TypeError):  # Linux has it, and most of its file systems
        if ctypes.CDLL(None).renameat2(_HERE, paths[0], _HERE, paths[1], _EXCHANGE) == 0:
            return
    aside = other.with_name(f".{other.name}.replaced")
    shutil.rmtree(aside, ignore_errors=True)  # of a process that was killed here
    other.rename(aside)
    try:
        one.rename(other)
    except OSError:
        aside.rename(other)
        raise
    aside.rename(one)


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

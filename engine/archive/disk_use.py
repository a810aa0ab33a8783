"""Disk space that an archive takes, and whether other users may read it."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from emotion_search.engine.settings import Settings
from emotion_search.index.database.connection import Database
from emotion_search.index.disk.permissions import open_to_others


@dataclass(frozen=True)
class DiskUse:
    """Bytes that an archive takes: ``database``, saved ``index``es, kept ``uploads``; those of
    the home's file system: ``free`` for the program, of ``total``."""

    database: int
    index: int
    uploads: int
    free: int
    total: int


def disk_use(settings: Settings, database: Database) -> DiskUse:
    """What the archive takes.

    Raises:
        DatabaseError: the database cannot be asked.
    """
    home = settings.home
    there = next(one for one in (home, *home.parents) if one.exists())
    system = shutil.disk_usage(there)
    return DiskUse(
        database.size(),
        _bytes_in(settings.index_folder),
        _bytes_in(settings.uploads_folder),
        system.free,
        system.total,
    )


def exposed(settings: Settings, database: Database) -> list[Path]:
    """The home, and the SQLite file where it is elsewhere, if other users may read them."""
    file = database.file
    outside = [file] if file is not None and not file.is_relative_to(settings.home) else []
    return open_to_others([settings.home, *outside])


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # replaced meanwhile
            total += path.stat().st_size if path.is_file() else 0
    return total

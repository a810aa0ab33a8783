"""The database of an archive, without opening the archive: is it there, migrate it, copy it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing

from emotion_search.engine.settings import Settings
from emotion_search.index.database.connection import Database, shown
from emotion_search.index.database.copy import copy_archive
from emotion_search.index.vectors.kinds import without_secret


def database_exists(settings: Settings) -> bool:
    """Whether the database that the settings name has an archive's tables.

    Raises:
        DatabaseError: it cannot be used.
    """
    with closing(Database(settings.database)) as database:
        return database.schema_version() is not None


def shown_settings(settings: Settings) -> dict[str, object]:
    """The settings by name, without secrets."""
    url = settings.database_url
    return dict(settings) | {
        "database_url": None if url is None else shown(url),
        "index": without_secret(settings.index),
    }


def migrate_database(settings: Settings) -> str:
    """Create tables, or bring them up to date; returns the database and version, for people.

    Raises:
        DatabaseError: it cannot be used.
    """
    with closing(Database(settings.database)) as database:
        database.migrate()
        return f"{database} is at version {database.schema_version()}"


def copy_database(
    source: str, target: str, progress: Callable[[float, float | None], None]
) -> tuple[str, Mapping[str, int]]:
    """Copy an archive from one database URL to another, all or nothing.

    Args:
        progress: called with how many rows are copied, and of how many.

    Returns:
        The copy's name without its password, and the number of rows by table.

    Raises:
        InvalidInputError: a URL of another kind, or ``target`` is not empty.
        DatabaseError: one of them cannot be used.
    """
    with closing(Database(source)) as one, closing(Database(target)) as other:
        return str(other), copy_archive(one, other, progress)

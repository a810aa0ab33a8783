"""Errors of the drivers of SQLite and Postgres as ours, each with its cure."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

from emotion_search.index.errors import (
    DatabaseBusyError,
    DatabaseError,
    DatabaseUnreachableError,
    StorageFullError,
    reason,
)


def translated(
    error: DBAPIError, database: str, busy_timeout: float
) -> DatabaseError | StorageFullError:
    """An error that SQLAlchemy passed on, of a ``database`` by its shown URL."""
    why = reason(error.orig if isinstance(error.orig, Exception) else error)
    low = why.lower()
    if "database is locked" in low or "table is locked" in low or "lock timeout" in low:
        return DatabaseBusyError(
            f"{database} is locked by another writer (waited {busy_timeout:g} s);"
            " try again when it is done"
        )
    full = getattr(error.orig, "sqlite_errorname", "") == "SQLITE_IOERR_SHMSIZE"  # no room for -shm
    if full or "disk is full" in low or "no space left" in low or "disk full" in low:
        return StorageFullError(
            f"no space left for {database}; free some and run the same command again:"
            " what was committed is kept"
        )
    if "not a database" in low or "malformed" in low:
        return corrupt(database, why)
    if "unable to open" in low or "readonly" in low:
        return DatabaseError(f"{database} cannot be opened for writing ({why})")
    if error.connection_invalidated or "connection" in low:
        return DatabaseUnreachableError(
            f"{database} cannot be reached ({why}); once it can, run the same command again:"
            " what was committed is kept"
        )
    return DatabaseError(f"{database}: {why}")


def corrupt(database: str, reason: object) -> DatabaseError:
    """The error for a file, or a stored text, that is none."""
    return DatabaseError(
        f"{database} is corrupt ({reason}); restore a backup, or move it away and ingest again"
    )

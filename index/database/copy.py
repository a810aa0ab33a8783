"""Copies of an archive: to another database of whatever kind, to a file at one moment."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Table, exists, func, insert, or_, select, text
from sqlalchemy.orm import Session

from emotion_search.index.database.connection import Database
from emotion_search.index.database.schema import Archive, Base, Model, Recording
from emotion_search.index.errors import (
    ConflictError,
    DatabaseError,
    InvalidInputError,
    StorageFullError,
)

_ROWS = 1000
_PAGES = 2000  # of SQLite, between two reports


def copy_archive(
    source: Database,
    target: Database,
    progress: Callable[[float, float | None], None] = lambda _done, _total: None,
) -> dict[str, int]:
    """Rows copied, by table: everything that the source holds, in one transaction of the target.

    The copy is the same archive: it keeps its identity, so an index saved beside it stays good.

    Args:
        target: a database without an archive, or with an empty one.
        progress: called with how many rows are there, and of how many.

    Raises:
        InvalidInputError: the target holds recordings already, or is the source.
        DatabaseError: one of them cannot be used; the target is as it was.
    """
    if source.url == target.url:
        raise InvalidInputError("source and target are the same database")
    source.require_schema()
    target.create_or_require()
    done: dict[str, int] = {}
    with source.read() as reading, target.write() as writing:
        if _has_rows(writing):
            raise ConflictError(f"{target} holds an archive already; copy to an empty database")
        writing.execute(Archive.__table__.delete())  # type: ignore[attr-defined]
        tables = Base.metadata.sorted_tables
        total = sum(reading.scalar(select(func.count()).select_from(t)) or 0 for t in tables)
        for table in tables:
            done[table.name] = 0
            for rows in _rows(reading, table):
                writing.execute(insert(table), rows)
                done[table.name] += len(rows)
                progress(sum(done.values()), total)
        for table in Base.metadata.sorted_tables:
            _go_on_counting(reading, writing, table)
    return done


def snapshot(
    source: Database,
    file: Path,
    progress: Callable[[float, float | None], None] = lambda _done, _total: None,
) -> None:
    """Write the archive as it stands at one moment to a new SQLite file, while others write.

    SQLite's own backup copies pages; of Postgres, rows of one ``REPEATABLE READ`` are copied.

    Args:
        progress: called with how many pages, or rows, are there, and of how many.

    Raises:
        DatabaseError: the source cannot be used.
        StorageFullError: no space is left.
    """
    source.require_schema()
    if source.file is None:
        with closing(Database(file)) as target:
            copy_archive(source, target, progress)
        return
    try:
        with (
            closing(sqlite3.connect(source.file, timeout=source.busy_timeout)) as one,
            closing(sqlite3.connect(file)) as other,
        ):
            one.execute("BEGIN")
            one.execute("SELECT 1 FROM sqlite_schema").fetchone()  # all pages of this moment
            one.backup(
                other,
                pages=_PAGES,
                progress=lambda _status, left, total: progress(total - left, total),
            )
            other.execute("PRAGMA journal_mode = DELETE")  # it is one file
    except sqlite3.Error as error:
        if "full" in str(error):
            raise StorageFullError(f"no space left for {file}") from error
        raise DatabaseError(f"{source} cannot be backed up: {error}") from error


def is_empty(database: Database) -> bool:
    """Whether a database holds no archive, or one without recordings and models.

    Raises:
        DatabaseError: it holds something else, or cannot be used.
    """
    if database.schema_version() is None:
        return True
    database.require_schema()
    with database.read() as session:
        return not _has_rows(session)


def _has_rows(session: Session) -> bool:
    return bool(session.scalar(select(or_(*(exists(select(t.id)) for t in (Recording, Model))))))


def _rows(session: Session, table: Table) -> Iterator[list[dict[str, Any]]]:
    result = session.execute(select(table).execution_options(yield_per=_ROWS))
    for part in result.mappings().partitions():
        yield [dict(row) for row in part]


def _go_on_counting(source: Session, target: Session, table: Table) -> None:
    """Let the ids that the target hands out begin after those that the source ever did."""
    column = table.autoincrement_column
    if column is None or len(table.primary_key.columns) != 1:
        return
    highest = target.scalar(select(func.max(column))) or 0
    last = max(highest, _last_handed_out(source, table, column.name))
    if not last:
        return
    if target.get_bind().dialect.name != "sqlite":
        target.execute(
            text("SELECT setval(pg_get_serial_sequence(:table, :column), :last)"),
            {"table": table.name, "column": column.name, "last": last},
        )
    elif table.dialect_options["sqlite"]["autoincrement"]:
        named = {"table": table.name, "last": last}
        target.execute(text("DELETE FROM sqlite_sequence WHERE name = :table"), named)
        target.execute(text("INSERT INTO sqlite_sequence VALUES (:table, :last)"), named)


def _last_handed_out(source: Session, table: Table, column: str) -> int:
    """The last id that a database gave to a row of the table, which may be gone; 0 if it does not
    remember."""
    if source.get_bind().dialect.name == "sqlite":
        query = text("SELECT seq FROM sqlite_sequence WHERE name = :table")
    else:
        query = text(
            "SELECT pg_sequence_last_value(pg_get_serial_sequence(:table, :column)::regclass)"
        )
    return int(source.scalar(query, {"table": table.name, "column": column}) or 0)

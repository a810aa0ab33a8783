"""Moving an archive from one database to another, whatever their kinds."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Table, func, insert, select, text
from sqlalchemy.orm import Session

from index.database import Database
from index.errors import InvalidInputError
from index.schema import Archive, Base, Model, Recording

_ROWS = 1000


def copy_archive(
    source: Database, target: Database, progress: Callable[[str, int], None] = lambda *_: None
) -> dict[str, int]:
    """Rows copied, by table: everything that the source holds, in one transaction of the target.

    The copy is the same archive: it keeps its identity, so an index saved beside it stays good.

    Args:
        target: a database without an archive, or with an empty one.
        progress: called with a table's name and how many of its rows are there.

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
        if writing.scalar(select(func.count()).select_from(Recording)) or writing.scalar(
            select(func.count()).select_from(Model)
        ):
            raise InvalidInputError(f"{target} holds an archive already; copy to an empty database")
        writing.execute(Archive.__table__.delete())  # type: ignore[attr-defined]
        for table in Base.metadata.sorted_tables:
            done[table.name] = 0
            for rows in _rows(reading, table):
                writing.execute(insert(table), rows)
                done[table.name] += len(rows)
                progress(table.name, done[table.name])
        if not target.is_sqlite:
            for table in Base.metadata.sorted_tables:
                _go_on_counting(writing, table)
    return done


def _rows(session: Session, table: Table):  # type: ignore[no-untyped-def]
    result = session.execute(select(table).execution_options(yield_per=_ROWS))
    for part in result.mappings().partitions():
        yield [dict(row) for row in part]


def _go_on_counting(session: Session, table: Table) -> None:
    """Let the ids that Postgres hands out begin after those copied."""
    column = table.autoincrement_column
    if column is None or len(table.primary_key.columns) != 1:
        return
    sequence = session.scalar(
        text("SELECT pg_get_serial_sequence(:table, :column)"),
        {"table": table.name, "column": column.name},
    )
    if sequence is not None:
        last = session.scalar(select(func.max(column)))
        if last is not None:
            session.execute(
                text("SELECT setval(:sequence, :last)"), {"sequence": sequence, "last": last}
            )

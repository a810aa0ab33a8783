"""Many rows at once: chunks of ids, upserts, reserved ids, COPY and binary cursors on Postgres."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import BigInteger, Float, Integer, LargeBinary, String, insert, select, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from emotion_search.index.database.schema import Base, Clip, UtcDateTime

_Item = TypeVar("_Item")

_POSTGRES = (  # what COPY's binary format calls the types of columns, the first that fits
    (BigInteger, "int8"),
    (Integer, "int4"),
    (Float, "float8"),
    (String, "text"),
    (LargeBinary, "bytea"),
    (UtcDateTime, "timestamptz"),
)


def chunks(items: Sequence[_Item], size: int = 500) -> Iterator[Sequence[_Item]]:
    """The items, so many at a time: both databases limit the parameters of a statement."""
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]


def known_clips(session: Session, ids: Sequence[int]) -> set[int]:
    """Those of the ids that are clips of the archive."""
    return {
        clip
        for some in chunks(ids)
        for clip in session.scalars(select(Clip.id).where(Clip.id.in_(some)))
    }


def reserve_ids(session: Session, table: type[Base], number: int) -> list[int]:
    """So many ids of a table, ascending, that no row has or had; the transaction, which writes,
    gives them to its rows."""
    if _is_sqlite(session):
        last = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
        begin = (session.scalar(last, {"name": table.__tablename__}) or 0) + 1
        return list(range(begin, begin + number))
    following = text(
        "SELECT nextval(pg_get_serial_sequence(:name, 'id')) FROM generate_series(1, :number)"
    )
    return sorted(session.scalars(following, {"name": table.__tablename__, "number": number}))


def insert_many(session: Session, table: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert ``rows``, all of the same columns (by their names in the database), none of which is
    there already."""
    if not rows:
        return
    made: Any = table.__table__
    if _is_sqlite(session):
        session.execute(insert(made), rows)
        return
    names = list(rows[0])
    types = [
        next(text for kind, text in _POSTGRES if isinstance(made.columns[name].type, kind))
        for name in names
    ]
    statement = f"COPY {table.__tablename__} ({', '.join(names)}) FROM STDIN (FORMAT BINARY)"
    with _driver(session) as driver, driver.cursor().copy(statement) as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row([row[name] for name in names])


def fetch(session: Session, statement: str) -> Sequence[Any]:
    """All rows of a statement without parameters; bytes come as bytes, not as text."""
    if _is_sqlite(session):
        return session.connection().exec_driver_sql(statement).all()
    with _driver(session) as driver:
        rows: Sequence[Any] = driver.execute(statement, binary=True).fetchall()
        return rows


def fetch_parts(session: Session, statement: str, size: int) -> Iterator[Sequence[Any]]:
    """As ``fetch``, so many rows at a time; other statements may come in between."""
    if _is_sqlite(session):
        rows = session.connection().exec_driver_sql(statement)
        while part := rows.fetchmany(size):
            yield part
        return
    name = f"rows_{uuid.uuid4().hex}"
    with _driver(session) as driver, driver.cursor(name=name, binary=True) as cursor:
        cursor.execute(statement)
        while part := cursor.fetchmany(size):
            yield part


def insert_new(session: Session, table: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert ``rows``, all of the same columns; one that breaks a unique constraint is left out."""
    if rows:
        session.connection().execute(_insert(session, table).on_conflict_do_nothing(), rows)


def insert_or_replace(
    session: Session, table: type[Base], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Insert ``rows``, all of the same columns; where the primary key is there already, the new
    values replace the old. Of rows with the same key the last counts."""
    if not rows:
        return
    keys = [column.name for column in table.__table__.primary_key]
    statement = _insert(session, table)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    # A statement a row: one of many rows takes SQLAlchemy longer to write than a database to do.
    session.connection().execute(
        statement.on_conflict_do_update(index_elements=keys, set_=changed), rows
    )


def _insert(session: Session, table: type[Base]) -> Any:
    if _is_sqlite(session):
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # which loads every driver's dialect

    return postgresql.insert(table)


@contextmanager
def _driver(session: Session) -> Iterator[Any]:
    """The session's connection as psycopg has it, its errors as SQLAlchemy has them."""
    from psycopg import Error

    driver: Any = session.connection().connection.driver_connection
    try:
        yield driver
    except Error as error:
        raise DBAPIError(None, None, error, connection_invalidated=driver.closed) from error


def _is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"

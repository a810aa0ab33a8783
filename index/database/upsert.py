"""Upserts (INSERT … ON CONFLICT), in the one form that SQLite and Postgres share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.dialects import sqlite
from sqlalchemy.orm import Session

from emotion_search.index.database.chunks import chunks
from emotion_search.index.database.schema import Base


def insert_new(session: Session, table: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert ``rows``; one that breaks a unique constraint is left out."""
    for chunk in chunks(rows):
        session.execute(_insert(session, table).values(chunk).on_conflict_do_nothing())


def insert_or_replace(
    session: Session, table: type[Base], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Insert ``rows``; where the primary key is there already, the new values replace the old. Of
    rows with the same key the last counts."""
    keys = [column.name for column in table.__table__.primary_key]
    last = {tuple(row[name] for name in keys): row for row in rows}
    for chunk in chunks(list(last.values())):
        statement = _insert(session, table).values(chunk)
        changed = {name: statement.excluded[name] for name in chunk[0] if name not in keys}
        session.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed))


def _insert(session: Session, table: type[Base]) -> Any:
    if session.get_bind().dialect.name == "sqlite":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # which loads every driver's dialect

    return postgresql.insert(table)

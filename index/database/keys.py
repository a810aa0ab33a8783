"""Keys of the HTTP service in the database; only hashes of their tokens are kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from emotion_search.index.database.schema import ApiKey as Row
from emotion_search.index.database.schema import as_details
from emotion_search.index.errors import ConflictError, NotFoundError


@dataclass(frozen=True)
class KeyDetails:
    """A key.

    Attributes:
        prefix: the beginning of its token, which is no secret.
        sha256: of the whole token.
        scope: ``read``, ``write`` or ``admin``.
    """

    id: int
    name: str
    prefix: str
    sha256: str
    scope: str
    created_at: datetime
    revoked_at: datetime | None


def add_key(session: Session, *, name: str, prefix: str, sha256: str, scope: str) -> KeyDetails:
    """Store a key.

    Raises:
        InvalidInputError: a key of this name is in force.
    """
    same = select(Row.id).where(Row.name == name, Row.revoked_at.is_(None))
    if session.scalar(same) is not None:
        raise ConflictError(f"there is a key named {name} already; revoke it first")
    row = Row(name=name, prefix=prefix, sha256=sha256, scope=scope, created_at=datetime.now(UTC))
    session.add(row)
    session.flush()
    return as_details(KeyDetails, row)


def list_keys(session: Session) -> list[KeyDetails]:
    """All keys, also those revoked, oldest first."""
    return [as_details(KeyDetails, row) for row in session.scalars(select(Row).order_by(Row.id))]


def revoke_key(session: Session, name: str) -> KeyDetails:
    """Take a key out of force, by its name or its prefix.

    Raises:
        NotFoundError: no such key is in force.
    """
    found = session.scalar(
        select(Row).where((Row.name == name) | (Row.prefix == name), Row.revoked_at.is_(None))
    )
    if found is None:
        raise NotFoundError(f"no key {name} is in force; see: emotion-search key list")
    now = datetime.now(UTC)
    session.execute(update(Row).where(Row.id == found.id).values(revoked_at=now))
    session.refresh(found)
    return as_details(KeyDetails, found)

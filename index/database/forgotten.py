"""Erased recordings that no ingest is to bring back: a salted hash of each one's content."""

from __future__ import annotations

import hmac
from collections.abc import Collection

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from emotion_search.index.database.bulk import chunks, insert_new
from emotion_search.index.database.models import archive_uuid
from emotion_search.index.database.schema import Forgotten


def note_forgotten(session: Session, sha256: str) -> None:
    """Keep in mind that content with this hash was erased, and nothing else about it."""
    insert_new(session, Forgotten, [{"digest": digest_of(archive_uuid(session), sha256)}])


def are_forgotten(session: Session, hashes: Collection[str]) -> set[str]:
    """Those of the hashes that are of erased content."""
    salt = archive_uuid(session)
    by_digest = {digest_of(salt, sha256): sha256 for sha256 in hashes}
    return {
        by_digest[digest]
        for some in chunks(list(by_digest))
        for digest in session.scalars(select(Forgotten.digest).where(Forgotten.digest.in_(some)))
    }


def take_back(session: Session, hashes: Collection[str]) -> None:
    """Content with these hashes may be there again."""
    salt = archive_uuid(session)
    for some in chunks([digest_of(salt, sha256) for sha256 in hashes]):
        session.execute(delete(Forgotten).where(Forgotten.digest.in_(some)))


def digest_of(salt: str, sha256: str) -> str:
    """HMAC-SHA256 (RFC 2104) of a content's hash under the archive's own salt."""
    return hmac.digest(salt.encode(), sha256.encode(), "sha256").hex()

"""Keys of the HTTP service: made, checked in constant time, revoked."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from enum import StrEnum

from emotion_search.index.database.connection import Database
from emotion_search.index.database.keys import KeyDetails, add_key, list_keys, revoke_key

_FRESH_S = 1.0  # that a revoked key may still be taken
_PREFIX = len("es_") + 12  # characters of a token that are no secret
_NOBODY = hashlib.sha256(b"nobody").hexdigest()


class Scope(StrEnum):
    """What a key may do; each includes those before it."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"

    def covers(self, needed: Scope) -> bool:
        """Whether it suffices where ``needed`` is asked for."""
        order = list(Scope)
        return order.index(self) >= order.index(needed)


def create(database: Database, *, name: str, scope: Scope) -> tuple[str, KeyDetails]:
    """A new key: its token, which is stored nowhere, and the details that are.

    Raises:
        InvalidInputError: a key of this name is in force.
    """
    prefix = f"es_{secrets.token_hex(6)}"
    token = f"{prefix}_{secrets.token_urlsafe(32)}"
    with database.write() as session:
        made = add_key(session, name=name, prefix=prefix, sha256=_hash(token), scope=scope)
    return token, made


def keys(database: Database) -> list[KeyDetails]:
    """All keys, also those revoked, oldest first."""
    with database.read() as session:
        return list_keys(session)


def revoke(database: Database, name: str) -> KeyDetails:
    """Take a key out of force, by its name or the beginning of its token.

    Raises:
        NotFoundError: no such key is in force.
    """
    with database.write() as session:
        return revoke_key(session, name)


class KeyRing:
    """The keys in force, as fresh as a second ago. Safe for use from several threads.

    Attributes:
        are_wanted: whether a key was ever made: from then on every request needs one, also where
            the last one was revoked.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._keys: dict[str, KeyDetails] = {}
        self.are_wanted = False
        self._read_at = float("-inf")

    @property
    def is_fresh(self) -> bool:
        """Whether the keys were read within the last second."""
        return time.monotonic() - self._read_at < _FRESH_S

    def refresh(self) -> None:
        """Read the keys again, unless that was just done."""
        with self._lock:
            if self.is_fresh:
                return
            found = keys(self._database)
            self._keys = {key.prefix: key for key in found if key.revoked_at is None}
            self.are_wanted = bool(found)
            self._read_at = time.monotonic()

    def find(self, token: str) -> KeyDetails | None:
        """The key of this token; None if it is none that is in force."""
        key = self._keys.get(token[:_PREFIX])
        known = hmac.compare_digest(key.sha256 if key else _NOBODY, _hash(token))
        return key if known else None


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()

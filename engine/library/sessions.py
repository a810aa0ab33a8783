"""Functions of the database as methods of an archive, each call in a session of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Concatenate, ParamSpec, TypeVar

from emotion_search.engine.archive.archive import Archive
from emotion_search.index.database.connection import Session
from emotion_search.index.database.models import ModelInfo, active_model

P = ParamSpec("P")
T = TypeVar("T")


def reads(read: Callable[Concatenate[Session, P], T]) -> Callable[Concatenate[Archive, P], T]:
    """``read``, of one snapshot of the archive."""

    @wraps(read)
    def method(self: Archive, /, *args: P.args, **named: P.kwargs) -> T:
        with self.database.read() as session:
            return read(session, *args, **named)

    return method


def reads_model(
    read: Callable[Concatenate[Session, ModelInfo | None, P], T],
) -> Callable[Concatenate[Archive, P], T]:
    """As ``reads``; the model that serves, None while the archive is empty, goes after it."""

    @wraps(read)
    def method(self: Archive, /, *args: P.args, **named: P.kwargs) -> T:
        with self.database.read() as session:
            return read(session, active_model(session), *args, **named)

    whole = signature(read)  # of which ``help`` shows all but the first
    session, _, *others = whole.parameters.values()
    method.__signature__ = whole.replace(parameters=[session, *others])  # type: ignore[attr-defined]
    return method


def writes(write: Callable[Concatenate[Session, P], T]) -> Callable[Concatenate[Archive, P], T]:
    """``write``, in a transaction that commits at its end, or not at all."""

    @wraps(write)
    def method(self: Archive, /, *args: P.args, **named: P.kwargs) -> T:
        with self.database.write() as session:
            return write(session, *args, **named)

    return method

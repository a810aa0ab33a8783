"""SQLAlchemy engines for SQLite and Postgres: pools, timeouts, write-ahead logging."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event

_CONNECTIONS = 40  # as many as the API has threads; made when needed


def writable(file: Path) -> bool:
    """Whether an SQLite file can be written to, and its log be made beside it."""
    return os.access(file, os.W_OK) and os.access(file.absolute().parent, os.W_OK)


def _as_it_is(url: URL, busy_timeout: float) -> sqlite3.Connection:
    """A connection to a file that cannot be written to, nor anything beside it: SQLite needs its
    ``-shm`` there, or be told that nobody writes (https://sqlite.org/wal.html#readonly)."""
    file = Path(url.database or "").absolute()
    alone = "" if Path(f"{file}-shm").exists() else "&immutable=1"
    return sqlite3.connect(
        f"{file.as_uri()}?mode=ro{alone}", uri=True, timeout=busy_timeout, check_same_thread=False
    )


def connect(url: URL, busy_timeout: float, read_only: bool) -> Engine:
    """An engine whose connections wait up to ``busy_timeout`` seconds for locks; ``read_only`` is
    of an SQLite file alone.

    Raises:
        ArgumentError, ValueError, TypeError: the URL has parameters that are none.
        NoSuchModuleError, ModuleNotFoundError: the driver is not installed.
    """
    if url.get_backend_name() != "sqlite":
        return create_engine(
            url,
            pool_pre_ping=True,
            pool_size=5,
            max_overflow=_CONNECTIONS - 5,
            connect_args={
                "connect_timeout": max(1, round(busy_timeout)),
                "keepalives_idle": 30,  # a network that is cut is noticed within about a minute,
                "keepalives_interval": 10,
                "keepalives_count": 3,
                "tcp_user_timeout": 60_000,  # also by who waits for what it sent to arrive
                "options": f"-c lock_timeout={max(1, round(busy_timeout * 1000))} -c TimeZone=UTC",
            },
        )
    alchemy = create_engine(
        url,
        pool_size=_CONNECTIONS,
        connect_args={"timeout": busy_timeout, "check_same_thread": False},
        **({"creator": lambda: _as_it_is(url, busy_timeout)} if read_only else {}),
    )

    @event.listens_for(alchemy, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin where SQLAlchemy says, below
        connection.create_function("is_utf8", 1, _is_utf8, deterministic=True)
        if read_only:
            return
        _enter_wal(connection, busy_timeout)
        connection.execute("PRAGMA synchronous = FULL")  # what is answered outlasts a power loss
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA cache_size = -16000")  # KiB; searches read all over the file
        connection.execute("PRAGMA secure_delete = ON")  # what is erased is overwritten

    @event.listens_for(alchemy, "begin")
    def begin(connection: Connection) -> None:
        mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
        if mode is not None:
            connection.exec_driver_sql(f"BEGIN {mode}")

    return alchemy


def _is_utf8(data: bytes | None) -> bool:
    try:
        (data or b"").decode()  # where nothing may be missing, SQLite does not ask whether it is
    except UnicodeDecodeError:
        return False
    return True


def _enter_wal(connection: Any, busy_timeout: float) -> None:
    """Switch a connection to write-ahead logging, as patiently as everything else.

    SQLite's own busy timeout does not cover this: where several processes open a new database at
    once, the change of mode is refused without a wait.
    """
    until = time.monotonic() + busy_timeout
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() >= until:
                raise
            time.sleep(0.01)
        else:
            return

"""Connections to the database of an archive, SQLite and Postgres alike."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote_plus

from filelock import FileLock, Timeout
from sqlalchemy import URL, Connection, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session as Session  # for those who hand one on

from emotion_search.index.database.driver_errors import corrupt, translated
from emotion_search.index.database.engines import connect, writable
from emotion_search.index.database.schema import SCHEMA_VERSION, Base
from emotion_search.index.database.wrong_values import wrong_values
from emotion_search.index.disk.permissions import FILE, make_file, make_folder
from emotion_search.index.disk.sync import sync
from emotion_search.index.errors import (
    DOUBTFUL,
    DatabaseBusyError,
    DatabaseError,
    InvalidInputError,
    UnusableError,
    reason,
)

_MIGRATION_LOCK = 0x656D6F  # "emo": any number that other programs are unlikely to lock
_WRITE_LOCK = _MIGRATION_LOCK + 1
_TURN_LOCK = _MIGRATION_LOCK + 2
_IDLE_MS = 25_000  # within a transaction that writes: less than others wait for it, 30 s
_PATIENT_MS = 2000
_SECRETS = frozenset({"password", "sslpassword", "oauth_client_secret"})  # parameters of libpq
_HIDDEN = "***"  # as SQLAlchemy shows the password before the host


class Database:
    """The database of one archive.

    Args:
        url: SQLAlchemy URL, ``sqlite:///path`` or ``postgresql+psycopg://…``, or an SQLite file.
        busy_timeout: seconds to wait for another writer before ``DatabaseBusyError``.

    Attributes:
        read_only: it is an SQLite file that cannot be written to; it is read as it is.

    Raises:
        InvalidInputError: the URL is not one of these, or its driver is not installed.
    """

    def __init__(self, url: str | URL | Path, *, busy_timeout: float = 30.0) -> None:
        if isinstance(url, Path):
            url = URL.create("sqlite", database=str(url))
        try:
            self.url = make_url(url)
        except (ArgumentError, ValueError) as error:
            raise InvalidInputError(
                "the database URL cannot be read; use sqlite:///FILE or"
                " postgresql+psycopg://USER@HOST/NAME"
            ) from error
        if self.url.get_backend_name() == "postgresql":
            self.url = self.url.set(drivername="postgresql+psycopg")
        elif self.url.get_backend_name() == "sqlite":
            self.url = self.url.set(drivername="sqlite")
            if self.url.database in (None, "", ":memory:"):
                raise InvalidInputError("a database in memory keeps nothing; use sqlite:///FILE")
        else:
            raise InvalidInputError(
                f"database {self.url.get_backend_name()!r} is not supported; use SQLite or Postgres"
            )
        self.busy_timeout = busy_timeout
        file = self.file
        self.read_only = file is not None and file.exists() and not writable(file)
        try:
            self._alchemy = connect(self.url, busy_timeout, self.read_only)
        except (NoSuchModuleError, ModuleNotFoundError) as error:
            raise UnusableError(
                "Postgres needs its driver: pip install 'emotion-search[postgres]'"
            ) from error
        except (ArgumentError, ValueError, TypeError) as error:
            raise InvalidInputError(f"database {self}: {error}") from error
        options = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        self._snapshots = self._alchemy.execution_options(**options)

    @property
    def is_sqlite(self) -> bool:
        """Whether this is SQLite (else Postgres)."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def file(self) -> Path | None:
        """The SQLite file; None for Postgres."""
        return Path(self.url.database) if self.is_sqlite and self.url.database else None

    def __str__(self) -> str:
        return shown(self.url)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one snapshot of the archive and writes nothing.

        Raises:
            DatabaseError: unreachable, corrupt, or locked.
        """
        with self._translated(), Session(self._snapshots) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session whose changes commit together at the end, or not at all.

        Raises:
            DatabaseBusyError: another writer held the database beyond the busy timeout.
            StorageFullError: no space is left.
            DatabaseError: unreachable or corrupt.
        """
        with self.write_beside() as session:
            if not self.is_sqlite:  # writers take turns, as on SQLite: no deadlocks among them
                session.execute(text(f"SELECT pg_advisory_xact_lock({_WRITE_LOCK})"))
            yield session

    @contextmanager
    def write_beside(self) -> Iterator[Session]:
        """As ``write``, but on Postgres without waiting for the other writers: for rows that these
        never touch, and that are locked one at a time.

        Raises:
            DatabaseBusyError, StorageFullError, DatabaseError: as ``write``.
        """
        with (
            self._translated(),
            Session(
                self._alchemy.execution_options(sqlite_begin="IMMEDIATE"), expire_on_commit=False
            ) as session,
            session.begin(),
        ):
            if not self.is_sqlite:  # who was cut off meanwhile, or hangs, keeps no lock
                limit = f"SET LOCAL idle_in_transaction_session_timeout = {_IDLE_MS:d}"
                session.execute(text(limit))
            yield session

    @contextmanager
    def one_at_a_time(self, number: int) -> Iterator[bool]:
        """Whether nobody else, in whatever process, is within such a context of this number; it is
        not waited for. On SQLite a lock beside the file."""
        if self.file is None:
            with self._translated(), self._alchemy.connect() as connection:
                key = f"{_TURN_LOCK}, {number:d}"
                mine = connection.scalar(text(f"SELECT pg_try_advisory_xact_lock({key})"))
                yield bool(mine)
            return
        lock = FileLock(f"{self.file}-engine{number}.lock", mode=FILE, thread_local=False)
        with suppress(Timeout, OSError):
            lock.acquire(timeout=0)
        try:
            yield lock.is_locked
        finally:
            lock.release()

    def schema_version(self) -> str | None:
        """The migration that the database stands at; None for a database without tables.

        Raises:
            DatabaseError: the tables there are not this program's.
        """
        if self.file is not None and not self.file.exists():
            return None
        with self._translated(), self._alchemy.connect() as connection:
            tables = set(inspect(connection).get_table_names())
            if tables <= {"alembic_version"}:
                return None
            if not {"alembic_version", "archive"} <= tables:
                raise DatabaseError(f"{self} holds other tables, not an emotion-search archive")
            return str(connection.scalar(text("SELECT version_num FROM alembic_version")))

    def require_schema(self) -> None:
        """Check that the tables are there, and of this program's version.

        Raises:
            DatabaseError: no archive, an older one (names the cure), or a newer one.
        """
        version = self.schema_version()
        if version is None:
            raise DatabaseError(
                f"no archive at {self}; make one with: emotion-search ingest FOLDER"
            )
        if version < SCHEMA_VERSION:
            raise DatabaseError(
                f"{self} is of an older version ({version}, this program wants {SCHEMA_VERSION});"
                " back it up, then run: emotion-search migrate"
            )
        if version > SCHEMA_VERSION:
            raise DatabaseError(
                f"{self} was written by a newer emotion-search ({version}, this program knows"
                f" {SCHEMA_VERSION}); upgrade emotion-search"
            )

    def migrate(self, revision: str = "head") -> None:
        """Create or upgrade the tables to ``revision`` (``"base"`` removes them), all or nothing.

        Processes that start at once take turns.

        Raises:
            DatabaseError: the tables there are not this program's, or are newer.
        """
        from alembic import command
        from alembic.config import Config

        if (self.schema_version() or "") > SCHEMA_VERSION:
            self.require_schema()
        if self.file is not None:
            make_folder(self.file.parent)
            with suppress(OSError):  # SQLite says what is wrong with its file
                make_file(self.file)
        config = Config()
        config.set_main_option(
            "script_location", str(Path(__file__).parents[2] / "migrations").replace("%", "%%")
        )
        writer = self._alchemy.execution_options(sqlite_begin="IMMEDIATE")
        with self._translated(), writer.begin() as connection:
            if not self.is_sqlite:
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
            config.attributes["connection"] = connection
            if revision == "base":
                command.downgrade(config, revision)
            else:
                command.upgrade(config, revision)
                _ensure_identity(connection)

    def analyse(self) -> None:
        """Let the database learn how its rows are spread, so that it plans filters well; Postgres
        does so by itself."""
        if self.is_sqlite:
            with self.write() as session:
                session.execute(text("PRAGMA analysis_limit = 1000"))
                session.execute(text("PRAGMA optimize = 0x10002"))

    def compact(self) -> None:
        """Give disk space that rows left behind back to the file system (SQLite; Postgres uses it
        again by itself). Needs as much free space as the database takes, and no other writer.

        Raises:
            DatabaseBusyError, StorageFullError: it stays as it is.
        """
        if self.is_sqlite:
            plain = self._alchemy.execution_options(sqlite_begin=None)
            with self._translated(), plain.connect() as connection:
                connection.exec_driver_sql("VACUUM")
            self.empty_log()

    def empty_log(self) -> bool:
        """Bring the log of commits into the SQLite file and cut it to nothing, so that rows that
        were erased do not stay in it (Postgres looks after its own). False where readers stand in
        the way: they are waited for, but not for long, since writers wait as well."""
        if not self.is_sqlite:
            return True
        plain = self._alchemy.execution_options(sqlite_begin=None)
        with self._translated(), plain.connect() as connection:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {_PATIENT_MS}")
            try:
                row = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
            finally:
                connection.exec_driver_sql(f"PRAGMA busy_timeout = {self.busy_timeout * 1000:.0f}")
        if row[0]:
            return False
        log = Path(f"{self.file}-wal")
        if log.exists():  # SQLite cuts it, and does not wait until the disk has
            sync(log)
        return True

    def size(self) -> int:
        """Bytes on disk, with what is not yet brought from the log into the SQLite file.

        Raises:
            DatabaseError: it cannot be asked.
        """
        if self.file is None:
            with self.read() as session:
                return session.scalar(text("SELECT pg_database_size(current_database())")) or 0
        files = (self.file, self.file.with_name(f"{self.file.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def create_or_require(self) -> None:
        """Create the tables of a new archive; check those of an existing one."""
        if self.schema_version() is None:
            self.migrate()
        self.require_schema()

    def close(self) -> None:
        """Close all connections."""
        self._alchemy.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn the driver's errors into ours; one place for both databases."""
        try:
            yield
        except DBAPIError as error:
            raise translated(error, str(self), self.busy_timeout) from error
        except PoolTimeoutError as error:
            raise DatabaseBusyError(f"{self}: all connections are in use; try again") from error
        except SQLAlchemyError as error:
            raise DatabaseError(f"{self}: {reason(error)}") from error
        except (sqlite3.Error, UnicodeDecodeError, json.JSONDecodeError) as error:
            # Of the driver as it connects, and of stored text that is none any more
            raise corrupt(str(self), error) from error
        except DOUBTFUL as error:
            if (damage := self.damage_behind(error)) is None:
                raise
            raise damage from error

    def damage_behind(self, error: BaseException | None) -> DatabaseError | None:
        """What to raise in place of a ``DOUBTFUL`` error where some rows are damaged; else None."""
        if isinstance(error, DOUBTFUL):
            with suppress(SQLAlchemyError), Session(self._snapshots) as session:
                for table in Base.metadata.sorted_tables:
                    for what in wrong_values(session, table):
                        return DatabaseError(
                            f"{self} is damaged ({table}: {what}); see what else is, and the cure:"
                            " emotion-search check"
                        )
        return None


def shown(url: URL | str) -> str:
    """A URL of a database without its secrets; of what is none, nothing."""
    try:
        made = make_url(url)
    except ArgumentError:
        return _HIDDEN
    hidden = made.update_query_dict(dict.fromkeys(_SECRETS & set(made.query), _HIDDEN))
    return hidden.render_as_string(hide_password=True).replace(quote_plus(_HIDDEN), _HIDDEN)


def _ensure_identity(connection: Connection) -> None:
    """Give a new archive its uuid, by which cached indexes know whose they are."""
    if connection.execute(text("SELECT count(*) FROM archive")).scalar_one() == 0:
        connection.execute(
            text("INSERT INTO archive (id, uuid) VALUES (1, :uuid)"), {"uuid": str(uuid.uuid4())}
        )

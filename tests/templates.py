"""What is made once and used again: filled archives, on SQLite and Postgres; tables of new ones,
which migrations make in a tenth of a second, their statements in a hundredth; compiled SQL; decoder
processes, which take a quarter of a second of the processor to start."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, wraps
from inspect import unwrap
from pathlib import Path
from queue import Empty, SimpleQueue
from unittest import mock

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text

from emotion_search import Library, Settings
from emotion_search.engine.audio.workers import Decoders
from emotion_search.index.database import engines

MOST_WAITING = 4
"""Decoder processes that are kept."""


@cache
def administration(server: URL) -> Engine:
    """Connections in which databases of a Postgres server are made and dropped."""
    return create_engine(server, isolation_level="AUTOCOMMIT")


class Template:
    """An archive that ``fill`` makes once for each kind of database.

    Args:
        folder: an empty folder of its own.
        fill: fills a new, open archive under the built-in model.
    """

    def __init__(self, folder: Path, fill: Callable[[Library], None], **settings: object) -> None:
        self._folder, self._fill, self._settings = folder, fill, settings
        self._made: dict[str, URL] = {}

    def place(self, settings: Settings) -> None:
        """Make a copy of it the archive of ``settings``, whose database must be empty, or none."""
        url = make_url(settings.database_url or f"sqlite:///{settings.home / 'archive.db'}")
        kind = url.get_backend_name()
        home = self._folder / kind
        if kind == "sqlite":
            if kind not in self._made:
                self._make(make_url(f"sqlite:///{home / 'archive.db'}"), home)
            shutil.copytree(home, settings.home, dirs_exist_ok=True)
            (settings.home / "archive.db").rename(str(url.database))
            return
        with administration(url.set(database="postgres")).connect() as connection:
            if kind not in self._made:
                own = f"template_{uuid.uuid4().hex}"
                connection.execute(text(f"CREATE DATABASE {own} STRATEGY FILE_COPY"))
                self._make(url.set(database=own), home)
            connection.execute(text(f"DROP DATABASE IF EXISTS {url.database}"))
            source = self._made[kind].database
            copied = f"CREATE DATABASE {url.database} TEMPLATE {source} STRATEGY FILE_COPY"
            connection.execute(text(copied))
        shutil.copytree(home, settings.home, dirs_exist_ok=True)

    def _make(self, url: URL, home: Path) -> None:
        where = {"home": home, "database_url": url.render_as_string(hide_password=False)}
        home.mkdir()
        with Library.open(Settings(**{**where, **self._settings}), create=True) as library:
            self._fill(library)
        self._made[url.get_backend_name()] = url


@contextmanager
def migrations_run_once() -> Iterator[None]:
    """Within it, migrations run on the first empty database of a kind; later empty ones get the
    statements that they sent there. What has tables is always migrated."""
    upgrade = command.upgrade
    sent: dict[str, list[str]] = {}

    def replay(config: Config, revision: str) -> None:
        connection: Connection = config.attributes["connection"]
        kind = connection.dialect.name
        if revision != "head" or inspect(connection).has_table("alembic_version"):
            upgrade(config, revision)
        elif kind not in sent:
            statements: list[str] = []
            with _recorded(connection, statements):
                upgrade(config, revision)
            changes = [one for one in statements if not one.lstrip().startswith("SELECT")]
            sent[kind] = changes if kind == "sqlite" else [";".join(changes)]
        else:
            for statement in sent[kind]:
                connection.exec_driver_sql(statement)

    with mock.patch.object(command, "upgrade", replay):
        yield


@contextmanager
def _recorded(connection: Connection, statements: list[str]) -> Iterator[None]:
    """Append what the connection sends, which must need no parameters unless it reads."""

    def record(_connection, _cursor, statement, parameters, _context, _many):
        assert not parameters or statement.lstrip().startswith(("SELECT", "PRAGMA")), statement
        statements.append(statement)

    event.listen(connection, "before_cursor_execute", record)
    yield
    event.remove(connection, "before_cursor_execute", record)


@contextmanager
def statements_compile_once() -> Iterator[None]:
    """Within it, databases of a kind share the SQL that statements are compiled to, which is kept
    for each of them."""
    compiled: dict[str, Engine] = {}
    create = engines.create_engine

    def sharing(*given: object, **options: object) -> Engine:
        made = create(*given, **options)
        event.listen(made, "connect", lambda *_: compiled.setdefault(made.dialect.name, made))
        if first := compiled.get(made.dialect.name):  # it has asked its server who that is
            made.dialect, made._compiled_cache = first.dialect, first._compiled_cache
        return made

    with mock.patch.object(engines, "create_engine", sharing):
        yield


@contextmanager
def decoders_stay() -> Iterator[None]:
    """Within it, decoder processes that have nothing to do when they would be ended wait for the
    next who needs one."""
    waiting: SimpleQueue = SimpleQueue()

    @wraps(Decoders._start)
    def start(self: Decoders):
        with suppress(Empty):
            while not (decoder := waiting.get_nowait()).alive:
                pass
            with self._lock:
                self._all.add(decoder)
            return decoder
        return unwrap(Decoders._start)(self)

    @wraps(Decoders.close)
    def close(self: Decoders) -> None:
        with suppress(Empty):
            while waiting.qsize() < MOST_WAITING:
                decoder = self._idle.get_nowait()
                with self._lock:
                    self._all.discard(decoder)
                waiting.put(decoder)
        unwrap(Decoders.close)(self)

    with mock.patch.multiple(Decoders, _start=start, close=close):
        yield
    while not waiting.empty():
        waiting.get().kill()

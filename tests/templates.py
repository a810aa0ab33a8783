"""Archives that are filled once and then copied, on SQLite and Postgres: ingesting costs a second,
a copy a few hundredths."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import URL, create_engine, make_url, text

from emotion_search import Library, Settings


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
        """Make a copy of it the archive of ``settings``, whose database must be new and empty."""
        url = make_url(settings.database_url or f"sqlite:///{settings.home / 'archive.db'}")
        kind = url.get_backend_name()
        home = self._folder / kind
        if kind == "sqlite":
            if kind not in self._made:
                self._make(make_url(f"sqlite:///{home / 'archive.db'}"), home)
            shutil.copytree(home, settings.home, dirs_exist_ok=True)
            (settings.home / "archive.db").rename(str(url.database))
            return
        server = create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")
        with server.connect() as connection:
            if kind not in self._made:
                own = f"template_{uuid.uuid4().hex}"
                connection.execute(text(f"CREATE DATABASE {own}"))
                self._make(url.set(database=own), home)
            connection.execute(text(f"DROP DATABASE {url.database}"))
            source = self._made[kind].database
            connection.execute(text(f"CREATE DATABASE {url.database} TEMPLATE {source}"))
        server.dispose()
        shutil.copytree(home, settings.home, dirs_exist_ok=True)

    def _make(self, url: URL, home: Path) -> None:
        where = {"home": home, "database_url": url.render_as_string(hide_password=False)}
        home.mkdir()
        with Library.open(Settings(**{**where, **self._settings}), create=True) as library:
            self._fill(library)
        self._made[url.get_backend_name()] = url

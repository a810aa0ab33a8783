"""The commands about the database of an archive."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from emotion_search.engine.commands.common import DatabaseOption, HomeOption, settings_of


def migrate(home: HomeOption = None, database: DatabaseOption = None) -> None:
    """Create the database's tables, or bring those of an older version up to date.

    \b
    emotion-search migrate --database postgresql+psycopg://user@host/name
    """
    from emotion_search.index.database.connection import Database

    settings = settings_of(home, database)
    target = Database(settings.database)
    target.migrate()
    print(f"{target} is at version {target.schema_version()}")


def copy(
    source: Annotated[str, typer.Option("--from", help="Database URL of the archive.")],
    target: Annotated[str, typer.Option("--to", help="Database URL of the copy; empty or new.")],
) -> None:
    """Copy an archive to another database: from SQLite to Postgres, or back.

    All or nothing; the archive may serve on meanwhile, and what is ingested after the copy began is
    not in it. Audio files stay where they are, as do uploads: they belong to the --home.

    \b
    emotion-search copy --from sqlite:///archive.db --to postgresql+psycopg://user@host/name
    """
    from emotion_search.index.database.connection import Database
    from emotion_search.index.database.copy import copy_archive

    told = sys.stderr.isatty()

    def progress(table: str, rows: int) -> None:
        if told:
            print(f"\r{table}: {rows}   ", end="", file=sys.stderr, flush=True)

    one, other = Database(source), Database(target)
    try:
        counts = copy_archive(one, other, progress)
    finally:
        one.close()
        other.close()
        if told:
            print(file=sys.stderr)
    print(
        f"copied {counts['recordings']} recordings with {counts['clips']} clips to {other};"
        " use it by --database or EMOTION_SEARCH_DATABASE_URL"
    )

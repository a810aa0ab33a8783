"""The database of an archive: ``migrate``, ``copy``."""

from __future__ import annotations

from typing import Annotated

import typer

from emotion_search.engine.commands.common import ArchiveOptions
from emotion_search.engine.commands.words import counted


def migrate(archive: ArchiveOptions) -> None:
    """Create the database's tables, or bring them up to date.

    \b
    emotion-search migrate --database postgresql+psycopg://user@host/name
    """
    from emotion_search.engine.archive.database import migrate_database

    print(migrate_database(archive.settings()))


def copy(
    source: Annotated[str, typer.Option("--from", help="Database URL of the archive.")],
    target: Annotated[str, typer.Option("--to", help="Database URL of the copy; empty or new.")],
) -> None:
    """Copy an archive from SQLite to Postgres, or back.

    All or nothing; the archive may serve on meanwhile, and what is ingested after the copy began is
    not in it. Audio files stay where they are, as do uploads: they belong to the --home.

    \b
    emotion-search copy --from sqlite:///a.db --to postgresql+psycopg://host/name
    """
    from emotion_search.engine.archive.database import copy_database
    from emotion_search.engine.commands.show.progress import working

    with working("copy") as progress:
        name, counts = copy_database(source, target, progress)
    print(
        f"copied {counted(counts['recordings'], 'recording')}"
        f" with {counted(counts['clips'], 'clip')} to {name};"
        " use it by --database or EMOTION_SEARCH_DATABASE_URL"
    )

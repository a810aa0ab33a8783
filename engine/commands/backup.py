"""``backup`` and ``restore``."""

from __future__ import annotations

from typing import Annotated

import typer

from emotion_search.engine.commands.common import ArchiveOptions, HomeOption, OverwriteOption
from emotion_search.engine.commands.words import counted


def backup(
    archive: ArchiveOptions,
    file: Annotated[str, typer.Argument(help="The tar file to write; or s3://BUCKET/NAME.")],
    overwrite: OverwriteOption = False,
) -> None:
    """Write the archive as it stands now to a file.

    It may serve and be written to meanwhile. The file has database, uploads, tuned models,
    settings, each with a checksum. Audio of your own stays where it is, as do models from hubs; the
    index is made anew.

    \b
    emotion-search backup /backups/archive-2026-11-28.tar
    emotion-search backup s3://backups/archive-2026-11-28.tar
    """
    from emotion_search.engine.archive.backup import backup as write
    from emotion_search.engine.commands.show.progress import working
    from emotion_search.engine.files.outputs import output_at

    with output_at(file, overwrite=overwrite) as path, working("backup") as progress:
        done = write(archive.settings(), path, overwrite=overwrite, progress=progress)
    inside = f"{counted(done.uploads, 'upload')} and {counted(done.models, 'tuned model')}"
    print(f"{file}: {done.size / 1e6:.1f} MB with {inside}")


def restore(
    file: Annotated[str, typer.Argument(help="A file, or an object, that backup wrote.")],
    into: Annotated[
        str | None, typer.Option(help="Database URL; default: SQLite in the home.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Compare all checksums, write nothing.")
    ] = False,
    home: HomeOption = None,
) -> None:
    """Make an archive of a backup, in an empty home.

    \b
    emotion-search restore archive.tar --dry-run
    emotion-search restore archive.tar --home /srv/emotion
    emotion-search restore archive.tar --into postgresql+psycopg://user@host/name
    """
    from emotion_search.engine.archive.backup import restore as read
    from emotion_search.engine.commands.show.progress import working

    settings = ArchiveOptions(home, into).settings()
    with working("restore") as progress:
        done = read(settings, file, dry_run=dry_run, progress=progress)
    if dry_run:
        print(f"{file} is whole: of {done.created_at:%Y-%m-%d %H:%M} UTC, {done.size / 1e6:.1f} MB")
        return
    print(
        f"restored to {settings.home} what was there on {done.created_at:%Y-%m-%d %H:%M} UTC, with"
        f" {counted(done.uploads, 'upload')} and {counted(done.models, 'tuned model')}"
    )

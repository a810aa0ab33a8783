"""Paths of recordings that are gone or were moved: ``locations``, ``relocate``."""

from __future__ import annotations

from typing import Annotated

import typer

from emotion_search.engine.commands.common import (
    ArchiveOptions,
    JsonOption,
    notice,
    print_json,
    say_first,
)
from emotion_search.engine.commands.words import counted


def locations(
    archive: ArchiveOptions,
    drop: Annotated[
        bool, typer.Option("--drop", help="Forget these paths; recordings stay.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List paths of recordings where no file is any more.

    \b
    emotion-search locations
    emotion-search relocate /old/calls /new/calls    # if they were moved
    emotion-search locations --drop                  # if they are gone for good
    """
    with archive.open() as library:
        if drop:
            print(f"{counted(library.drop_vanished(), 'location')} dropped")
            return
        found = library.vanished()
        lost = len(library.recordings(missing=True))
    for path in found:
        print_json({"path": path}) if as_json else print(path)
    if found or lost:
        notice(
            f"{counted(len(found), 'location')} without a file;"
            f" {counted(lost, 'recording')} with none left at any place"
        )
    else:
        notice("every known location has its file")


def relocate(
    archive: ArchiveOptions,
    old: Annotated[str, typer.Argument(help="The folder as it was.")],
    new: Annotated[str, typer.Argument(help="Where its files are now.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, change nothing.")] = False,
) -> None:
    """Note that a folder of recordings was moved or renamed.

    Files with the same size and time of change are taken as they are, others hashed. What is not in
    the new folder, or is something else, stays as it was and makes the exit code 1.

    \b
    emotion-search relocate /mnt/old/calls /srv/calls --dry-run
    """
    with archive.open() as library:
        done = library.relocate(old, new, dry_run=dry_run)
    print(f"{counted(done.moved, 'file')} {'would be ' if dry_run else ''}known in a new place")
    say_first([f"{path}: {reason}" for path, reason in done.left])
    if done.left:
        raise typer.Exit(1)

"""The commands about the search index."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from emotion_search.engine.commands.common import ArchiveOptions, JsonOption, print_json
from emotion_search.engine.commands.words import counted
from emotion_search.index.errors import EmotionSearchError

if TYPE_CHECKING:
    from emotion_search.engine.archive.index import IndexStatus

index_app = typer.Typer(
    help="Show, check and make anew the search index; it is a cache of the database.",
    no_args_is_help=True,
)


@index_app.command()
def status(archive: ArchiveOptions, as_json: JsonOption = False) -> None:
    """Show the saved index: its kind, how far it is, how well it finds.

    \b
    emotion-search index status
    """
    with archive.open() as library:
        _print(library.index_status(), as_json)


@index_app.command()
def rebuild(archive: ArchiveOptions, as_json: JsonOption = False) -> None:
    """Make the index anew from the database, and save it.

    \b
    emotion-search index rebuild
    """
    with archive.open() as library:
        library.rebuild_index()
        _print(library.index_status(), as_json)


@index_app.command()
def verify(archive: ArchiveOptions, as_json: JsonOption = False) -> None:
    """Compare the index with the database: every clip there, and a sample of true neighbours.

    Exit code 1 if a clip is missing or too many, if the index knows something else of one than the
    database (source, speaker, time, emotion), if its files are damaged, or if less than 99.9 % of
    the neighbours are found; the cure is: emotion-search index rebuild. The whole archive is
    checked by: emotion-search check.

    \b
    emotion-search index verify
    """
    with archive.open() as library:
        found = library.verify_index()
    if as_json:
        print_json(asdict(found))
    else:
        print(f"clips        {found.clips} in the database, {found.missing} not in the index")
        print(f"too many     {found.surplus}")
        print(f"differing    {found.differing}")
        print(f"files        {found.damage or 'whole'}")
        print(f"recall@10    {found.recall:.4f} over {counted(found.sample, 'clip')}")
    if not found.is_sound:
        raise EmotionSearchError("the index is not sound; run: emotion-search index rebuild")


def _print(status: IndexStatus, as_json: bool) -> None:
    if as_json:
        print_json(asdict(status))
        return
    for name, value in describe(status).items():
        print(f"{name:<11} {value}")


def describe(status: IndexStatus) -> dict[str, str]:
    """The status of an index in lines for people."""
    if status.kind is None:
        return {"index": "none saved"}
    rows = {
        "index": f"{status.kind}, {counted(status.clips, 'clip')}, {status.size / 1e6:.1f} MB",
        "stands at": f"revision {status.revision} of {status.of_revision}",
    }
    if status.recall is not None:
        rows["recall@10"] = f"{status.recall:.4f} on a sample when it was made"
        rows["lists"] = f"{status.lists}, of which {status.probes} are looked into for 10 hits"
    return rows

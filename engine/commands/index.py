"""The commands about the search index."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from emotion_search.engine.commands.common import ArchiveOptions, JsonOption, print_json
from emotion_search.engine.commands.words import counted
from emotion_search.index.errors import EmotionSearchError

if TYPE_CHECKING:
    from emotion_search.engine.archive.index import IndexStatus
    from emotion_search.index.lifecycle.shipping import EngineState

index_app = typer.Typer(help="Show, check and rebuild the search index.", no_args_is_help=True)


@index_app.command()
def status(archive: ArchiveOptions, as_json: JsonOption = False) -> None:
    """Show the saved index: its kind, how far it is.

    \b
    emotion-search index status
    """
    with archive.open() as library:
        _print(library.index_status(), as_json)


@index_app.command()
def rebuild(archive: ArchiveOptions, as_json: JsonOption = False) -> None:
    """Build the index again from the database, and save it.

    \b
    emotion-search index rebuild
    """
    with archive.open() as library:
        library.rebuild_index()
        _print(library.index_status(), as_json)


@index_app.command()
def repair(archive: ArchiveOptions, as_json: JsonOption = False) -> None:
    """Send the engine what it lacks, delete what is too much.

    For EMOTION_SEARCH_INDEX=milvus+https://…: every id is compared. What this machine has itself is
    made anew by: emotion-search index rebuild.

    \b
    emotion-search index repair
    """
    with archive.open() as library:
        state = library.repair_index()
    if as_json:
        print_json(asdict(state))
    else:
        print(f"engine      {in_words(state)}")


@index_app.command()
def verify(
    archive: ArchiveOptions,
    engine: Annotated[
        bool, typer.Option("--engine", help="Compare the engine that names candidates instead.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare the index with the database.

    Is every clip there, and are the true neighbours of a sample found?

    Exit code 1 if a clip is missing or too many, if source, speaker, time or emotion of one differ
    from the database, if its files are damaged, or if less than 99.9 % of the neighbours are found;
    the cure is: emotion-search index rebuild. To check the whole archive: emotion-search check.

    \b
    emotion-search index verify
    emotion-search index verify --engine
    """
    with archive.open() as library:
        found = library.verify_engine() if engine else library.verify_index()
    what, cure = ("engine", "repair") if engine else ("index", "rebuild")
    if as_json:
        print_json(asdict(found))
    else:
        print(f"clips        {found.clips} in the database, {found.missing} not in the {what}")
        print(f"too many     {found.surplus}")
        print(f"differing    {found.differing}")
        print(f"files        {found.damage or 'whole'}")
        print(f"recall@10    {found.recall:.4f} over {counted(found.sample, 'clip')}")
    if not found.is_sound:
        raise EmotionSearchError(f"the {what} is not sound; run: emotion-search index {cure}")


def in_words(engine: EngineState) -> str:
    """An engine for people."""
    if engine.problem is not None:
        return engine.problem
    text = f"{engine.address}, revision {engine.revision} of {engine.of_revision}"
    erased = counted(engine.pending, "erased clip")
    return text + (f", {erased} pending" if engine.pending else "")


def _print(status: IndexStatus, as_json: bool) -> None:
    if as_json:
        print_json(asdict(status))
        return
    for name, value in describe(status).items():
        print(f"{name:<11} {value}")


def describe(status: IndexStatus) -> dict[str, str]:
    """The status of an index in lines for people."""
    engine = {} if status.engine is None else {"engine": in_words(status.engine)}
    if status.kind is None:
        return {"index": "none saved", **engine}
    rows = {
        "index": f"{status.kind}, {counted(status.clips, 'clip')}, {status.size / 1e6:.1f} MB",
        "revision": f"{status.revision}, up to date"
        if status.revision == status.of_revision
        else f"{status.revision} of {status.of_revision}; the next search adds the rest",
    }
    if status.recall is not None:
        rows["recall@10"] = f"{status.recall:.4f} on a sample when it was made"
        rows["lists"] = f"{status.lists}, of which {status.probes} are looked into for 10 hits"
    return rows | engine

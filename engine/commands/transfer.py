"""Archives as files, and files into archives: ``export``, ``import``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emotion_search.engine.commands.common import (
    ArchiveOptions,
    DeviceOption,
    JsonOption,
    OverwriteOption,
    choice,
    note_forgotten,
    print_json,
    say_error,
)
from emotion_search.engine.commands.words import counted
from emotion_search.index.errors import InvalidInputError

if TYPE_CHECKING:
    from emotion_search.index.database.filters import ClipFilter


def export(
    archive: ArchiveOptions,
    wanted: ClipFilter,
    output: Annotated[
        str, typer.Option(help="The file, or of npy the folder; or s3://BUCKET/NAME.")
    ],
    kind: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="npy|parquet|csv|jsonl", help="Default: by the name's ending."
        ),
    ] = None,
    granularity: Annotated[
        str, typer.Option(metavar="utterance|frame", help="A row a clip, or 50 a second (npy).")
    ] = "utterance",
    raw: Annotated[
        bool, typer.Option("--raw", help="CSV without ' before texts that begin as a formula does.")
    ] = False,
    overwrite: OverwriteOption = False,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write embeddings, scores, labels and metadata of clips.

    \b
    emotion-search export --output features
    emotion-search export --output angry.parquet --label anger --source support
    emotion-search export --output frames --granularity frame --speaker anna
    emotion-search export --output s3://exports/2026-11.parquet
    """
    granularity = choice("--granularity", granularity, ("utterance", "frame"))
    if granularity == "frame" and kind not in (None, "npy"):
        raise InvalidInputError("frames are written as npy only")
    from emotion_search.engine.commands.show.progress import working

    with archive.open(device=device, wanted=wanted) as library, working("export") as progress:
        if granularity == "frame":
            done = library.export_frames(output, wanted=wanted, overwrite=overwrite)
        else:
            done = library.export(
                output, kind=kind, wanted=wanted, raw=raw, overwrite=overwrite, progress=progress
            )
    for clip, reason in done.failed:
        say_error(f"clip {clip}: {reason}")
    if as_json:
        print_json({"path": output, "clips": done.clips, "failed": len(done.failed)})
    else:
        print(f"{counted(done.clips, 'clip')} in {output}")
    if done.failed:
        raise typer.Exit(1)


def import_embeddings(
    archive: ArchiveOptions,
    embeddings: Annotated[
        Path, typer.Argument(help="An export's folder, a .parquet, or a .npy with a table.")
    ],
    table: Annotated[
        Path | None, typer.Argument(help="Of a .npy: CSV, JSON lines or Parquet, row by row.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Whose embeddings they are, if the files do not say.")
    ] = None,
    dimension: Annotated[
        int | None, typer.Option(min=1, help="What their dimension must be.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Take back what was forgotten before.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Take in embeddings that were computed elsewhere.

    No audio is needed.

    \b
    emotion-search import features --home ~/other
    emotion-search import x.npy rows.csv --model my-model --dimension 512
    """
    from emotion_search.engine.transfer.sources import open_source

    open_source(embeddings, table)  # raises before there is an archive
    with archive.open(create=True) as library:
        done = library.import_embeddings(
            embeddings, table, model=model, dimension=dimension, again=again
        )
    if as_json:
        print_json(vars(done))
    else:
        print(
            f"{counted(done.clips, 'clip')} of {counted(done.recordings, 'recording')} added"
            f"; {done.known} known already"
        )
    note_forgotten(done.forgotten, "recording")

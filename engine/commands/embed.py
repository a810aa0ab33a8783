"""Embeddings of files as ``.npy``: ``embed``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emotion_search.engine.commands.common import (
    JsonOption,
    ModelOptions,
    OverwriteOption,
    audio_files,
    lock_output,
    print_json,
    say_error,
)


def embed(
    archive: ModelOptions,
    files: Annotated[list[str], typer.Argument(help="Audio files, and folders of them.")],
    output_dir: Annotated[
        Path, typer.Option(metavar="FOLDER", help="For the .npy files and result.json.")
    ],
    granularity: Annotated[
        str,
        typer.Option(
            metavar="utterance|window|frame", help="One vector a file, every 3 s, or 50 a second."
        ),
    ] = "utterance",
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write embeddings of files as .npy; no archive needed.

    Their scores are written to result.json in the same folder.

    \b
    emotion-search embed a.wav b.wav --output-dir out
    emotion-search embed call.wav --output-dir out --granularity window
    """
    from emotion_search.engine.embedders.registry import load_embedder
    from emotion_search.engine.inference.embed import export_files
    from emotion_search.engine.library.library import model_name

    paths = [path for one in files for path in audio_files(one)]
    settings = archive.settings()
    lock_output(output_dir)
    embedder = load_embedder(model_name(settings), settings)
    failed = 0
    for done in export_files(
        paths, output_dir, embedder, granularity=granularity, overwrite=overwrite
    ):
        failed += done.error is not None
        if as_json:
            print_json(vars(done))
        elif done.error is not None:
            say_error(f"{done.file}: {done.error}")
        else:
            best = f"  {done.emotion} {done.confidence:.3f}" if done.emotion else ""
            print(f"{done.file} -> {output_dir / str(done.embedding)}{best}")
    if failed:
        raise typer.Exit(1)

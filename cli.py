"""The command line: parse, call the library, print."""

from __future__ import annotations

import io
import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from emotion_search.engine.commands.archive import copy, migrate
from emotion_search.engine.commands.classifiers import classifiers, classify, suggest, train
from emotion_search.engine.commands.clusters import cluster, map  # noqa: A004
from emotion_search.engine.commands.common import (
    DatabaseOption,
    DeviceOption,
    HomeOption,
    JsonOption,
    ModelOption,
    say_error,
    settings_of,
)
from emotion_search.engine.commands.curate import failures, forget, label
from emotion_search.engine.commands.evaluate import evaluate, tune
from emotion_search.engine.commands.finetune import finetune
from emotion_search.engine.commands.index import describe, index_app
from emotion_search.engine.commands.ingest import ingest
from emotion_search.engine.commands.models import forget_model, reembed, use
from emotion_search.engine.commands.predict import predict
from emotion_search.engine.commands.search import search
from emotion_search.engine.commands.serve import key_app, serve
from emotion_search.engine.commands.transfer import export, import_embeddings
from emotion_search.engine.commands.trend import trend
from emotion_search.index.errors import EmotionSearchError, InvalidInputError

app = typer.Typer(
    name="emotion-search",
    help="Search archives of speech by the emotion in the voice.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


app.command()(ingest)


app.command()(search)


@app.command()
def embed(
    files: Annotated[list[Path], typer.Argument(help="Audio files.")],
    output_dir: Annotated[Path, typer.Option(help="Folder of the .npy files and result.json.")],
    granularity: Annotated[
        str,
        typer.Option(
            metavar="utterance|window|frame", help="One vector a file, every 3 s, or 50 a second."
        ),
    ] = "utterance",
    overwrite: Annotated[bool, typer.Option(help="Write over what is in the folder.")] = False,
    home: HomeOption = None,
    database: DatabaseOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write embeddings of files as .npy, with their scores in result.json; no archive needed.

    \b
    emotion-search embed a.wav b.wav --output-dir out
    emotion-search embed call.wav --output-dir out --granularity window --model acoustic
    """
    from emotion_search.engine.embedders.load import load_embedder
    from emotion_search.engine.inference.embed import export_files
    from emotion_search.engine.library.library import model_name

    settings = settings_of(home, database, model, device)
    embedder = load_embedder(model_name(settings), settings)
    failed = 0
    for done in export_files(
        files, output_dir, embedder, granularity=granularity, overwrite=overwrite
    ):
        failed += done.error is not None
        if as_json:
            print(json.dumps(vars(done), ensure_ascii=False))
        elif done.error is not None:
            say_error(f"{done.file}: {done.error}")
        else:
            said = f"  {done.emotion} {done.confidence:.3f}" if done.emotion else ""
            print(f"{done.file} -> {output_dir / str(done.embedding)}{said}")
    if failed:
        raise typer.Exit(1)


@app.command()
def status(
    home: HomeOption = None, database: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """Show what is in the archive, and under which model.

    \b
    emotion-search status
    emotion-search status --json
    """
    from emotion_search.engine.commands.show.hits import tally
    from emotion_search.engine.library.library import Library
    from emotion_search.engine.transfer.records import status_record

    with Library.open(settings_of(home, database)) as library:
        record = status_record(library.status())
        index = library.index_status()
    record["index"] = asdict(index)
    if as_json:
        print(json.dumps(record, ensure_ascii=False))
        return
    model = f"{record['model']} ({record['dimension']} dimensions)" if record["model"] else "none"
    rows: dict[str, Any] = {
        "recordings": record["recordings"],
        "clips": f"{record['clips']} ({record['labelled']} labelled)",
        "duration": f"{record['duration'] / 3600:.2f} h",
        "failures": record["failures"],
        "model": model,
        "space": f"{record['space']} ({record['method'] or 'plain'})",
        **describe(index),
        "sources": tally(record["sources"]),
        "labels": tally(record["labels"]),
        "database": record["database"],
        "home": record["home"],
    }
    for name, value in rows.items():
        print(f"{name:<11} {value}")


app.command()(failures)
app.command()(forget)
app.command()(label)


app.command()(serve)
app.add_typer(key_app, name="key")


app.command()(migrate)
app.command()(copy)


@app.command()
def demo(
    audio: Annotated[
        Path | None, typer.Option(help="Use this folder of audio instead of synthetic voices.")
    ] = None,
) -> None:
    """Make a small archive of synthetic voices in a temporary place, and search it.

    \b
    emotion-search demo
    emotion-search demo --audio ~/recordings
    """
    from emotion_search.engine.commands.show.hits import print_hits
    from emotion_search.engine.demo import run_demo

    for line in run_demo(audio):
        if isinstance(line, str):
            print(line)
        else:
            print_hits(line)


app.add_typer(index_app, name="index")
app.command()(predict)
app.command()(trend)
app.command()(export)
app.command("import")(import_embeddings)
app.command()(tune)
app.command()(evaluate)
for command in (train, classify, classifiers, suggest, cluster, map):
    app.command()(command)
app.command()(finetune)
app.command()(reembed)
app.command()(use)

models_app = typer.Typer(
    help="Show, download and check embedding models.",
    invoke_without_command=True,
    rich_markup_mode=None,
)
app.add_typer(models_app, name="models")


@models_app.callback()
def models(
    ctx: typer.Context,
    home: HomeOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the models that are known, which are on this machine, and what the archive has of each.

    \b
    emotion-search models
    emotion-search models fetch iic/emotion2vec_plus_base
    emotion-search models check /path/to/checkpoint
    """
    from emotion_search.engine.embedders.catalogue import list_models
    from emotion_search.engine.library.library import archive_holdings

    if ctx.invoked_subcommand is not None:
        return
    settings = settings_of(home, database)
    for one in list_models(settings, archive_holdings(settings)):
        if as_json:
            print(json.dumps(vars(one), ensure_ascii=False))
        else:
            marks = [one.place]
            if one.fingerprint is not None:
                marks.append(f"{one.embedded} of {one.clips} clips embedded")
            marks += ["serves this archive"] if one.active else []
            print(f"{one.name:<34} {one.dimension or '?':>5}  {one.about:<26} {', '.join(marks)}")


@models_app.command()
def fetch(name: Annotated[str, typer.Argument(help="Hub id.")]) -> None:
    """Download a model into the hub client's cache, check that it is whole, print its checksum.

    \b
    emotion-search models fetch iic/emotion2vec_plus_large
    """
    from emotion_search.engine.embedders.emotion2vec.checkpoint import read_checkpoint
    from emotion_search.engine.embedders.hub import resolve

    settings = settings_of(None, None)
    folder = resolve(name, hub=settings.hub)
    print(f"{name} is in {folder}\nfingerprint {read_checkpoint(folder).fingerprint}")


@models_app.command()
def check(
    name: Annotated[str, typer.Argument(help="Hub id or checkpoint folder.")],
    device: DeviceOption = None,
) -> None:
    """Embed a built-in signal and compare with FunASR's own answer on this machine.

    \b
    emotion-search models check /path/to/checkpoint
    """
    from emotion_search.engine.embedders.catalogue import compare_with_funasr

    settings = settings_of(None, None, device=device)
    result = compare_with_funasr(name, settings)
    print(f"cosine to FunASR's embedding   {result.cosine:.9f} (at least {result.least_cosine})")
    print(f"largest difference of a score  {result.difference:.2e} (at most {result.most:g})")
    if not result.agrees:
        raise EmotionSearchError(f"model {name} does not give FunASR's numbers on this machine")


models_app.command("forget")(forget_model)


def main() -> None:
    """Run the program; errors of ours become one line and an exit code."""
    logging.basicConfig(format="notice: %(message)s", level=logging.WARNING, stream=sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal cannot show is escaped
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except EmotionSearchError as error:
        say_error(" ".join(str(error).split()))
        sys.exit(2 if isinstance(error, InvalidInputError) else 1)
    except OSError as error:
        named = error.strerror and error.filename
        say_error(f"{error.strerror}: {error.filename}" if named else error.strerror or str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()

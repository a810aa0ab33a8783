"""The command line: parse, call the library, print."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.settings import Settings, load_settings
from index.errors import EmotionSearchError, InvalidInputError

if TYPE_CHECKING:  # numpy and SQLAlchemy would cost --help half a second
    from index.filters import ClipFilter
    from index.recordings import Annotations

app = typer.Typer(
    name="emotion-search",
    help="Search archives of speech by the emotion in the voice.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

HomeOption = Annotated[
    str | None, typer.Option("--home", help="Folder of the archive.", show_default=False)
]
DatabaseOption = Annotated[
    str | None,
    typer.Option("--database", help="Database URL: sqlite:///… or postgresql+psycopg://…"),
]
ModelOption = Annotated[
    str | None,
    typer.Option("--model", help="Hub id, checkpoint folder, or 'acoustic' (built in)."),
]
DeviceOption = Annotated[
    str | None, typer.Option("--device", help="Where the model runs: auto, cpu, cuda.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON lines for machines.")]
MetaOption = Annotated[
    list[str] | None, typer.Option("--meta", metavar="KEY=VALUE", help="Metadata; repeatable.")
]


@app.command()
def ingest(
    paths: Annotated[
        list[str] | None, typer.Argument(help="Folders (searched recursively), files, or globs.")
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(help="CSV or JSON lines with a column 'path', relative to the manifest."),
    ] = None,
    source: Annotated[str | None, typer.Option(help="Where the recordings come from.")] = None,
    label: Annotated[str | None, typer.Option(help="Emotion label of all their clips.")] = None,
    speaker: Annotated[str | None, typer.Option(help="Who speaks.")] = None,
    recorded_at: Annotated[str | None, typer.Option(help="When, in ISO 8601.")] = None,
    meta: MetaOption = None,
    channel: Annotated[
        int | None, typer.Option(min=0, help="Take this channel, from 0; default: mix down.")
    ] = None,
    home: HomeOption = None,
    database: DatabaseOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add audio files to the archive; running it again embeds nothing twice.

    \b
    emotion-search ingest ~/calls --source support-2026
    emotion-search ingest --manifest corpus/labels.csv --model acoustic
    """
    from engine.library import Library
    from engine.manifest import Manifest, read_manifest
    from engine.progress import IngestProgress
    from engine.scan import find_audio
    from index.recordings import Annotations

    if not paths and manifest is None:
        raise InvalidInputError("name folders or files to ingest, or a --manifest")
    settings = _settings(home, database, model, device)
    rows = read_manifest(manifest) if manifest else Manifest()
    defaults = _annotations(source, label, speaker, recorded_at, meta)
    found = find_audio(paths or [path for path in rows.rows if os.path.lexists(path)])
    if not paths:
        for path in rows.rows:
            if not os.path.lexists(path):
                place = f"{manifest}: line {rows.lines[path]}"
                rows.problems.append((place, f"{path}: no such file"))
    elif unmatched := len(rows.rows.keys() - {file.path for file in found.files}):
        _notice(f"{unmatched} rows of {manifest} are for files that are not among these")
    for extension, number in sorted(found.passed_over.items()):
        _notice(f"{number} files with extension {extension} passed over: format not supported")
    if rows.naive_times:
        _notice(f"{rows.naive_times} times in {manifest} have no zone; taken as UTC")
    if not found.files and not found.unusable and not rows.problems:
        raise EmotionSearchError(f"no audio files in {' '.join(paths or [str(manifest)])}")
    nothing = Annotations()
    said = {file.path: rows.rows.get(file.path, nothing).over(defaults) for file in found.files}
    with Library.open(settings, create=True) as library:
        library.embedder()
        library.note_failures(found, rows)
        with IngestProgress(len(found.files)) as progress:
            try:
                report = library.ingest(
                    found.files, said=said, channel=channel, progress=progress.update
                )
            except KeyboardInterrupt:
                progress.stop()
                _error("interrupted; what was committed is kept: run the same command to go on")
                raise typer.Exit(130) from None
        report.failed[:0] = [*found.unusable, *rows.problems]
    summary = {
        "recordings": report.recordings,
        "clips": report.clips,
        "known": report.known,
        "duplicates": report.duplicates,
        "failed": len(report.failed),
        "duration": round(report.duration, 3),
        "seconds": round(progress.elapsed, 2),
    }
    if channel is not None and report.known:
        _notice(f"{report.known} known files keep the channel that they were ingested with")
    if as_json:
        print(json.dumps(summary))
    else:
        print(
            f"{report.recordings} recordings ({report.clips} clips, {report.duration / 60:.1f} min)"
            f" added in {progress.elapsed:.1f} s; {report.known} known already,"
            f" {report.duplicates} duplicates, {len(report.failed)} failed"
        )
    if report.failed:
        for path, reason in report.failed[:20]:
            _error(f"{path}: {reason}")
        if len(report.failed) > 20:
            _error(f"… and {len(report.failed) - 20} more; list them with: emotion-search failures")
        raise typer.Exit(1)


@app.command()
def search(
    example: Annotated[
        Path | None, typer.Argument(help="Audio file that sounds like what you look for.")
    ] = None,
    clip: Annotated[int | None, typer.Option(help="A clip of the archive as example.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-k", help="Most hits.")] = 10,
    source: Annotated[list[str] | None, typer.Option(help="Only from here; repeatable.")] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="Only with this label; repeatable.")
    ] = None,
    speaker: Annotated[list[str] | None, typer.Option(help="Only this speaker.")] = None,
    after: Annotated[str | None, typer.Option(help="Recorded then or later, ISO 8601.")] = None,
    before: Annotated[str | None, typer.Option(help="Recorded before then, ISO 8601.")] = None,
    meta: MetaOption = None,
    exclude_same: Annotated[
        str | None,
        typer.Option(metavar="recording|speaker", help="Leave out the example's own."),
    ] = None,
    home: HomeOption = None,
    database: DatabaseOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find clips that sound like an example.

    \b
    emotion-search search angry.wav --limit 10
    emotion-search search --clip 42 --source support-2026 --after 2026-01-01 --json
    """
    from engine.library import Library
    from engine.query import EXCLUDABLE
    from engine.records import hit_record
    from engine.terminal import print_hits

    if (example is None) == (clip is None):
        raise InvalidInputError("give one example: an audio file, or --clip ID")
    if exclude_same is not None and exclude_same not in EXCLUDABLE:
        raise InvalidInputError(f"--exclude-same {exclude_same}: choose {' or '.join(EXCLUDABLE)}")
    wanted = _filter(source, label, speaker, after, before, meta)
    with Library.open(_settings(home, database, model, device)) as library:
        hits = library.search(
            clip if clip is not None else Path(str(example)),
            limit=limit,
            wanted=wanted,
            exclude_same=EXCLUDABLE[exclude_same] if exclude_same else None,
        )
    if as_json:
        for hit in hits:
            print(json.dumps(hit_record(hit), ensure_ascii=False))
    elif hits:
        print_hits(hits)
    else:
        _notice("no clip matches")


@app.command()
def embed(
    files: Annotated[list[Path], typer.Argument(help="Audio files.")],
    output_dir: Annotated[Path, typer.Option(help="Folder of the .npy files and result.json.")],
    granularity: Annotated[
        str, typer.Option(metavar="utterance|frame", help="One vector a file, or 50 a second.")
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
    emotion-search embed call.wav --output-dir out --granularity frame --model acoustic
    """
    from engine.embedders.loader import load_embedder
    from engine.export import export_files
    from engine.library import model_name

    settings = _settings(home, database, model, device)
    embedder = load_embedder(model_name(settings), settings)
    failed = 0
    for done in export_files(
        files, output_dir, embedder, granularity=granularity, overwrite=overwrite
    ):
        failed += done.error is not None
        if as_json:
            print(json.dumps(vars(done), ensure_ascii=False))
        elif done.error is not None:
            _error(f"{done.file}: {done.error}")
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
    from engine.library import Library
    from engine.records import status_record
    from engine.terminal import tally

    with Library.open(_settings(home, database)) as library:
        record = status_record(library.status())
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
        "sources": tally(record["sources"]),
        "labels": tally(record["labels"]),
        "database": record["database"],
        "home": record["home"],
    }
    for name, value in rows.items():
        print(f"{name:<11} {value}")


@app.command()
def failures(
    home: HomeOption = None, database: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """List the files that could not be ingested, and why.

    \b
    emotion-search failures
    """
    from engine.library import Library

    with Library.open(_settings(home, database)) as library:
        found = library.failures()
    for failure in found:
        if as_json:
            record = {**vars(failure), "failed_at": failure.failed_at.isoformat()}
            print(json.dumps(record, ensure_ascii=False))
        else:
            print(f"{failure.path}: {failure.reason} (tried {failure.attempts} times)")


@app.command()
def forget(
    recordings: Annotated[
        list[int], typer.Argument(min=1, max=2**63 - 1, help="Ids of recordings.")
    ],
    home: HomeOption = None,
    database: DatabaseOption = None,
) -> None:
    """Erase recordings from the archive: rows, vectors, labels, index, uploaded bytes.

    \b
    emotion-search forget 17 18
    """
    from engine.library import Library

    with Library.open(_settings(home, database)) as library:
        for recording in recordings:
            paths = library.forget(recording)
            print(f"recording {recording} forgotten ({', '.join(paths) or 'no file known'})")


@app.command()
def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port.")] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    home: HomeOption = None,
    database: DatabaseOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
) -> None:
    """Serve the search API; its description is at /docs.

    \b
    emotion-search serve --port 8000
    """
    import uvicorn

    from engine.api.app import create_app
    from engine.library import Library

    settings = _settings(home, database, model, device)
    Library.open(settings, create=True).close()  # says what is wrong before the server starts
    uvicorn.run(create_app(settings), host=host, port=port, log_level="info")


@app.command()
def migrate(home: HomeOption = None, database: DatabaseOption = None) -> None:
    """Create the database's tables, or bring those of an older version up to date.

    \b
    emotion-search migrate --database postgresql+psycopg://user@host/name
    """
    from index.database import Database

    settings = _settings(home, database)
    target = Database(settings.database, busy_timeout=settings.busy_timeout)
    target.migrate()
    print(f"{target} is at version {target.schema_version()}")


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
    from engine.demo import run_demo
    from engine.terminal import print_hits

    for line in run_demo(audio):
        if isinstance(line, str):
            print(line)
        else:
            print_hits(line)


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
    """List the models that are known, which are on this machine, and which serves the archive.

    \b
    emotion-search models
    emotion-search models fetch iic/emotion2vec_plus_base
    emotion-search models check /path/to/checkpoint
    """
    from engine.embedders.catalogue import list_models
    from engine.library import archive_model

    if ctx.invoked_subcommand is not None:
        return
    settings = _settings(home, database)
    active = archive_model(settings)
    for one in list_models(settings, active.name if active else None):
        if as_json:
            print(json.dumps(vars(one), ensure_ascii=False))
        else:
            marks = [one.place] + (["serves this archive"] if one.active else [])
            print(f"{one.name:<34} {one.dimension or '?':>5}  {one.about:<26} {', '.join(marks)}")


@models_app.command()
def fetch(name: Annotated[str, typer.Argument(help="Hub id.")]) -> None:
    """Download a model into the hub client's cache, check that it is whole, print its checksum.

    \b
    emotion-search models fetch iic/emotion2vec_plus_large
    """
    from engine.embedders.checkpoint import read_checkpoint
    from engine.embedders.hub import resolve

    settings = _settings(None, None)
    folder = resolve(name, hub=settings.hub, timeout=settings.hub_timeout)
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
    from engine.embedders.catalogue import compare_with_funasr

    settings = _settings(None, None, device=device)
    result = compare_with_funasr(name, settings)
    print(f"cosine to FunASR's embedding   {result.cosine:.9f} (at least {result.least_cosine})")
    print(f"largest difference of a score  {result.difference:.2e} (at most {result.most:g})")
    if not result.agrees:
        raise EmotionSearchError(f"model {name} does not give FunASR's numbers on this machine")


def main() -> None:
    """Run the program; errors of ours become one line and an exit code."""
    logging.basicConfig(format="notice: %(message)s", level=logging.WARNING, stream=sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal cannot show is escaped
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except EmotionSearchError as error:
        _error(" ".join(str(error).split()))
        sys.exit(2 if isinstance(error, InvalidInputError) else 1)
    except OSError as error:
        _error(f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror))
        sys.exit(1)


def _settings(
    home: str | None,
    database: str | None,
    model: str | None = None,
    device: str | None = None,
) -> Settings:
    return load_settings(home=home, database_url=database, model=model, device=device)


def _annotations(
    source: str | None,
    label: str | None,
    speaker: str | None,
    recorded_at: str | None,
    meta: list[str] | None,
) -> Annotations:
    from engine.manifest import check_text
    from index.filters import EMOTION
    from index.recordings import Annotations

    return Annotations(
        source=check_text("--source", source) if source is not None else None,
        speaker=check_text("--speaker", speaker) if speaker is not None else None,
        recorded_at=_time("--recorded-at", recorded_at),
        labels={EMOTION: check_text("--label", label)} if label is not None else {},
        metadata=_pairs(meta),
    )


def _filter(
    source: list[str] | None,
    label: list[str] | None,
    speaker: list[str] | None,
    after: str | None,
    before: str | None,
    meta: list[str] | None,
) -> ClipFilter:
    from index.filters import ClipFilter

    return ClipFilter(
        sources=tuple(source or ()),
        labels=tuple(label or ()),
        speakers=tuple(speaker or ()),
        after=_time("--after", after),
        before=_time("--before", before),
        metadata=_pairs(meta),
    )


def _time(option: str, text: str | None) -> datetime | None:
    from engine.manifest import parse_time

    if text is None:
        return None
    try:
        return parse_time(text)[0]
    except InvalidInputError as error:
        raise InvalidInputError(f"{option}: {error}") from error


def _pairs(meta: list[str] | None) -> dict[str, str]:
    from engine.manifest import parse_pairs

    return parse_pairs(meta or [])


def _notice(text: str) -> None:
    print(f"notice: {text}", file=sys.stderr)


def _error(text: str) -> None:
    print(f"error: {text}", file=sys.stderr)


if __name__ == "__main__":
    main()

"""``ingest``: files, folders, manifests, standard input, folders to watch."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import astuple, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emotion_search.engine.commands.common import (
    JsonOption,
    ModelOptions,
    choice,
    interruptible,
    notice,
    open_library,
    say_error,
    without_notices,
)
from emotion_search.engine.commands.ingest_annotations import (
    AnnotationOptions,
    ManifestOptions,
    PathRuleOptions,
    annotations_by_path,
    channels_of,
)
from emotion_search.engine.commands.ingest_files import NamedFiles, note_lost
from emotion_search.engine.commands.ingest_shared import print_status, take_part
from emotion_search.engine.commands.show.ingest import Output, print_preview, print_report
from emotion_search.engine.commands.words import counted
from emotion_search.index.errors import EmotionSearchError, InvalidInputError

if TYPE_CHECKING:
    from emotion_search.engine.files.manifest import Manifest
    from emotion_search.engine.files.watch import Watch
    from emotion_search.engine.ingest.options import IngestOptions
    from emotion_search.engine.ingest.report import IngestReport
    from emotion_search.engine.library.library import Library
    from emotion_search.engine.settings import Settings


def ingest(
    archive: ModelOptions,
    table: ManifestOptions,
    shared: AnnotationOptions,
    codes: PathRuleOptions,
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            help="Folders (searched recursively), files, globs, s3://BUCKET/PREFIX; - for stdin."
        ),
    ] = None,
    channels: Annotated[
        str | None,
        typer.Option(
            metavar="mix|split|N|NAME=N",
            help="Channels to make clips of, from 0, by commas; default: mix.",
        ),
    ] = None,
    track: Annotated[
        int | None,
        typer.Option(min=1, help="Of several sound tracks, from 1; default: the one with speech."),
    ] = None,
    segments: Annotated[
        str | None,
        typer.Option(metavar="speech|fixed", help="How long recordings are cut; default: speech."),
    ] = None,
    window: Annotated[
        float | None, typer.Option(help="Seconds of the longest clip; default: 15.")
    ] = None,
    hop: Annotated[
        float | None, typer.Option(help="Seconds between the starts of fixed windows.")
    ] = None,
    time_from: Annotated[
        str,
        typer.Option(
            metavar="tags|file|none", help="What gives the time where no annotation does."
        ),
    ] = "tags",
    rescan: Annotated[
        bool, typer.Option("--rescan", help="Hash known files too, whatever their size and time.")
    ] = False,
    recut: Annotated[
        bool, typer.Option("--recut", help="Cut known recordings again if they were cut otherwise.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Take back what was forgotten before.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Take this many new files.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")] = False,
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed", help="Try files again that failed or had no speech in them."
        ),
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on with what arrives in the folders.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Print new failures alone, and --json's summary.")
    ] = False,
    fail_on: Annotated[
        str | None,
        typer.Option(
            metavar="any|new|none",
            help="Which failed files make the exit code 1; default: any, new with --quiet.",
        ),
    ] = None,
    claim: Annotated[
        bool,
        typer.Option("--claim", help="Share the work with other processes that run this command."),
    ] = False,
    on: Annotated[
        str | None, typer.Option(metavar="local|ray://HOST:PORT", help="Let Ray place the workers.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="How many of Ray; default: by GPUs, or cores.")
    ] = None,
    show_status: Annotated[
        bool, typer.Option("--status", help="Show how far shared ingests are.")
    ] = False,
    drop: Annotated[
        int | None,
        typer.Option("--drop", metavar="N", help="Forget shared ingest N, what is left of it."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Add audio files to the archive.

    Run again, it embeds nothing twice, and goes on where it was stopped.

    \b
    emotion-search ingest ~/calls --source support-2026
    emotion-search ingest ~/calls --channels customer=1 --watch
    emotion-search ingest /srv/calls --quiet --json
    emotion-search ingest ~/calls --channels split --recut
    emotion-search ingest ~/RAVDESS --label-map ravdess
    emotion-search ingest --manifest corpus/labels.csv --model voice
    emotion-search ingest --manifest export.xlsx --map path=Datei --dry-run
    emotion-search ingest s3://archive/2026 --source support-2026
    emotion-search ingest /mnt/calls --claim   # the same on each machine
    find /data -name '*.m4a' | emotion-search ingest - --dry-run
    """
    from emotion_search.engine.audio.channels import parse_channels
    from emotion_search.engine.files.manifest import Manifest
    from emotion_search.engine.files.manifest_in_bucket import manifest_named
    from emotion_search.engine.ingest.options import IngestOptions

    if show_status or drop is not None:
        with archive.open() as library:
            if drop is not None:
                library.drop_shared_ingest(drop)
            print_status(library.shared_ingests(), as_json)
        return
    claim = claim or on is not None
    if on not in (None, "local") and not str(on).startswith("ray://"):
        raise InvalidInputError(f"--on {on}: give local, or ray://HOST:PORT")
    if not paths and table.manifest is None and not retry_failed and (on or not claim):
        raise InvalidInputError("name folders or files to ingest, or a --manifest")
    if watch and (not paths or not all(Path(path).is_dir() for path in paths)):
        raise InvalidInputError("--watch needs folders")
    asked = choice("--fail-on", fail_on or ("new" if quiet else "any"), ("new", "any", "none"))
    with without_notices(quiet):
        settings = archive.settings(segments=segments, window=window, hop=hop)
        form = table.form()
        rows = manifest_named(table.manifest, form) if table.manifest else Manifest()
        asked_for = parse_channels(channels) if channels else channels_of(rows)
        options = IngestOptions(
            channels=replace(asked_for, sound_track=track),
            limit=limit,
            dated=choice("--time-from", time_from, ("tags", "file", "none")),
            rescan=rescan,
            retry=retry_failed,
            recut=recut,
            again=again,
        )
        defaults = shared.annotations(form.zone)
        rule = codes.rule()
        annotations = annotations_by_path(rows, rule, defaults)
        if rows.naive_times:
            notice(
                f"{counted(rows.naive_times, 'time')} without zone in {table.manifest}, taken as"
                " UTC; --timezone names another"
            )
        if rows.unlike:
            notice(
                f"rows of one file in {table.manifest} differ in {', '.join(sorted(rows.unlike))},"
                " of which a recording has but one: the last counts"
            )
        if (column := rows.unread_labels) is not None:
            notice(
                f"{table.manifest} gives no label, and its column {column} is metadata;"
                f" --map label={column} makes labels of it"
            )

        begins = paths or table.manifest or retry_failed
        early = NamedFiles(paths, rows, annotations, rule) if begins and not retry_failed else None
        if early is not None and not watch:
            early.require()  # before there is an archive

        def files(library: Library | None) -> NamedFiles:
            if early is not None:
                return early
            failed = [failure.path for failure in library.failures()] if library else []
            return NamedFiles(paths, rows, annotations, rule, failed)

        if dry_run:
            _preview(settings, files, options, as_json)
            return

        def output_of(library: Library) -> Output:
            known = frozenset((one.path, one.reason) for one in library.failures())
            return Output(as_json, quiet, None if asked == "any" else known)

        if claim:
            here = [one for one in (*(paths or ()), table.manifest) if one and "://" not in one]
            given = [paths, table.manifest, *astuple(shared), *astuple(codes), table.columns]
            given += [table.date_format, table.timezone, here and str(Path.cwd())]
            report, output = take_part(
                settings, files if begins else None, options, given, output_of, on, workers
            )
        else:
            with open_library(settings, create=early is not None or bool(paths)) as library:
                named = files(library)
                library.embedder()
                _suggest_precision(library)
                output = output_of(library)
                with interruptible() as stop:
                    watched = None
                    if watch:  # from now on: what arrives during the first ingest is not missed
                        from emotion_search.engine.files.watch import Watch

                        watched = Watch(paths or [], stop=stop, annotations_of=annotations)
                    report = _run(library, named, options, stop, output)
                    if watched is not None and not stop.is_set():
                        notice(f"watching {' '.join(named.named)}; Ctrl-C ends it")
                        _follow(library, watched, rows, options, stop, output)
        if report.stopped:
            say_error("interrupted; what was committed is kept: run the same command to go on")
            raise typer.Exit(130)
        failed = set(report.failed) - (output.known or set())
        if failed and asked != "none":
            raise typer.Exit(1)


def _suggest_precision(library: Library) -> None:
    """Before the first clip: that another precision may be faster, where the processor has it."""
    from emotion_search.engine.embedders.emotion2vec.family import Emotion2vecFamily
    from emotion_search.engine.embedders.registry import family_of

    name, settings = library.embedder().name, library.settings
    if library.model() is not None or not isinstance(family_of(name), Emotion2vecFamily):
        return
    from emotion_search.engine.embedders.device import pick_device
    from emotion_search.engine.embedders.emotion2vec import model

    on_cpu = pick_device(settings.device).type == "cpu"
    if on_cpu and settings.precision == "float32" and model.cpu_has_bfloat16():
        notice(
            "this processor multiplies in bfloat16, which may embed several times as fast; how"
            f" fast and how near it is, says: emotion-search models check {name}"
        )


def _run(
    library: Library,
    files: NamedFiles,
    options: IngestOptions,
    stop: threading.Event,
    output: Output,
) -> IngestReport:
    from emotion_search.engine.commands.patience import ingest_patiently
    from emotion_search.engine.commands.show.progress import IngestProgress

    count = files.count if options.limit is None else None
    with IngestProgress(count, quiet=output.quiet) as progress:
        report = ingest_patiently(library, files, options, progress=progress.update, stop=stop)
    files.report_missing()
    note_lost(report, files.rows)
    library.note_failures(files.scan.found, files.rows)
    report.failed[:0] = [*files.scan.found.unusable, *files.rows.problems]
    print_report(report, progress.elapsed, output)
    return report


def _follow(
    library: Library,
    watched: Watch,
    rows: Manifest,
    options: IngestOptions,
    stop: threading.Event,
    output: Output,
) -> None:
    """Ingest what arrives until somebody stops it."""
    for found in watched:
        began = time.monotonic()
        report = library.ingest(found.files, options, stop=stop)
        known = len(rows.problems)
        note_lost(report, rows)
        library.note_failures(found, rows)
        report.failed[:0] = [*found.unusable, *rows.problems[known:]]
        print_report(report, time.monotonic() - began, output)


def _preview(
    settings: Settings,
    named: Callable[[Library | None], NamedFiles],
    options: IngestOptions,
    as_json: bool,
) -> None:
    from emotion_search.engine.archive.database import database_exists
    from emotion_search.engine.audio.workers import Decoders
    from emotion_search.engine.embedders.registry import load_embedder
    from emotion_search.engine.ingest.dry_run import preview, rate
    from emotion_search.engine.library.library import model_name

    options = options.completed(settings)
    if database_exists(settings):
        with open_library(settings) as library:
            files = named(library)
            found = preview(files, library.database, options, library.decoders)
    else:
        files = named(None)
        with contextlib.closing(Decoders()) as decoders:
            found = preview(files, None, options, decoders)
    files.report_missing()
    found.unusable[:0] = [*files.scan.found.unusable, *files.rows.problems]
    seconds = None
    try:
        speed = rate(load_embedder(model_name(settings), settings)) if found.new else 1.0
        seconds = round(found.duration / speed, 1)
    except EmotionSearchError as error:
        notice(f"no estimate of the time: {error}")
    print_preview(found, files.rows, seconds, as_json)

"""``ingest``: files, folders, manifests, standard input, folders to watch."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from emotion_search.engine.commands.common import (
    DatabaseOption,
    DeviceOption,
    HomeOption,
    JsonOption,
    MetaOption,
    ModelOption,
    interruptible,
    notice,
    say_error,
    settings_of,
)
from emotion_search.engine.commands.ingest_files import NamedFiles, tell_lost
from emotion_search.engine.commands.ingest_options import (
    ChannelsOption,
    DryRunOption,
    HopOption,
    LabelFromOption,
    LabelOption,
    LimitOption,
    ManifestOption,
    PathsArgument,
    RecordedAtOption,
    RecutOption,
    RescanOption,
    RetryOption,
    SegmentsOption,
    SourceOption,
    SpeakerOption,
    TimeFromOption,
    WatchOption,
    WindowOption,
    all_said,
    annotations_of,
)
from emotion_search.engine.commands.show.ingest import print_preview, print_report
from emotion_search.index.errors import EmotionSearchError, InvalidInputError

if TYPE_CHECKING:
    from emotion_search.engine.files.manifest import Manifest
    from emotion_search.engine.files.watch import Watch
    from emotion_search.engine.ingest.report import IngestReport
    from emotion_search.engine.library.library import Library
    from emotion_search.engine.settings import Settings
    from emotion_search.index.database.recordings import Annotations


def ingest(
    paths: PathsArgument = None,
    manifest: ManifestOption = None,
    source: SourceOption = None,
    label: LabelOption = None,
    speaker: SpeakerOption = None,
    recorded_at: RecordedAtOption = None,
    meta: MetaOption = None,
    label_from: LabelFromOption = None,
    channels: ChannelsOption = "mix",
    segments: SegmentsOption = None,
    window: WindowOption = None,
    hop: HopOption = None,
    time_from: TimeFromOption = "tags",
    rescan: RescanOption = False,
    recut: RecutOption = False,
    limit: LimitOption = None,
    dry_run: DryRunOption = False,
    retry_failed: RetryOption = False,
    watch: WatchOption = False,
    home: HomeOption = None,
    database: DatabaseOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add audio files to the archive; running it again embeds nothing twice.

    \b
    emotion-search ingest ~/calls --source support-2026
    emotion-search ingest ~/calls --channels customer=1 --watch
    emotion-search ingest ~/calls --channels split --recut
    emotion-search ingest --manifest corpus/labels.csv --model acoustic
    find /data -name '*.m4a' | emotion-search ingest - --dry-run
    """
    from emotion_search.engine.audio.channels import parse_channels
    from emotion_search.engine.files.manifest import Manifest, read_manifest
    from emotion_search.engine.library.library import Library

    if not paths and manifest is None and not retry_failed:
        raise InvalidInputError("name folders or files to ingest, or a --manifest")
    if watch and (not paths or not all(Path(path).is_dir() for path in paths)):
        raise InvalidInputError("--watch needs folders")
    settings = settings_of(home, database, model, device, segments=segments, window=window, hop=hop)
    if time_from not in ("tags", "file", "none"):
        raise InvalidInputError(f"--time-from {time_from}: choose tags, file or none")
    options: dict[str, Any] = {
        "channels": parse_channels(channels),
        "dated": time_from,
        "rescan": rescan,
        "retry": retry_failed,
        "recut": recut,
    }
    rows = read_manifest(manifest) if manifest else Manifest()
    said = all_said(rows, label_from, annotations_of(source, label, speaker, recorded_at, meta))
    if rows.naive_times:
        notice(f"{rows.naive_times} times in {manifest} have no zone; taken as UTC")

    def files(library: Library | None) -> NamedFiles:
        if not retry_failed:
            return NamedFiles(paths, manifest, rows)
        failures = library.failures() if library is not None else []
        return NamedFiles(paths, manifest, rows, [failure.path for failure in failures])

    if dry_run:
        _preview(settings, files, said, as_json, limit=limit, **options)
        return
    with Library.open(settings, create=True) as library:
        library.embedder()
        named = files(library)
        with interruptible() as stop:
            watched = _watched(library, paths or [], stop) if watch else None
            report = _run(
                library,
                named,
                said,
                limit=limit,
                stop=stop,
                as_json=as_json,
                may_be_none=watch or retry_failed,
                **options,
            )
            if watched is not None and not stop.is_set():
                notice(f"watching {' '.join(named.named)}; Ctrl-C ends it")
                _follow(library, watched, rows, said, stop, as_json, **options)
    if report.stopped:
        say_error("interrupted; what was committed is kept: run the same command to go on")
        raise typer.Exit(130)
    if report.failed:
        raise typer.Exit(1)


def _run(
    library: Library,
    files: NamedFiles,
    said: Callable[[str], Annotations],
    *,
    as_json: bool,
    limit: int | None,
    may_be_none: bool,
    **options: Any,
) -> IngestReport:
    from emotion_search.engine.commands.show.progress import IngestProgress

    with IngestProgress(files.count if limit is None else None) as progress:
        report = library.ingest(files, said=said, progress=progress.update, limit=limit, **options)
    files.tell()
    tell_lost(report, files.rows)
    library.note_failures(files.scan.found, files.rows)
    report.failed[:0] = [*files.scan.found.unusable, *files.rows.problems]
    if not report.files and not report.stopped and not may_be_none:
        raise EmotionSearchError(f"no audio files in {' '.join(files.named)}")
    print_report(report, progress.elapsed, as_json)
    return report


def _watched(library: Library, folders: list[str], stop: threading.Event) -> Watch:
    """What arrives in the folders from now on, during the first ingest too."""
    from emotion_search.engine.files.watch import Watch

    return Watch(folders, quiet=library.settings.watch_quiet, stop=stop)


def _follow(
    library: Library,
    watched: Watch,
    rows: Manifest,
    said: Callable[[str], Annotations],
    stop: threading.Event,
    as_json: bool,
    **options: Any,
) -> None:
    """Ingest what arrives until somebody stops it."""
    import time

    for found in watched:
        began = time.monotonic()
        report = library.ingest(found.files, said=said, stop=stop, **options)
        known = len(rows.problems)
        tell_lost(report, rows)
        library.note_failures(found, rows)
        report.failed[:0] = [*found.unusable, *rows.problems[known:]]
        print_report(report, time.monotonic() - began, as_json)


def _preview(
    settings: Settings,
    named: Callable[[Library | None], NamedFiles],
    said: Callable[[str], Annotations],
    as_json: bool,
    **options: Any,
) -> None:
    from emotion_search.engine.archive.database import database_exists
    from emotion_search.engine.audio.workers import Decoders
    from emotion_search.engine.embedders.registry import load_embedder
    from emotion_search.engine.ingest.dry_run import preview, rate
    from emotion_search.engine.ingest.options import IngestOptions
    from emotion_search.engine.library.library import Library, model_name

    how = IngestOptions(settings.window, settings.hop, settings.segments, **options)
    if database_exists(settings):
        with Library.open(settings) as library:
            files = named(library)
            found = preview(files, library.database, how, said, library.decoders)
    else:
        files = named(None)
        with contextlib.closing(Decoders(settings.decode_timeout)) as decoders:
            found = preview(files, None, how, said, decoders)
    files.tell()
    found.unusable[:0] = [*files.scan.found.unusable, *files.rows.problems]
    seconds = None
    try:
        speed = rate(load_embedder(model_name(settings), settings)) if found.new else 1.0
        seconds = round(found.duration / speed, 1)
    except EmotionSearchError as error:
        notice(f"no estimate of the time: {error}")
    print_preview(found, seconds, as_json)

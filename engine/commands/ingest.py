"""``ingest``: files, folders, manifests, standard input, folders to watch."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.commands.common import (
    DatabaseOption,
    DeviceOption,
    HomeOption,
    JsonOption,
    MetaOption,
    ModelOption,
    interruptible,
    moment,
    notice,
    pairs,
    say_error,
    settings_of,
    stdin_lines,
)
from index.errors import EmotionSearchError, InvalidInputError

if TYPE_CHECKING:
    from engine.ingest import IngestReport
    from engine.library import Library
    from engine.manifest import Manifest
    from engine.settings import Settings
    from index.recordings import Annotations, FileFacts

_SHOWN = 20  # failures that are printed


def ingest(
    paths: Annotated[
        list[str] | None,
        typer.Argument(help="Folders (searched recursively), files, globs; - for stdin."),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(help="CSV, JSON lines or Parquet with a column 'path', relative to it."),
    ] = None,
    source: Annotated[str | None, typer.Option(help="Where the recordings come from.")] = None,
    label: Annotated[str | None, typer.Option(help="Emotion label of all their clips.")] = None,
    speaker: Annotated[str | None, typer.Option(help="Who speaks.")] = None,
    recorded_at: Annotated[str | None, typer.Option(help="When, in ISO 8601.")] = None,
    meta: MetaOption = None,
    label_from: Annotated[
        str | None,
        typer.Option(metavar="parent-folder|REGEX", help="Read labels off the paths."),
    ] = None,
    channels: Annotated[
        str,
        typer.Option(metavar="mix|split|N|NAME=N", help="Which become clips, from 0; commas."),
    ] = "mix",
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
        typer.Option(metavar="tags|file|none", help="What tells when it was, if nobody said."),
    ] = "tags",
    rescan: Annotated[
        bool, typer.Option("--rescan", help="Hash known files too, whatever their size and time.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Take this many new files.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try the files that failed again.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on with what arrives in the folders.")
    ] = False,
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
    emotion-search ingest --manifest corpus/labels.csv --model acoustic
    find /data -name '*.m4a' | emotion-search ingest - --dry-run
    """
    from engine.channels import parse_channels
    from engine.library import Library
    from engine.manifest import Manifest, read_manifest
    from engine.naming import Naming
    from index.recordings import Annotations

    if not paths and manifest is None and not retry_failed:
        raise InvalidInputError("name folders or files to ingest, or a --manifest")
    if watch and (not paths or not all(Path(path).is_dir() for path in paths)):
        raise InvalidInputError("--watch needs folders")
    settings = settings_of(home, database, model, device, segments=segments, window=window, hop=hop)
    tracks = parse_channels(channels)
    if time_from not in ("tags", "file", "none"):
        raise InvalidInputError(f"--time-from {time_from}: choose tags, file or none")
    options = {"channels": tracks, "dated": time_from, "rescan": rescan}
    rows = read_manifest(manifest) if manifest else Manifest()
    defaults = _annotations(source, label, speaker, recorded_at, meta)
    naming = Naming(label_from) if label_from else None
    nothing = Annotations()

    def said(path: str) -> Annotations:
        of_name = naming(path).over(defaults) if naming else defaults
        return rows.rows.get(path, nothing).over(of_name)

    if rows.naive_times:
        notice(f"{rows.naive_times} times in {manifest} have no zone; taken as UTC")
    if dry_run:
        _preview(settings, _Files(paths, manifest, rows, settings, retry_failed), as_json)
        return
    with Library.open(settings, create=True) as library:
        library.embedder()
        files = _Files(paths, manifest, rows, settings, retry_failed, library)
        with interruptible() as stop:
            report = _run(library, files, said, limit=limit, stop=stop, as_json=as_json, **options)
            if watch and not stop.is_set():
                _watch(library, paths or [], said, stop, as_json, **options)
    if report.known and (str(tracks) != "mix" or segments or window or hop):
        notice(f"{report.known} known files keep the clips that they were ingested with")
    if report.stopped:
        say_error("interrupted; what was committed is kept: run the same command to go on")
        raise typer.Exit(130)
    if report.failed:
        raise typer.Exit(1)


class _Files:
    """The files that the arguments mean, found while they are asked for."""

    def __init__(
        self,
        paths: list[str] | None,
        manifest: Path | None,
        rows: Manifest,
        settings: Settings,
        retry_failed: bool,
        library: Library | None = None,
    ) -> None:
        from engine.scan import Scan, printable

        self.manifest, self.rows = manifest, rows
        gone: list[str] = []
        named: list[str] = []
        for path in paths or []:
            for line in stdin_lines() if path == "-" else [path]:
                (gone if path == "-" and not os.path.lexists(line) else named).append(line)
        if retry_failed and library is not None:
            failed = [failure.path for failure in library.failures()]
            named += [path for path in failed if os.path.lexists(path)]
        self.whole = bool(paths)
        if not named:
            named = [path for path in rows.rows if os.path.lexists(path)]
        self.named = paths or [str(manifest or "the failures")]
        self.scan = Scan(named)
        self.scan.found.unusable += [(printable(path), "no such file") for path in gone]
        self.seen: set[str] = set()
        self.total: int | None = None if self.whole else len(named)

    def __iter__(self) -> Iterator[FileFacts]:
        for file in self.scan:
            if file.path in self.rows.rows:
                self.seen.add(file.path)
            yield file

    def tell(self) -> None:
        """What the scan passed over, and rows of the manifest that no file was found for."""
        for extension, number in sorted(self.scan.found.passed_over.items()):
            notice(f"{number} files with extension {extension} passed over: format not supported")
        missing = [path for path in self.rows.rows if path not in self.seen]
        if self.whole and missing:
            notice(f"{len(missing)} rows of {self.manifest} are for files that are not among these")
        for path in missing:
            if not os.path.lexists(path):
                place = f"{self.manifest}: line {self.rows.lines[path]}"
                if not self.whole:
                    self.rows.problems.append((place, f"{path}: no such file"))


def _run(
    library: Library,
    files: _Files,
    said: Callable[[str], Annotations],
    *,
    as_json: bool,
    **options: Any,
) -> IngestReport:
    from engine.progress import IngestProgress

    with IngestProgress(files.total) as progress:
        report = library.ingest(files, said=said, progress=progress.update, **options)
    files.tell()
    library.note_failures(files.scan.found, files.rows)
    report.failed[:0] = [*files.scan.found.unusable, *files.rows.problems]
    if not report.files and not report.stopped:
        raise EmotionSearchError(f"no audio files in {' '.join(files.named)}")
    _print(report, progress.elapsed, as_json)
    return report


def _watch(
    library: Library,
    folders: list[str],
    said: Callable[[str], Annotations],
    stop: threading.Event,
    as_json: bool,
    **options: Any,
) -> None:
    import time

    from engine.watch import arrivals

    notice(f"watching {' '.join(folders)}; Ctrl-C ends it")
    for files in arrivals(folders, quiet=library.settings.watch_quiet, stop=stop):
        began = time.monotonic()
        report = library.ingest(files, said=said, stop=stop, **options)
        _print(report, time.monotonic() - began, as_json)


def _preview(settings: Settings, files: _Files, as_json: bool) -> None:
    from engine.embedders.loader import load_embedder
    from engine.library import Library, model_name
    from engine.preview import preview, rate
    from index.database import Database

    database = Database(settings.database, busy_timeout=settings.busy_timeout)
    there = database.schema_version() is not None
    database.close()
    if there:
        with Library.open(settings) as library:
            found = preview(files, library.database)
    else:
        found = preview(files, None)
    files.tell()
    seconds = None
    try:
        speed = rate(load_embedder(model_name(settings), settings)) if found.new else 1.0
        seconds = round(found.duration / speed, 1)
    except EmotionSearchError as error:
        notice(f"no estimate of the time: {error}")
    record = {
        "files": found.files,
        "known": found.known,
        "new": found.new,
        "bytes": found.size,
        "duration": round(found.duration, 3),
        "untold": found.untold,
        "unusable": len(found.unusable) + len(files.scan.found.unusable),
        "estimated_seconds": seconds,
    }
    if as_json:
        print(json.dumps(record))
    else:
        print(
            f"{found.files} files: {found.known} known, {found.new} new"
            f" ({found.duration / 3600:.2f} h, {found.size / 1e6:.1f} MB),"
            f" {record['unusable']} unusable"
            + ("" if seconds is None else f"; embedding would take about {seconds:.0f} s")
        )
    for path, reason in found.unusable[:_SHOWN]:
        say_error(f"{path}: {reason}")


def _print(report: IngestReport, elapsed: float, as_json: bool) -> None:
    if as_json:
        summary = {
            "recordings": report.recordings,
            "clips": report.clips,
            "known": report.known,
            "duplicates": report.duplicates,
            "failed": len(report.failed),
            "duration": round(report.duration, 3),
            "seconds": round(elapsed, 2),
        }
        print(json.dumps(summary), flush=True)
    else:
        print(
            f"{report.recordings} recordings ({report.clips} clips, {report.duration / 60:.1f} min)"
            f" added in {elapsed:.1f} s; {report.known} known already,"
            f" {report.duplicates} duplicates, {len(report.failed)} failed",
            flush=True,
        )
    for path, reason in report.failed[:_SHOWN]:
        say_error(f"{path}: {reason}")
    if len(report.failed) > _SHOWN:
        more = len(report.failed) - _SHOWN
        say_error(f"… and {more} more; list them with: emotion-search failures")


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
        recorded_at=moment("--recorded-at", recorded_at),
        labels={EMOTION: check_text("--label", label)} if label is not None else {},
        metadata=pairs(meta),
    )

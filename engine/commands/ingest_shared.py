"""``ingest --claim`` and ``--status``: an ingest that many processes and machines share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from emotion_search.engine.commands.common import interruptible, notice, open_library, print_json
from emotion_search.engine.commands.show.ingest import Output, print_report
from emotion_search.engine.commands.words import counted, length

if TYPE_CHECKING:
    from emotion_search.engine.commands.ingest_files import NamedFiles
    from emotion_search.engine.ingest.options import IngestOptions
    from emotion_search.engine.ingest.report import IngestReport
    from emotion_search.engine.library.library import Library
    from emotion_search.engine.settings import Settings
    from emotion_search.index.database.slices import RunStatus


def take_part(
    settings: Settings,
    named: Callable[[Library], NamedFiles] | None,
    options: IngestOptions,
    command: list[Any],
    output_of: Callable[[Library], Output],
    on: str | None = None,
    workers: int | None = None,
) -> tuple[IngestReport, Output]:
    """Take part in an ingest until nothing is left of it; what this process did, which is printed.

    Args:
        named: gives the files; None to help with what others have begun.
        command: what makes the same command the same, as plain data.
        on, workers: where Ray is that places workers, and how many; None for this process alone.
    """
    from emotion_search.engine.commands.show.progress import IngestProgress
    from emotion_search.engine.library.shared_ingest import SharedIngest, Wanted

    options = options.completed(settings)
    key = hashlib.sha256(json.dumps([*command, repr(options)]).encode()).hexdigest()
    with ExitStack() as stack:
        library = stack.enter_context(open_library(settings, create=named is not None))
        library.embedder()
        output = output_of(library)
        stop = stack.enter_context(interruptible())
        progress = stack.enter_context(IngestProgress(None, quiet=output.quiet))
        wanted = files = None
        if named is not None:
            files = named(library)

            def failures() -> None:
                files.report_missing()
                library.note_failures(files.scan.found, files.rows)

            wanted = Wanted(key, " ".join(files.named), lambda: files, options, failures)
        if on is not None and wanted is not None:
            from emotion_search.engine.library.ray_workers import ingest_on_ray

            report = ingest_on_ray(library, wanted, on, workers, progress=progress.count, stop=stop)
        else:
            report = SharedIngest(library, wanted, progress=progress.count, stop=stop).run()
    if files is not None:
        report.failed[:0] = [*files.scan.found.unusable, *files.rows.problems]
    print_report(report, progress.elapsed, output)
    return report, output


def print_status(runs: list[RunStatus], as_json: bool) -> None:
    """How far the ingests that workers share are, a record each."""
    if not runs:
        notice("no work is shared; begin an ingest with: emotion-search ingest FOLDER --claim")
    for run in runs:
        if as_json:
            print_json(asdict(run))
            continue
        of = f"{run.files:,}" if run.listed else f"{run.files:,} so far (listing is not at its end)"
        print(
            f"{run.run}: {run.named}, {'finished' if run.finished else 'under way'}\n"
            f"  files    {run.done:,} of {of} done, {run.failed:,} failed;"
            f" {run.known:,} were known before\n"
            f"  added    {counted(run.recordings, 'recording')}, {counted(run.clips, 'clip')},"
            f" {length(run.seconds)}"
        )
        if not run.finished:
            who = ", ".join(one.rpartition(":")[0] for one in run.workers) or "none: start one"
            print(
                f"  rate     {run.clips_per_second:.1f} clips/s,"
                f" {run.audio_per_second:.1f} s of audio a second\n"
                f"  workers  {len(run.workers)} ({who})"
            )

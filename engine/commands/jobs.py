"""Jobs of the HTTP service, uploads and other work: ``jobs list|show|retry|drop``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from emotion_search.engine.commands.common import (
    ArchiveOptions,
    JsonOption,
    choice,
    notice,
    print_json,
)
from emotion_search.index.errors import InvalidInputError

if TYPE_CHECKING:
    from emotion_search.index.database.jobs import Job

jobs_app = typer.Typer(help="List, retry and drop jobs of the HTTP service.", no_args_is_help=True)

JobId = Annotated[int, typer.Argument(min=1, max=2**63 - 1, help="Id of the job.")]


@jobs_app.command("list")
def list_jobs(
    archive: ArchiveOptions,
    status: Annotated[
        list[str] | None,
        typer.Option(metavar="queued|running|done|failed", help="Only these; repeatable."),
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option(help="Only uploads, or only train, say; repeatable.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List jobs: where each stands, and why it failed or waits.

    \b
    emotion-search jobs list --status failed --kind upload
    """
    from emotion_search.engine.api.wire.jobs import KINDS
    from emotion_search.engine.service.kept import all_jobs
    from emotion_search.index.database.jobs import UPLOAD, JobStatus

    statuses = [choice("--status", one, JobStatus) for one in status or ()]
    kinds = [choice("--kind", one, KINDS) for one in kind or ()]
    with archive.open() as library:
        found = list(all_jobs(library, statuses, kinds))
        if not found:
            notice("no job waits, works or is kept")
        for job in found:
            if as_json:
                print_json(_record(job))
            else:
                why = f": {job.problem['detail']}" if job.problem else ""
                kept = ", kept" if job.is_kept else ""
                name = f" {job.name}" if job.kind == UPLOAD else ""
                print(f"{job.id:>6}  {job.status}{kept}  {job.kind}{name}{why}")


@jobs_app.command()
def show(archive: ArchiveOptions, job: JobId, as_json: JsonOption = False) -> None:
    """Show one job.

    \b
    emotion-search jobs show 17
    """
    from emotion_search.engine.service.kept import one_job

    with archive.open() as library:
        record = _record(one_job(library, job))
    if as_json:
        print_json(record)
        return
    for name, value in record.items():
        if value is not None:
            print(f"{name:<13}{value['detail'] if name == 'problem' else value}")


@jobs_app.command()
def retry(
    archive: ArchiveOptions,
    jobs: Annotated[
        list[int] | None, typer.Argument(min=1, max=2**63 - 1, help="Ids of jobs.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that are kept.")] = False,
) -> None:
    """Try failed jobs again.

    Those that failed through no fault of the file or request. The server of the home begins them
    within a minute, or when it starts.

    \b
    emotion-search jobs retry 17
    emotion-search jobs retry --all
    """
    from emotion_search.engine.service.kept import retry as retry_jobs

    if bool(jobs) == everything:
        raise InvalidInputError("give ids of jobs, or --all")
    with archive.open() as library:
        print(f"{len(retry_jobs(library, jobs))} queued")


@jobs_app.command()
def drop(
    archive: ArchiveOptions,
    jobs: Annotated[list[int], typer.Argument(min=1, max=2**63 - 1, help="Ids of jobs.")],
) -> None:
    """Give jobs up, and erase uploads not taken in.

    \b
    emotion-search jobs drop 17
    """
    from emotion_search.engine.service.kept import drop as drop_job

    with archive.open() as library:
        for one in jobs:
            print(f"job {one} dropped ({drop_job(library, one).name})")


def _record(job: Job) -> dict[str, Any]:
    times = {name: getattr(job, name) for name in ("created_at", "started_at", "finished_at")}
    return {
        "job": job.id,
        "kind": job.kind,
        "status": job.status.value,
        "file": job.name,
        "size": job.size,
        "attempts": job.attempts,
        "upload_kept": job.is_kept or not job.finished,
        "recording": job.recording_id,
        "problem": job.problem,
        **{name: time and time.isoformat() for name, time in times.items()},
    }

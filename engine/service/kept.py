"""Jobs without their server: list, retry and drop uploads, whether or not a server runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from emotion_search.engine.library.library import Library
from emotion_search.engine.library.sessions import reads
from emotion_search.engine.service.bucket_spool import incoming_of
from emotion_search.index.database import jobs as rows
from emotion_search.index.database.jobs import Job, JobStatus
from emotion_search.index.errors import BusyError

_PAGE = 500


def all_jobs(
    library: Library, statuses: Sequence[str] = (), kinds: Sequence[str] = ()
) -> Iterator[Job]:
    """The jobs of these statuses and kinds (none means any), latest first."""
    before: int | None = None
    while True:
        with library.database.read() as session:
            page = rows.list_jobs(
                session, statuses=statuses, kinds=kinds, limit=_PAGE, before_id=before
            )
        yield from page
        if len(page) < _PAGE:
            return
        before = page[-1].id


one_job = reads(rows.get_job)
"""One job, by its id; ``NotFoundError`` where there is none, or it is no longer kept."""


def retry(library: Library, ids: Sequence[int] | None) -> list[int]:
    """Queue failed jobs anew whose uploads are kept, all of them for None; returns their ids. A
    server of their home, or bucket, begins them within a minute, or when it starts.

    Raises:
        NotFoundError: no such job.
        InvalidInputError: its upload is not kept, or it has not failed.
    """
    if ids is None:
        failed = all_jobs(library, [JobStatus.FAILED])
        ids = sorted(job.id for job in failed if job.is_kept)
    with library.database.write() as session:
        return [rows.retry_job(session, job_id).id for job_id in ids]


def drop(library: Library, job_id: int) -> Job:
    """Remove a job and, where this home, or its bucket, stores it, its upload; returns what it was.

    Raises:
        NotFoundError: no such job.
        BusyError: a server has it in hand.
    """
    job = one_job(library, job_id)
    here = job.place == library.uploads.place()
    hold = incoming_of(library).take(job.stored) if here else None
    if here and hold is None:
        raise BusyError(f"job {job_id} is in hand of a server; stop that first")
    try:
        with library.database.write() as session:
            rows.remove_job(session, job_id)
    except BaseException:
        if hold is not None:
            hold.release()
        raise
    if hold is not None:
        hold.drop()
    return job

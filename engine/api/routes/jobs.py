"""Jobs: uploads on their way into the archive."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from emotion_search.engine.api.http.access import Reader, Writer
from emotion_search.engine.api.http.deps import JobsDep, in_thread
from emotion_search.engine.api.http.openapi import answers
from emotion_search.engine.api.http.problems import body
from emotion_search.engine.api.http.sse import BEAT, BEAT_S, event, events_of, stream
from emotion_search.engine.api.wire.filters import MOST_LISTED
from emotion_search.engine.api.wire.jobs import JobOut, JobPage, JobState, Progress
from emotion_search.engine.api.wire.problems import Problem
from emotion_search.engine.service.jobs import Jobs, TooBusyError
from emotion_search.engine.service.work import NOTICES
from emotion_search.index.database.jobs import Job, JobStatus
from emotion_search.index.errors import NotFoundError

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

JobId = Annotated[int, Path(ge=1, lt=2**63, description="Id of the job.")]
_LOOK_S = 0.2  # between looks at a job that somebody follows
_ELSEWHERE_S = 1.0  # the same, where another server works on it: that is a look in the database
_MOST_FOLLOWERS = 200


class JobQuery(BaseModel):
    """Parameters of a list of jobs."""

    model_config = ConfigDict(extra="forbid")

    status: list[JobState] = Field(default=[], description="Any of these.")
    limit: int = Field(default=100, ge=1, le=MOST_LISTED, description="Most jobs of the page.")
    cursor: int | None = Field(
        default=None, ge=1, lt=2**63, description="`next` of the page before."
    )


def job_out(job: Job) -> JobOut:
    """A job as the API's answer."""
    done, of = job.status == JobStatus.DONE, job.total
    fraction = 1.0 if done else min(1.0, job.seconds / of) if of else None
    return JobOut(
        job=job.id,
        status=job.status.value,
        file=job.name,
        size=job.size,
        progress=Progress(seconds=job.seconds, of=of, fraction=fraction),
        recording=job.recording_id,
        new=job.is_new,
        notices=job.fields.get(NOTICES, []) if job.finished else [],
        problem=Problem.model_validate(body(**job.problem)) if job.problem else None,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
    )


@router.get("", summary="List jobs")
def jobs(jobs: JobsDep, query: Annotated[JobQuery, Query()], _: Reader) -> JobPage:
    """Jobs, latest first, a page at a time; finished ones are kept for seven days, those that
    failed through no fault of the file's until they are retried or dropped."""
    found = jobs.page(query.status, limit=query.limit + 1, before_id=query.cursor)
    page = found[: query.limit]
    return JobPage(
        data=[job_out(job) for job in page],
        next=page[-1].id if len(found) > len(page) else None,
    )


@router.get("/{job}", summary="Read a job")
def job(jobs: JobsDep, job: JobId, _: Reader) -> JobOut:
    """A job as it stands: its progress, and once done its recording, or its problem."""
    return job_out(jobs.board.get(job))


@router.post("/{job}/retry", status_code=202, summary="Retry a job", responses=answers(409))
def retry(jobs: JobsDep, job: JobId, _: Writer) -> JobOut:
    """Takes up a job anew that failed through no fault of its file's (its problem is of status
    500 or more): its upload was kept."""
    return job_out(jobs.retry(job))


@router.get(
    "/{job}/events",
    summary="Follow a job",
    response_class=StreamingResponse,
    responses={
        **events_of(
            "Each `job` event has the job as JSON, as `/v1/jobs/{job}` gives it; the first comes at"
            " once, the last once it is finished. An event `gone` means that its recording was"
            " erased, `bye` that the server ends: follow it again.",
            "job",
            "gone",
            "bye",
        ),
        **answers(429),
    },
)
async def events(request: Request, jobs: JobsDep, job: JobId, _: Reader) -> StreamingResponse:
    """Server-sent events: the job each time that it changes, until it is finished."""
    await in_thread(jobs.board.get, job)  # a 404 is still possible here
    if jobs.followers >= _MOST_FOLLOWERS:
        raise TooBusyError("too many follow jobs at once; read the job now and then instead")
    return stream(_events(jobs, job, once=request.scope.get("is_head", False)))


async def _events(jobs: Jobs, job_id: int, *, once: bool) -> AsyncIterator[str]:
    jobs.followers += 1
    try:
        sent, quiet = "", 0.0
        while True:
            job = jobs.board.live(job_id)
            pause = _LOOK_S
            if job is None:
                pause = _ELSEWHERE_S
                try:
                    job = await in_thread(jobs.board.get, job_id)
                except NotFoundError:
                    yield event("gone", json.dumps({"job": job_id}))
                    return
            now = job_out(job).model_dump_json()
            if now != sent:
                yield event("job", now)
                sent, quiet = now, 0.0
            if job.finished or once:
                return
            if jobs.stopping:
                yield event("bye", json.dumps({"job": job_id}))
                return
            if quiet >= BEAT_S:
                yield BEAT
                quiet = 0.0
            await asyncio.sleep(pause)
            quiet += pause
    finally:
        jobs.followers -= 1

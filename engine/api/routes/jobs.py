"""Jobs: uploads on their way into the archive."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from emotion_search.engine.api.http.access import Reader, Writer
from emotion_search.engine.api.http.bodies import Asked, json_body
from emotion_search.engine.api.http.deps import GatesDep, JobsDep, in_thread
from emotion_search.engine.api.http.openapi import answers, headers, json_or_form
from emotion_search.engine.api.http.problems import body
from emotion_search.engine.api.http.sse import BEAT, BEAT_S, event, events_of, stream
from emotion_search.engine.api.wire.filters import MOST_LISTED, page_of
from emotion_search.engine.api.wire.jobs import JobKind, JobOut, JobPage, JobState, Progress
from emotion_search.engine.api.wire.learn import ClusterIn, WorkIn
from emotion_search.engine.api.wire.problems import Problem
from emotion_search.engine.service.jobs import Jobs, TooBusyError, Upload
from emotion_search.engine.service.keys import Scope
from emotion_search.engine.service.work import NOTICES, RESULT, STEP, Work
from emotion_search.index.database.clusterings import require_free
from emotion_search.index.database.jobs import Job, JobStatus
from emotion_search.index.errors import NotFoundError

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

JobId = Annotated[int, Path(ge=1, lt=2**63, description="Id of the job.")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[\x21-\x7e]{1,200}$",
        description="Any text of your own: sent again with the same file and fields within seven"
        " days, the upload is done once, and answered as the first time, with the header"
        " `Idempotent-Replayed`. With another file, file name or field it is a 422"
        " `idempotency-key-reused`. A failure of the server's own frees the key.",
    ),
]
_POLL_S = 0.2  # between reads of a job that somebody follows
_ELSEWHERE_S = 1.0  # the same, where another server works on it: of the database
_MOST_FOLLOWERS = 200


class JobQuery(Asked):
    """Parameters of a list of jobs."""

    status: list[JobState] = Field(default=[], description="Any of these.")
    kind: list[JobKind] = Field(default=[], description="Any of these.")
    limit: int = Field(default=100, ge=1, le=MOST_LISTED, description="Most jobs of the page.")
    cursor: int | None = Field(
        default=None, ge=1, lt=2**63, description="`next` of the page before."
    )


def job_out(job: Job) -> JobOut:
    """A job as the API's answer."""
    done, of, fields = job.status == JobStatus.DONE, job.total, job.fields
    fraction = 1.0 if done else min(1.0, job.seconds / of) if of else None
    return JobOut(
        job=job.id,
        kind=job.kind,
        status=job.status.value,
        file=job.name,
        size=job.size,
        progress=Progress(step=fields.get(STEP), seconds=job.seconds, of=of, fraction=fraction),
        recording=job.recording_id,
        new=job.is_new,
        notices=job.fields.get(NOTICES, []) if job.finished else [],
        result=fields.get(RESULT),
        problem=Problem.model_validate(body(**job.problem)) if job.problem else None,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
    )


@router.get("", summary="List jobs")
def jobs(jobs: JobsDep, query: Annotated[JobQuery, Query()], _: Reader) -> JobPage:
    """Jobs, latest first, a page at a time; finished ones are kept for seven days, those that
    failed through no fault of the file's until they are retried or dropped."""
    found = jobs.page(query.status, query.kind, limit=query.limit + 1, before_id=query.cursor)
    page, following = page_of(found, query.limit)
    return JobPage(data=[job_out(job) for job in page], next=following)


@router.post(
    "",
    status_code=202,
    summary="Evaluate, train, cluster, tune or reembed",
    openapi_extra={"requestBody": json_or_form(WorkIn)},
    responses={202: {"headers": headers("Location", "Idempotent-Replayed")}, **answers(409, 429)},
)
async def work(
    request: Request,
    response: Response,
    jobs: JobsDep,
    gates: GatesDep,
    caller: Writer,
    idempotency_key: IdempotencyKey = None,
) -> JobOut:
    """Begins work that takes minutes, in a process of its own and one at a time; follow the job
    for its progress. What it finds is its `result`, and where it is kept in the archive also
    there. The server's end interrupts it, and the next start begins it anew. Asked for while the
    same is unfinished, it is that job."""
    asked = (await json_body(request, WorkIn)).root
    if asked.kind in ("tune", "reembed"):
        caller.require(Scope.ADMIN)
    check = None
    if isinstance(asked, ClusterIn) and not asked.replace:
        check = partial(require_free, name=asked.name)
    plain = asked.model_dump(mode="json")
    upload = Upload(
        content=io.BytesIO(json.dumps(plain, sort_keys=True).encode()),
        name=asked.kind,
        fields=Work(plain),
        owner=caller.owner,
        idempotency_key=idempotency_key,
    )
    job, replayed = await gates.uploads.run(jobs.submit, upload, check)
    response.headers["location"] = f"{request.scope.get('root_path', '')}/v1/jobs/{job.id}"
    if replayed:
        response.headers["idempotent-replayed"] = "true"
    return job_out(job)


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
            pause = _POLL_S
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

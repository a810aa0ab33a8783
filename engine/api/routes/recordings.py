"""Recordings: upload, list, read, play, erase."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from emotion_search.engine.api.http import problems
from emotion_search.engine.api.http.access import Admin, Caller, Reader, Writer
from emotion_search.engine.api.http.bodies import display_name, form_body
from emotion_search.engine.api.http.deps import Gates, GatesDep, JobsDep, LibraryDep, in_thread
from emotion_search.engine.api.http.etags import IfNoneMatch, is_known, unchanged
from emotion_search.engine.api.http.openapi import headers, json_or_form
from emotion_search.engine.api.http.ranges import AUDIO, IfRange, Range, ranged
from emotion_search.engine.api.routes.jobs import IdempotencyKey, job_out
from emotion_search.engine.api.wire import recordings as wire
from emotion_search.engine.api.wire.annotations import UploadRecording
from emotion_search.engine.api.wire.clips import ClipPage, clip_out
from emotion_search.engine.api.wire.filters import Paging, RecordingQuery, page_of
from emotion_search.engine.api.wire.jobs import JobOut
from emotion_search.engine.archive.playback import span_of_recording
from emotion_search.engine.audio.samples import wav
from emotion_search.engine.library.library import Library
from emotion_search.engine.service.jobs import Jobs, Upload
from emotion_search.index.database.jobs import Job, JobStatus

router = APIRouter(prefix="/v1/recordings", tags=["recordings"])

RecordingId = Annotated[int, Path(ge=1, lt=2**63, description="Id of the recording.")]
_PREFERS_WAIT = re.compile(r"(?:^|[,;]\s*)wait(?:\s*=\s*(\d{1,4}))?\s*(?:$|[,;])")
_LONGEST_WAIT_S = 600.0
_CLIPS_SHOWN = 500


@router.post(
    "",
    status_code=202,
    summary="Take in a recording",
    response_model=JobOut,
    openapi_extra={"requestBody": json_or_form(form=UploadRecording)},
    responses={
        200: {
            "model": wire.TakenIn,
            "description": "With `wait`: its bytes were known already.",
            "headers": headers("Location", "Idempotent-Replayed"),
        },
        201: {
            "model": wire.TakenIn,
            "description": "With `wait`: taken in.",
            "headers": headers("Location", "Idempotent-Replayed"),
        },
        202: {
            "description": "Stored; the job goes on in the background, also over a restart.",
            "headers": headers("Location", "Idempotent-Replayed"),
        },
    },
)
async def add_recording(
    request: Request,
    jobs: JobsDep,
    gates: GatesDep,
    library: LibraryDep,
    caller: Writer,
    idempotency_key: IdempotencyKey = None,
    wait: Annotated[bool, Query(description="Answer when it is taken in, and not before.")] = False,
    prefer: Annotated[
        str | None,
        Header(max_length=200, description="`wait` as above; `wait=20` waits 20 seconds at most."),
    ] = None,
) -> Response:
    """Stores an uploaded audio file, embeds and indexes it in the background; searches find it
    once its job is done.

    A recording longer than the archive's window becomes a clip for each stretch of speech, and is
    refused if it has none; a shorter one is one clip as it is. Bytes that the archive has already
    are one recording: annotations are added, or replace those of before; its clips stay.
    With `wait` the answer is the recording (or the problem that there is with it); if it takes
    longer than ten minutes, or than asked for, it is the job as without.
    """
    jobs.refuse_if_full(caller.owner)
    gates.uploads.refuse_if_full()
    patience = _patience(wait, prefer)
    async with gates.arriving.entered():
        job, is_replay = await _submitted(request, jobs, gates, caller, idempotency_key)
    replayed = {"idempotent-replayed": "true"} if is_replay else {}
    below = request.scope.get("root_path", "")
    if patience:
        job = await _awaited(jobs, job, patience)
    if not patience or not job.finished:
        return _answer(job_out(job), 202, {**replayed, "location": f"{below}/v1/jobs/{job.id}"})
    if job.status == JobStatus.FAILED:
        assert job.problem is not None
        return problems.problem(**job.problem, headers=replayed)
    answer = await gates.queries.run(_taken_in, library, job)
    location = f"{below}/v1/recordings/{job.recording_id}"
    return _answer(answer, 201 if answer.new else 200, {**replayed, "location": location})


async def _submitted(
    request: Request, jobs: Jobs, gates: Gates, caller: Caller, key: str | None
) -> tuple[Job, bool]:
    """The upload's job, and whether its key was sent before."""
    async with form_body(request, UploadRecording) as form:
        upload = Upload(
            content=form.file.file,
            name=display_name(form.file),
            fields=form.upload_fields(),
            owner=caller.owner,
            idempotency_key=key,
        )
        return await gates.uploads.run(jobs.submit, upload)


async def _awaited(jobs: Jobs, job: Job, patience: float) -> Job:
    """The job once it is finished, or as it stands when patience ends."""
    outcome = jobs.outcome(job.id)
    if outcome is None:
        return job if job.finished else await asyncio.to_thread(jobs.board.get, job.id)
    waiting = asyncio.wrap_future(outcome)
    done, _ = await asyncio.wait([waiting], timeout=patience)
    if done and not waiting.cancelled():
        return waiting.result()
    return job


def _patience(wait: bool, prefer: str | None) -> float:
    """Seconds to wait for the job."""
    found = _PREFERS_WAIT.search((prefer or "").lower())
    if found is None:
        return _LONGEST_WAIT_S if wait else 0.0
    return min(float(found[1]), _LONGEST_WAIT_S) if found[1] else _LONGEST_WAIT_S


def _taken_in(library: Library, job: Job) -> wire.TakenIn:
    assert job.recording_id is not None
    clips = library.clip_page(job.recording_id, limit=_CLIPS_SHOWN)
    return wire.TakenIn(
        recording=job.recording_id,
        new=bool(job.is_new),
        clips=[clip_out(clip) for clip in clips],
        job=job.id,
        notices=job_out(job).notices,
    )


def _answer(answer: Any, status: int, headers: dict[str, str]) -> JSONResponse:
    return JSONResponse(answer.model_dump(mode="json"), status, headers=headers)


@router.get("", summary="List recordings")
def recordings(
    library: LibraryDep, query: Annotated[RecordingQuery, Query()], _: Reader
) -> wire.RecordingPage:
    """Recordings of which some clip passes the filters, a page at a time. In another order than
    that of ids, a recording that comes or goes meanwhile moves the pages after it."""
    by_id = query.sort == "id"
    place = {"after_id": query.cursor} if by_id else {"skip": query.cursor}
    found, total = library.find_recordings(
        query.wanted(), text=query.file, order=query.sort, limit=query.limit + 1, **place
    )
    page, following = page_of(found, query.limit)
    if following is not None and not by_id:
        following = query.cursor + len(page)
    return wire.RecordingPage(
        data=[wire.recording_out(one) for one in page], next=following, total=total
    )


@router.get("/{recording}", summary="Read a recording")
def recording(library: LibraryDep, recording: RecordingId, _: Reader) -> wire.RecordingOut:
    """One recording, with counts of its clips and labels."""
    return wire.recording_out(library.recording(recording))


@router.get("/{recording}/clips", summary="List a recording's clips")
def clips(
    library: LibraryDep, recording: RecordingId, query: Annotated[Paging, Query()], _: Reader
) -> ClipPage:
    """Its clips by ascending id, a page at a time."""
    found = library.clip_page(recording, limit=query.limit + 1, after_id=query.cursor)
    page, following = page_of(found, query.limit)
    return ClipPage(data=[clip_out(clip) for clip in page], next=following)


@router.get(
    "/{recording}/audio", summary="Play a recording", response_class=Response, responses=AUDIO
)
async def audio(
    library: LibraryDep,
    gates: GatesDep,
    recording: RecordingId,
    _: Reader,
    start: Annotated[float, Query(ge=0, lt=1e9, description="Seconds.")] = 0.0,
    end: Annotated[float | None, Query(ge=0, lt=1e9, description="Seconds.")] = None,
    channel: Annotated[
        int | None, Query(ge=0, lt=64, description="Counted from 0; else all are mixed.")
    ] = None,
    if_none_match: IfNoneMatch = None,
    range_: Range = None,
    if_range: IfRange = None,
) -> Response:
    """A stretch of up to ten minutes as 16-bit WAV at its own sample rate; a shorter recording
    needs neither `start` nor `end`. One HTTP range is served."""
    sha256 = (await in_thread(library.recording, recording)).sha256
    etag = f'"{sha256[:32]}-{start:g}-{end}-{channel}"'
    if is_known(if_none_match, etag):
        return unchanged(etag)
    samples, rate = await gates.pictures.run(
        span_of_recording, library, recording, start=start, end=end, channel=channel
    )
    return ranged(wav(samples, rate), range_, if_range, etag=etag)


@router.delete("/{recording}", summary="Erase a recording")
def erase(library: LibraryDep, recording: RecordingId, _: Admin) -> wire.Erased:
    """Erases rows, embeddings, labels, index entries and jobs, and the bytes if they were
    uploaded; a file that was ingested from a folder stays where it is."""
    clips = library.recording(recording).clips
    library.forget(recording)
    return wire.Erased(recording=recording, clips=clips)

"""The work on one job: its upload becomes a recording, or the job fails with a problem."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from emotion_search.engine.files.objects import is_gone
from emotion_search.engine.ingest.report import IngestReport
from emotion_search.engine.library.library import Library
from emotion_search.engine.service.alone import (
    BEGUN,
    ProcessDiedError,
    Progress,
    StoppedError,
    do_alone,
)
from emotion_search.engine.service.board import JobBoard, Step
from emotion_search.engine.service.uploads import InterruptedUploadError, UploadFields, take_in
from emotion_search.index.database.jobs import WORK, Job, JobStatus, LostJobError
from emotion_search.index.errors import (
    DatabaseError,
    EmotionSearchError,
    ModelMismatchError,
    ModelUnavailableError,
    NotFoundError,
    StorageError,
    StorageFullError,
)

log = logging.getLogger(__name__)

_SUSPECT = 2  # times that a job was begun and the process ended, after which it gets its own
_MOST_DEATHS = 3  # of processes of its own; a server that is killed is no fault of the file's
_PASSING = (
    DatabaseError,
    StorageError,
    StorageFullError,
    ModelUnavailableError,
    ModelMismatchError,
)
"""What a job waits for the end of."""
_NOTED_EVERY_S = 1.0  # progress in the database

SHA256 = "sha256"
"""Key of the upload's hash beside its fields, as a job has them; computed as the bytes arrived."""

NOTICES = "notices"
"""Key of what whoever sent an upload should know, in its fields once it is taken in."""

RESULT, STEP = "result", "step"
"""Keys of what came of a job that is no upload, and of what it does now."""

Learn = Callable[[Library, dict[str, Any], Callable[[Step], None]], dict[str, Any]]
"""Does what a job asks for that is no upload; plain data in and out."""
Explain = Callable[[Exception], dict[str, Any]]
"""Makes a problem (``status``, ``kind``, ``detail``) of what went wrong."""


class UploadGoneError(EmotionSearchError):
    """The bytes of an upload are gone."""


class QuarantinedError(EmotionSearchError):
    """An upload that ends every process that takes it in; its bytes are kept."""


@dataclass(frozen=True)
class Work:
    """What a job asks for that is no upload, in plain data."""

    asked: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """As the fields of a job."""
        return {WORK: self.asked}


class JobWork:
    """Works on jobs, on whichever threads ask for it.

    Args:
        explain: makes the problem that a failed job shows.
        learn: does what jobs ask for that are no uploads.
        longest: seconds of the longest recording.
        stop: once set, what is in hand is interrupted.
        ending: once set, that is done with what is learned, which goes on at the next start.
    """

    def __init__(
        self,
        library: Library,
        board: JobBoard,
        *,
        explain: Explain,
        learn: Learn,
        longest: float,
        stop: threading.Event,
        ending: threading.Event,
    ) -> None:
        self._library = library
        self._board = board
        self._explain = explain
        self._longest = longest
        self._stop, self._ending = stop, ending
        self._learn = learn

    def do(self, job: Job) -> tuple[Job, bool]:
        """The job after work on it, and whether it is over: else its upload is still needed."""
        try:
            return (self._learned if WORK in job.fields else self._taken_in)(job), True
        except NotFoundError as error:
            if WORK in job.fields:
                return self._failed(job, error)
            # Its recording was forgotten meanwhile, and it with it.
            log.info("job %d is gone", job.id)
            return job, True
        except LostJobError as error:
            log.warning("%s", error)
            return job, False
        except (InterruptedUploadError, StoppedError):
            return self._put_off(job), False
        except _PASSING as error:
            log.warning("job %d is put off: %s", job.id, error)
            return self._put_off(job, self._explain(error)), False
        except Exception as error:  # noqa: BLE001 - becomes the problem of the job
            return self._failed(job, error)

    def _taken_in(self, job: Job) -> Job:
        path = self._library.uploads.incoming(job.stored)
        if is_gone(path):
            raise UploadGoneError(f"the upload of {job.name} is no longer there; send it again")
        if self._stop.is_set():
            raise InterruptedUploadError(f"{job.name} waits for the next start")
        if (unloadable := self._library.model_problem) is not None:
            raise unloadable
        running = self._begun(job)
        last: list[IngestReport] = []
        how: dict[str, Any] = {
            "name": job.name,
            "fields": UploadFields.from_json(job.fields),
            "sha256": job.fields.get(SHA256),  # absent from jobs of older versions
            "longest": self._longest,
            "progress": self._progress_of(running, last),
            "stop": self._stop,
        }
        if job.attempts < _SUSPECT:
            recording, is_new = take_in(self._library, path, **how)
        else:
            recording, is_new = self._taken_in_alone(path, how)
        latest = self._board.live(job.id) or running
        return self._board.note(
            job.id,
            status=JobStatus.DONE,
            recording_id=recording,
            is_new=is_new,
            seconds=latest.total or latest.seconds,
            total=latest.total,
            # Annotations are with the recording alone, with which they can be erased.
            fields={NOTICES: last[0].texts} if last and last[0].texts else {},
            finished_at=datetime.now(UTC),
        )

    def _begun(self, job: Job) -> Job:
        return self._board.note(
            job.id,
            status=JobStatus.RUNNING,
            started_at=datetime.now(UTC),
            attempts=job.attempts + 1,
            problem=None,
        )

    def _learned(self, job: Job) -> Job:
        running = self._begun(job)
        latest = Step("starting")

        def note(step: Step) -> None:
            nonlocal latest
            latest = step
            fields = {**job.fields, STEP: step.about}
            self._board.show(replace(running, seconds=step.done, total=step.of, fields=fields))

        note(latest)
        result = do_alone(
            self._library.settings,
            partial(_learn, self._learn, job.fields[WORK]),
            progress=note,
            stop=self._ending,
            patience=0.0,
        )
        return self._board.note(
            job.id,
            status=JobStatus.DONE,
            fields={WORK: job.fields[WORK], RESULT: result},
            seconds=latest.done,
            total=latest.of,
            finished_at=datetime.now(UTC),
        )

    def _taken_in_alone(self, path: str, how: dict[str, Any]) -> tuple[int, bool]:
        """Take in what was begun when the process ended, more than once: by its own fault or by
        chance."""
        progress, stop = how.pop("progress"), how.pop("stop")
        work = partial(_take_in, path, how)
        for _ in range(_MOST_DEATHS):
            try:
                return do_alone(self._library.settings, work, progress=progress, stop=stop)
            except ProcessDiedError as error:
                log.warning("%s: %s", how["name"], error)
        raise QuarantinedError(
            f"{how['name']} ended {_MOST_DEATHS} processes that took it in; its bytes are kept:"
            " emotion-search jobs retry, or jobs drop"
        )

    def _progress_of(
        self, running: Job, last: list[IngestReport]
    ) -> Callable[[IngestReport], None]:
        """Notes how far a job is, and the report of it in ``last``."""
        noted = time.monotonic()

        def progress(report: IngestReport) -> None:
            nonlocal noted
            last[:] = [report]
            self._board.show(replace(running, seconds=report.reached, total=report.expected))
            if time.monotonic() - noted > _NOTED_EVERY_S:
                noted = time.monotonic()
                try:
                    self._board.note(running.id, seconds=report.reached, total=report.expected)
                except DatabaseError as error:  # no reason to give up the work itself
                    log.warning("job %d: %s", running.id, error)

        return progress

    def _put_off(self, job: Job, problem: dict[str, Any] | None = None) -> Job:
        """As it was before it was begun: what interrupted it was no fault of its own."""
        waiting: dict[str, Any] = {
            "status": JobStatus.QUEUED,
            "attempts": job.attempts,
            "started_at": None,
            "problem": problem,
        }
        try:
            return self._board.note(job.id, **waiting)
        except EmotionSearchError as error:
            log.warning("job %d: %s", job.id, error)
            return replace(job, **waiting)

    def _failed(self, job: Job, error: Exception) -> tuple[Job, bool]:
        if not isinstance(error, EmotionSearchError):
            log.error("job %d failed", job.id, exc_info=error)
        problem = self._explain(error)
        ended: dict[str, Any] = {
            "status": JobStatus.FAILED,
            "problem": problem,
            "finished_at": datetime.now(UTC),
        }
        # What came with it is needed where it may be tried again, and shown where it was no upload.
        if problem["status"] < 500 and WORK not in job.fields:
            ended["fields"] = {}
        try:
            failed = self._board.note(job.id, **ended)
            return failed, not failed.is_kept
        except NotFoundError:
            return replace(job, **ended), True
        except EmotionSearchError as other:  # nobody would ever know: it is tried again
            log.warning("job %d: %s", job.id, other)
            return job, False


def _take_in(
    file: str, how: dict[str, Any], library: Library, progress: Progress, stop: threading.Event
) -> tuple[int, bool]:
    library.embedder()
    progress(BEGUN)
    return take_in(library, file, progress=progress, stop=stop, **how)


def _learn(
    learn: Learn, asked: dict[str, Any], library: Library, progress: Progress, _: threading.Event
) -> dict[str, Any]:
    progress(BEGUN)
    return learn(library, asked, progress)

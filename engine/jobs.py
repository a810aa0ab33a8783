"""Uploads that become recordings in the background, and go on after a restart."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from engine.ingest_report import IngestReport
from engine.library import Library
from engine.storage import space_needed
from engine.uploads import InterruptedUploadError, take_in
from index.errors import EmotionSearchError, InvalidInputError, NotFoundError
from index.jobs import (
    Job,
    JobStatus,
    NewJob,
    add_job,
    find_job,
    get_job,
    release_key,
    remove_old_jobs,
    set_job,
    stored_uploads,
    unfinished_jobs,
)
from index.recordings import Annotations

log = logging.getLogger(__name__)

KEPT = timedelta(days=7)
"""How long finished jobs, and with them idempotency keys, are remembered."""

_MOST_ATTEMPTS = 3  # a file that kills the process is not tried for ever
_NOTED_EVERY_S = 1.0  # progress in the database
_ABANDONED_S = 3600.0  # after which a stored upload that no job knows is rubbish

Explain = Callable[[Exception], dict[str, Any]]
"""Makes a problem (``status``, ``kind``, ``detail``) of what went wrong."""


class TooBusyError(EmotionSearchError):
    """So much work waits already that more is refused; try again later."""


class EndingError(EmotionSearchError):
    """The server is about to end; ask again once it, or another, is there."""


class KeyReusedError(EmotionSearchError):
    """An idempotency key was sent before, with something else."""


@dataclass(frozen=True)
class Upload:
    """An upload as it is submitted.

    Attributes:
        content: what is read to its end.
        name: what the sender called it.
        owner, idempotency_key: who sent it, and the key under which it is done only once.
    """

    content: BinaryIO
    name: str
    said: Annotations
    owner: str = ""
    idempotency_key: str | None = None


class Jobs:
    """The jobs of an archive; ``start`` takes up those that an earlier process left.

    Safe for use from several threads.

    Args:
        explain: how errors are told to the one who asks for a job.
        at_once: how many run at the same time.
        most: how many may be unfinished here before more are refused.
        longest: seconds of the longest recording.

    Attributes:
        followers: how many follow jobs, for those who count them.
    """

    def __init__(
        self, library: Library, *, explain: Explain, at_once: int, most: int, longest: float
    ) -> None:
        self._library = library
        self._database = library.database
        self._folder = library.settings.uploads_folder / "incoming"
        self._explain = explain
        self._most = most
        self._longest = longest
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="job")
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._live: dict[int, Job] = {}
        self._futures: dict[int, Future[Job]] = {}
        self._held: dict[int, FileLock] = {}
        self._place = ""
        self._ending = False
        self.followers = 0

    def start(self) -> None:
        """Take up unfinished jobs whose uploads are stored here, and tidy up."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._place = _identity(self._folder / "place")
        with self._database.write() as session:
            remove_old_jobs(session, KEPT)
        with self._database.read() as session:
            left = unfinished_jobs(session, self._place)
        for job in left:
            lock = self._lock_of(job.stored)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue  # another process is at it
            self._enqueue(job, lock)
        self._sweep()

    def submit(self, upload: Upload) -> tuple[Job, bool]:
        """Store an upload and queue its job; returns it, and whether it is new (else the
        idempotency key was that of a job with the same content).

        Raises:
            TooBusyError: too many wait.
            EndingError: the server is about to end.
            KeyReusedError: the key was sent with something else before.
            StorageFullError: no space is left; nothing of it is kept.
        """
        self.refuse_if_full()
        stored = uuid.uuid4().hex
        path = self._folder / stored
        lock = self._lock_of(stored)
        lock.acquire()
        kept = False
        try:
            with space_needed(self._folder), path.open("wb") as file:
                digest, size = _copied(upload.content, file)
                file.flush()
                os.fsync(file.fileno())
            said = _as_json(upload.said)
            told = json.dumps([upload.name, said], sort_keys=True)
            new = NewJob(
                place=self._place,
                stored=stored,
                owner=upload.owner,
                idempotency_key=upload.idempotency_key,
                digest=hashlib.sha256(f"{digest} {told}".encode()).hexdigest(),
                name=upload.name,
                size=size,
                said=said,
            )
            with self._database.write() as session:
                self._forget_retryable(session, upload)
                job, is_new = add_job(session, new)
            if not is_new and job.digest != new.digest:
                raise KeyReusedError(
                    "this Idempotency-Key was sent before with another file or other fields;"
                    " use a new key"
                )
            if is_new:
                self._enqueue(job, lock)
                kept = True
            return self.get(job.id), is_new
        finally:
            if not kept:
                path.unlink(missing_ok=True)
                _drop(lock)

    def refuse_if_full(self) -> None:
        """Raise TooBusyError or EndingError if no more jobs are taken now."""
        if self._ending:
            raise EndingError("the server is about to end; try again in a moment")
        if self.waiting >= self._most:
            raise TooBusyError(f"{self._most} uploads wait already; try again later")

    def get(self, job_id: int) -> Job:
        """A job as it stands now.

        Raises:
            NotFoundError: no such job, or it is no longer kept.
        """
        with self._lock:
            live = self._live.get(job_id)
        if live is not None:
            return live
        with self._database.read() as session:
            return get_job(session, job_id)

    def live(self, job_id: int) -> Job | None:
        """A job that is unfinished here, without a look into the database."""
        with self._lock:
            return self._live.get(job_id)

    def outcome(self, job_id: int) -> Future[Job] | None:
        """What becomes of a job that is unfinished here; never raises."""
        with self._lock:
            return self._futures.get(job_id)

    @property
    def waiting(self) -> int:
        """How many are unfinished here."""
        with self._lock:
            return len(self._live)

    @property
    def running(self) -> int:
        """How many are being worked on here."""
        with self._lock:
            return sum(job.status == JobStatus.RUNNING for job in self._live.values())

    @property
    def stopping(self) -> bool:
        """Whether it is about to end."""
        return self._ending

    def end_soon(self) -> None:
        """Take no more, and send those away who follow jobs."""
        self._ending = True

    def stop(self, grace: float) -> None:
        """Let running jobs finish for ``grace`` seconds; the others go on at the next start."""
        self.end_soon()
        with self._lock:
            futures = list(self._futures.values())
        for future in futures:
            future.cancel()
        wait_for([one for one in futures if not one.cancelled()], timeout=grace)
        self._stop.set()
        self._threads.shutdown(wait=True)
        with self._lock:
            held, self._held = list(self._held.values()), {}
            self._live.clear()
        for lock in held:
            lock.release()

    def _enqueue(self, job: Job, lock: FileLock) -> None:
        with self._lock:
            self._live[job.id] = job
            self._held[job.id] = lock
            self._futures[job.id] = self._threads.submit(self._run, job)

    def _run(self, job: Job) -> Job:
        done = job
        interrupted = False
        try:
            done = self._work(job)
        except InterruptedUploadError:
            interrupted = True
        except NotFoundError:  # its recording was forgotten meanwhile, and it with it
            log.info("job %d is gone", job.id)
        except Exception as error:  # noqa: BLE001 - told to the one who asks for the job
            done = self._failed(job, error)
        with self._lock:
            self._live.pop(job.id, None)
            self._futures.pop(job.id, None)
            lock = self._held.pop(job.id, None)
        if lock is not None and not interrupted:
            (self._folder / job.stored).unlink(missing_ok=True)
            _drop(lock)
        elif lock is not None:
            lock.release()
        return done

    def _work(self, job: Job) -> Job:
        path = self._folder / job.stored
        if not path.exists():
            raise UploadGoneError(f"the upload of {job.name} is no longer there; send it again")
        if job.attempts >= _MOST_ATTEMPTS:
            raise InvalidInputError(
                f"{job.name} was begun {job.attempts} times and ended each time with the process"
            )
        running = self._note(
            job.id,
            status=JobStatus.RUNNING,
            started_at=datetime.now(UTC),
            attempts=job.attempts + 1,
        )
        noted = time.monotonic()

        def progress(report: IngestReport) -> None:
            nonlocal noted
            now = replace(running, seconds=report.reached, total=report.told)
            with self._lock:
                self._live[job.id] = now
            if time.monotonic() - noted > _NOTED_EVERY_S:
                noted = time.monotonic()
                self._note(job.id, seconds=report.reached, total=report.told)

        recording, is_new = take_in(
            self._library,
            path,
            name=job.name,
            said=_from_json(job.said),
            longest=self._longest,
            progress=progress,
            stop=self._stop,
        )
        latest = self.live(job.id) or running
        return self._note(
            job.id,
            status=JobStatus.DONE,
            recording_id=recording,
            is_new=is_new,
            seconds=latest.total or latest.seconds,
            total=latest.total,
            said={},  # now with the recording alone, with which it can be erased
            finished_at=datetime.now(UTC),
        )

    def _failed(self, job: Job, error: Exception) -> Job:
        if not isinstance(error, EmotionSearchError):
            log.error("job %d failed", job.id, exc_info=error)
        problem = self._explain(error)
        ended: dict[str, Any] = {
            "status": JobStatus.FAILED,
            "problem": problem,
            "said": {},
            "finished_at": datetime.now(UTC),
        }
        try:
            return self._note(job.id, **ended)
        except EmotionSearchError as other:
            log.warning("job %d: %s", job.id, other)
            return replace(job, **ended)

    def _note(self, job_id: int, **values: Any) -> Job:
        with self._database.write() as session:
            job = set_job(session, job_id, **values)
        with self._lock:
            if job_id in self._live:
                self._live[job_id] = job
        return job

    def _forget_retryable(self, session: Any, upload: Upload) -> None:
        """A job that failed through no fault of the sender's does not use up its key."""
        if upload.idempotency_key is None:
            return
        before = find_job(session, owner=upload.owner, key=upload.idempotency_key)
        if before is not None and before.problem and before.problem["status"] >= 500:
            release_key(session, before.id)

    def _lock_of(self, stored: str) -> FileLock:
        return FileLock(self._folder / f"{stored}.lock", thread_local=False)

    def _sweep(self) -> None:
        """Remove stored uploads that no job needs: a process died while it received them."""
        old = [
            path
            for path in self._folder.iterdir()
            if path.stem != "place" and time.time() - path.stat().st_mtime > _ABANDONED_S
        ]
        with self._database.read() as session:
            needed = stored_uploads(session, self._place, [path.stem for path in old][:500])
        for path in old[:500]:
            if path.stem not in needed:
                path.unlink(missing_ok=True)


class UploadGoneError(EmotionSearchError):
    """The bytes of an upload are gone."""


def _identity(path: Path) -> str:
    """The uuid in the file, which is made if it is not there."""
    with FileLock(path.with_name("place.lock")):
        if not path.exists():
            partial = path.with_suffix(".partial")
            partial.write_text(str(uuid.uuid4()))
            partial.replace(path)
        return path.read_text()


def _copied(content: BinaryIO, file: BinaryIO) -> tuple[str, int]:
    """sha256 and size of what was copied."""
    digest, size = hashlib.sha256(), 0
    while part := content.read(shutil.COPY_BUFSIZE):  # type: ignore[attr-defined]
        digest.update(part)
        size += len(part)
        file.write(part)
    return digest.hexdigest(), size


def _drop(lock: FileLock) -> None:
    Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()


def _as_json(said: Annotations) -> dict[str, Any]:
    return {
        "source": said.source,
        "speaker": said.speaker,
        "recorded_at": said.recorded_at.isoformat() if said.recorded_at else None,
        "labels": dict(said.labels),
        "metadata": dict(said.metadata),
    }


def _from_json(said: Mapping[str, Any]) -> Annotations:
    moment = said["recorded_at"]
    return Annotations(
        source=said["source"],
        speaker=said["speaker"],
        recorded_at=datetime.fromisoformat(moment) if moment else None,
        labels=said["labels"],
        metadata=said["metadata"],
    )

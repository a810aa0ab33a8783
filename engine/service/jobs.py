"""Jobs: uploads that are queued and ingested in the background, also after a restart."""

from __future__ import annotations

import contextvars
import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import BinaryIO

from emotion_search.engine.library.library import Library
from emotion_search.engine.service.board import JobBoard
from emotion_search.engine.service.bucket_spool import incoming_of
from emotion_search.engine.service.spool import Hold, Received
from emotion_search.engine.service.uploads import UploadFields
from emotion_search.engine.service.work import SHA256, Explain, JobWork, Learn, Work
from emotion_search.index.database import jobs as rows
from emotion_search.index.database.bulk import chunks
from emotion_search.index.database.connection import Session
from emotion_search.index.database.jobs import WORK, Job, NewJob
from emotion_search.index.errors import EmotionSearchError, NotFoundError

log = logging.getLogger(__name__)

_TIDIED = 500  # uploads at a time

KEPT = timedelta(days=7)
"""How long finished jobs, and with them idempotency keys, are remembered; those whose uploads
are kept stay until they are retried or dropped."""


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
        fields: its annotations and channels, or the work that it asks for.
        owner, idempotency_key: who sent it, and the key under which it is done only once.
    """

    content: BinaryIO
    name: str
    fields: UploadFields | Work = field(default_factory=UploadFields)
    owner: str = ""
    idempotency_key: str | None = None


class Jobs:
    """The jobs of an archive; ``start`` takes up those that an earlier process left.

    Safe for use from several threads.

    Args:
        explain: makes the problem that a failed job shows.
        learn: does what jobs ask for that are no uploads; called in a process of its own.
        at_once: how many run at the same time.
        most: how many may be unfinished here before more are refused.
        longest: seconds of the longest recording.

    Attributes:
        board: the jobs as they stand, those that are unfinished here in memory.
        followers: how many follow jobs, for those who count them.
    """

    def __init__(
        self,
        library: Library,
        *,
        explain: Explain,
        learn: Learn,
        at_once: int,
        most: int,
        longest: float,
    ) -> None:
        self._library = library
        self._database = library.database
        self._incoming = incoming_of(library)
        self.board = JobBoard(library.database, self._incoming.worker)
        self._stop, self._ending = threading.Event(), threading.Event()
        self._work = JobWork(
            library,
            self.board,
            explain=explain,
            learn=learn,
            longest=longest,
            stop=self._stop,
            ending=self._ending,
        )
        self._most = most
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="job")
        self._learning = ThreadPoolExecutor(1, thread_name_prefix="learning")
        self._lock = threading.Lock()
        self._futures: dict[int, Future[Job]] = {}
        self._holds: dict[int, Hold] = {}
        self._suspects = threading.Lock()
        self._ended_at: float | None = None
        self.followers = 0

    def start(self) -> None:
        """Take up unfinished jobs whose uploads are stored here, and tidy up."""
        self._incoming.open()
        self.tidy()

    def tidy(self) -> None:
        """Take up jobs that nobody works on, once the model can be loaded; forget old ones, and
        remove uploads that no job needs. Done now and then."""
        with self._database.write() as session:
            rows.remove_old_jobs(session, KEPT)
        if self._has_model():
            self.take_left()
        for old in chunks(self._incoming.abandoned(), _TIDIED):
            with self._database.read() as session:
                needed = rows.stored_uploads(session, self._incoming.place, old)
            for stored in old:
                if stored not in needed:
                    self._incoming.remove(stored)

    def take_left(self) -> None:
        """Take up jobs that nobody works on, unless the model could not be loaded. Done often."""
        if self._library.model_problem is None:
            with self._database.read() as session:
                left = rows.unfinished_jobs(session, self._incoming.place)
            for job in left:
                self._take_up(job)

    def submit(
        self, upload: Upload, check: Callable[[Session], None] | None = None
    ) -> tuple[Job, bool]:
        """Store an upload and queue its job; returns it as it came, and whether the idempotency
        key was that of a job with the same content. Work that is asked for while the same is
        unfinished is that job.

        Args:
            check: raises where it is known that a new job will fail.

        Raises:
            TooBusyError: too many wait.
            EndingError: the server is about to end.
            KeyReusedError: the key was sent with something else before.
            StorageFullError: no space is left; nothing of it is kept.
        """
        self.refuse_if_full(upload.owner)
        received = self._incoming.receive(upload.content)
        kept = False
        try:
            new = self._new_job(upload, received)
            with self._database.write() as session:
                self._forget_retryable(session, upload)
                before = self._sent_before(session, upload)
                same = (
                    before or (WORK in new.fields and rows.same_work(session, new.digest)) or None
                )
                if same is None and check is not None:
                    check(session)
                job = same or rows.add_job(session, new, self._incoming.worker)
            if job.digest != new.digest:
                raise KeyReusedError(
                    "this Idempotency-Key was sent before with another file or other fields;"
                    " use a new key"
                )
            if same is None:
                kept = True
                self._enqueue(job, received.hold)
            elif before is None:
                return self.board.get(job.id), False
            return job.as_submitted, before is not None
        finally:
            if not kept:
                received.hold.drop()

    def retry(self, job_id: int) -> Job:
        """Take up a job anew that failed through no fault of its file's.

        Raises:
            NotFoundError: no such job.
            NotRetryableError: its upload is not kept, or it has not failed.
        """
        with self._database.write() as session:
            job = rows.retry_job(session, job_id)
        if job.place == self._incoming.place:  # else a server of that place takes it up
            self._take_up(job)
        return self.board.get(job_id)

    def refuse_if_full(self, owner: str) -> None:
        """Raise TooBusyError or EndingError if no more jobs are taken now, or none of this sender,
        who may have half of those that wait."""
        if self.stopping:
            raise EndingError("the server is about to end; try again in a moment")
        if self.board.counts()[0] >= self._most:
            raise TooBusyError(f"{self._most} uploads wait already; try again later")
        if owner and self.board.of(owner) >= self._most / 2:
            raise TooBusyError(f"{self._most // 2} uploads of one key wait; try again later")

    def page(
        self,
        statuses: Sequence[str],
        kinds: Sequence[str] = (),
        *,
        limit: int,
        before_id: int | None,
    ) -> list[Job]:
        """Up to ``limit`` jobs of these statuses and kinds (none means any) as they stand, latest
        first, from before ``before_id``."""
        with self._database.read() as session:
            found = rows.list_jobs(
                session, statuses=statuses, kinds=kinds, limit=limit, before_id=before_id
            )
        return [self.board.live(job.id) or job for job in found]

    def outcome(self, job_id: int) -> Future[Job] | None:
        """What becomes of a job that is unfinished here; never raises, but may be cancelled."""
        with self._lock:
            return self._futures.get(job_id)

    @property
    def stopping(self) -> bool:
        """Whether it is about to end."""
        return self._ended_at is not None

    def end_soon(self) -> None:
        """Take no more, begin none of those that wait, and send those away who follow jobs."""
        if self._ended_at is None:
            self._ended_at = time.monotonic()
        self._ending.set()
        with self._lock:
            futures = list(self._futures.values())
        for future in futures:
            future.cancel()

    def stop(self, grace: float) -> None:
        """Let running jobs finish until ``grace`` seconds after ``end_soon``; the others go on at
        the next start."""
        self.end_soon()
        assert self._ended_at is not None
        with self._lock:
            running = [one for one in self._futures.values() if not one.cancelled()]
        wait_for(running, timeout=max(0.0, self._ended_at + grace - time.monotonic()))
        self._stop.set()
        for threads in (self._threads, self._learning):
            threads.shutdown(wait=True)
        with self._lock:
            holds, self._holds = self._holds, {}
        for job_id, hold in holds.items():
            self.board.remove(job_id)
            hold.release()
        self._incoming.close()

    def _has_model(self) -> bool:
        """Whether the model can be loaded, as far as is known; tries if it could not before."""
        if self._library.model_problem is not None:
            try:
                self._library.embedder()
            except EmotionSearchError as error:
                log.warning("uploads wait for the model: %s", error)
        return self._library.model_problem is None

    def _new_job(self, upload: Upload, received: Received) -> NewJob:
        fields = upload.fields.as_json()
        text = json.dumps([upload.name, fields], sort_keys=True)
        return NewJob(
            place=self._incoming.place,
            stored=received.stored,
            owner=upload.owner,
            idempotency_key=upload.idempotency_key,
            digest=hashlib.sha256(f"{received.sha256} {text}".encode()).hexdigest(),
            name=upload.name,
            size=received.size,
            fields={**fields, SHA256: received.sha256},
        )

    def _take_up(self, found: Job) -> None:
        """Queue a job that was left, unless somebody works on it."""
        if self.stopping or self.board.live(found.id) is not None:
            return
        if (hold := self._incoming.take(found.stored)) is None:
            return
        try:
            with self._database.read() as session:  # what was found may be long over
                job = rows.get_job(session, found.id)
        except NotFoundError:
            hold.drop()
            return
        except BaseException:
            hold.release()
            raise
        if not job.finished:
            self._enqueue(job, hold)
        elif job.is_kept:
            hold.release()
        else:
            hold.drop()

    def _enqueue(self, job: Job, hold: Hold) -> None:
        context = contextvars.copy_context()  # the log tells which request it came with
        self.board.add(job)
        with self._lock:
            self._holds[job.id] = hold
            try:
                threads = self._learning if WORK in job.fields else self._threads
                self._futures[job.id] = threads.submit(context.run, self._run, job)
            except RuntimeError:  # it ended meanwhile: the next start takes it up
                self.board.remove(job.id)
                self._holds.pop(job.id).release()

    def _run(self, job: Job) -> Job:
        # What was begun before and not finished may be what ended the process: it is tried
        # alone, or it would bring those beside it under the same suspicion.
        with self._suspects if job.attempts and WORK not in job.fields else nullcontext():
            ended, is_over = self._work.do(job)
        self.board.remove(job.id)
        with self._lock:
            self._futures.pop(job.id, None)
            hold = self._holds.pop(job.id, None)
        if hold is not None:
            (hold.drop if is_over else hold.release)()
        return ended

    def _sent_before(self, session: Session, upload: Upload) -> Job | None:
        if upload.idempotency_key is None:
            return None
        return rows.find_job(session, owner=upload.owner, key=upload.idempotency_key)

    def _forget_retryable(self, session: Session, upload: Upload) -> None:
        """A job that failed through no fault of the sender's does not use up its key."""
        before = self._sent_before(session, upload)
        if before is not None and before.is_kept:
            rows.release_key(session, before.id)

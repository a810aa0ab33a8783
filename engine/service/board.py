"""Status of running upload jobs, in memory."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from emotion_search.index.database.connection import Database
from emotion_search.index.database.jobs import Job, JobStatus, get_job, set_job
from emotion_search.index.database.webhooks import announce


@dataclass(frozen=True)
class Step:
    """How far the work of a job is: what it does, and how much of how much is done."""

    about: str
    done: float = 0.0
    of: float | None = None


class JobBoard:
    """Jobs in hand, in memory ahead of the database by some progress.

    Safe for use from several threads.

    Args:
        worker: who has jobs on lease here; None where there are no leases.
    """

    def __init__(self, database: Database, worker: str | None = None) -> None:
        self._database, self._worker = database, worker
        self._lock = threading.Lock()
        self._live: dict[int, Job] = {}

    def add(self, job: Job) -> None:
        """Take a job in hand."""
        with self._lock:
            self._live[job.id] = job

    def remove(self, job_id: int) -> None:
        """Let go of a job."""
        with self._lock:
            self._live.pop(job_id, None)

    def live(self, job_id: int) -> Job | None:
        """A job in hand, without a look into the database."""
        with self._lock:
            return self._live.get(job_id)

    def get(self, job_id: int) -> Job:
        """A job as it stands now, in hand or not.

        Raises:
            NotFoundError: no such job, or it is no longer kept.
        """
        live = self.live(job_id)
        if live is not None:
            return live
        with self._database.read() as session:
            return get_job(session, job_id)

    def counts(self) -> tuple[int, int]:
        """How many are in hand, and how many of them are being worked on."""
        with self._lock:
            running = sum(job.status == JobStatus.RUNNING for job in self._live.values())
            return len(self._live), running

    def oldest(self) -> datetime | None:
        """When the one that waits longest came, of those in hand."""
        with self._lock:
            return min((job.created_at for job in self._live.values()), default=None)

    def of(self, owner: str) -> int:
        """How many of a sender's are in hand."""
        with self._lock:
            return sum(job.owner == owner for job in self._live.values())

    def show(self, job: Job) -> None:
        """Note the progress of a job in hand, here alone."""
        with self._lock:
            if job.id in self._live:
                self._live[job.id] = job

    def note(self, job_id: int, **values: Any) -> Job:
        """Change columns of a job, here and in the database; its end is announced to webhooks.

        Raises:
            NotFoundError: it is gone, as when its recording was forgotten.
            LostJobError: another server has it.
        """
        with self._database.write() as session:
            job = set_job(session, job_id, worker=self._worker, **values)
            if job.finished:
                about = {"job": job.id, "kind": job.kind, "status": job.status}
                announce(session, "job.ended", {**about, "recording": job.recording_id})
        self.show(job)
        return job

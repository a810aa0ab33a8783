"""Jobs, uploads and other work: queued, running, done or failed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.orm import Session

from emotion_search.index.database.schema import Job as Row
from emotion_search.index.database.schema import as_details
from emotion_search.index.database.slices import LEASE_S, now_of, on_lease
from emotion_search.index.errors import EmotionSearchError, InvalidInputError, NotFoundError


class NotRetryableError(InvalidInputError):
    """The job's upload is not kept, or it has not failed."""


class LostJobError(EmotionSearchError):
    """Another server has the job now."""


class JobStatus(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


UPLOAD, WORK = "upload", "work"
"""The kind of jobs that take in a file; the key, in the fields of others, of what they ask for."""
UNFINISHED = (JobStatus.QUEUED, JobStatus.RUNNING)
_OURS = 500  # status from which on a failure is none of the sender's


@dataclass(frozen=True)
class NewJob:
    """An upload that was received.

    Attributes:
        place, stored: the home, or bucket, that stores it, and its name there.
        owner: who sent it, so that idempotency keys of two senders differ; may be empty.
        digest: sha256 of what was sent, bytes and fields.
        name: what the sender called the file.
        size: bytes.
        fields: annotations and channels that came with it, as plain data.
    """

    place: str
    stored: str
    owner: str
    idempotency_key: str | None
    digest: str
    name: str
    size: int
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class Job:
    """A job as it stands.

    Attributes:
        attempts: how often it was begun.
        seconds, total: of audio embedded so far, and in all by the file's header (None: unknown).
        recording_id, is_new: once done, the recording, and whether it was new to the archive.
        problem: once failed, why, and of a job that was put off, what it waits for: ``status``,
            ``kind`` and ``detail``.
    """

    id: int
    status: JobStatus
    place: str
    stored: str
    owner: str
    digest: str
    name: str
    size: int
    fields: Mapping[str, Any]
    attempts: int
    seconds: float
    total: float | None
    recording_id: int | None
    is_new: bool | None
    problem: Mapping[str, Any] | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def kind(self) -> str:
        """``upload``, or what else it does: ``train``, say."""
        return str(self.fields[WORK]["kind"]) if WORK in self.fields else UPLOAD

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status not in UNFINISHED

    @property
    def as_submitted(self) -> Job:
        """As it was when it had just come."""
        return replace(
            self,
            status=JobStatus.QUEUED,
            fields={name: self.fields[name] for name in (WORK,) if name in self.fields},
            attempts=0,
            seconds=0.0,
            total=None,
            recording_id=None,
            is_new=None,
            problem=None,
            started_at=None,
            finished_at=None,
        )

    @property
    def is_kept(self) -> bool:
        """Whether it failed through no fault of the file's, and its upload is kept."""
        return self.status == JobStatus.FAILED and bool(
            self.problem and self.problem["status"] >= _OURS
        )


def add_job(session: Session, new: NewJob, worker: str | None = None) -> Job:
    """Queue a job, whose idempotency key no other of its owner has; on lease to ``worker``."""
    row = Row(
        **vars(new), status=JobStatus.QUEUED, attempts=0, seconds=0.0, created_at=datetime.now(UTC)
    )
    if worker is not None:
        row.worker, row.lease_until = worker, now_of(session) + timedelta(seconds=LEASE_S)
    session.add(row)
    session.flush()
    return _job(row)


def find_job(session: Session, *, owner: str, key: str) -> Job | None:
    """The job that this idempotency key of this sender stands for."""
    row = session.scalar(select(Row).where(Row.owner == owner, Row.idempotency_key == key))
    return None if row is None else _job(row)


def get_job(session: Session, job_id: int) -> Job:
    """One job.

    Raises:
        NotFoundError: no such job, or it is no longer kept.
    """
    row = session.get(Row, job_id)
    if row is None:
        raise NotFoundError(f"no job {job_id}, or it is no longer kept")
    return _job(row)


def same_work(session: Session, digest: str) -> Job | None:
    """The unfinished job that asks for the same, and is no upload."""
    row = session.scalar(
        select(Row).where(Row.digest == digest, Row.status.in_(UNFINISHED), _kind() != UPLOAD)
    )
    return None if row is None else _job(row)


def list_jobs(
    session: Session,
    *,
    statuses: Sequence[str],
    kinds: Sequence[str] = (),
    limit: int,
    before_id: int | None,
) -> list[Job]:
    """Up to ``limit`` jobs, latest first, from before ``before_id``; ``statuses`` or ``kinds``
    empty: any."""
    query = select(Row).order_by(Row.id.desc()).limit(limit)
    if statuses:
        query = query.where(Row.status.in_(statuses))
    if kinds:
        query = query.where(_kind().in_(kinds))
    if before_id is not None:
        query = query.where(Row.id < before_id)
    return [_job(row) for row in session.scalars(query)]


def unfinished_jobs(session: Session, place: str) -> list[Job]:
    """Jobs whose uploads this place stores, that are not finished and on lease to nobody, earliest
    first."""
    free = ~on_lease(Row.lease_until, now_of(session))
    query = select(Row).where(Row.place == place, Row.status.in_(UNFINISHED), free)
    return [_job(row) for row in session.scalars(query.order_by(Row.id))]


def lease_job(session: Session, stored: str, worker: str) -> bool:
    """Whether the job of this upload is on lease to ``worker`` from now on, and to nobody else."""
    now = now_of(session)
    taken = session.execute(
        update(Row)
        .where(Row.stored == stored, ~on_lease(Row.lease_until, now))
        .values(worker=worker, lease_until=now + timedelta(seconds=LEASE_S))
    )
    return bool(taken.rowcount)  # type: ignore[attr-defined]


def renew_jobs(session: Session, worker: str) -> None:
    """Keep the leases of a worker; of rows that are being written to, the next time."""
    own = select(Row.id).where(Row.worker == worker, Row.status.in_(UNFINISHED))
    until = now_of(session) + timedelta(seconds=LEASE_S)
    free = own.with_for_update(skip_locked=True)
    session.execute(update(Row).where(Row.id.in_(free)).values(lease_until=until))


def release_job(session: Session, stored: str, worker: str) -> None:
    """Let another worker have the job of this upload at once."""
    session.execute(
        update(Row)
        .where(Row.stored == stored, Row.worker == worker)
        .values(worker=None, lease_until=None)
    )


def count_failed(session: Session) -> int:
    """How many of the jobs that are kept failed, of whatever home."""
    query = select(func.count()).select_from(Row).where(Row.status == JobStatus.FAILED)
    return session.scalar(query) or 0


def set_job(session: Session, job_id: int, *, worker: str | None = None, **values: Any) -> Job:
    """Change columns of a job, unless another than ``worker`` has it.

    Raises:
        NotFoundError: it is gone, as when its recording was forgotten.
        LostJobError: another has it.
    """
    change = update(Row).where(Row.id == job_id).values(**values)
    if worker is not None:
        change = change.where(or_(Row.worker.is_(None), Row.worker == worker))
    changed = session.execute(change)
    job = get_job(session, job_id)
    if not changed.rowcount:  # type: ignore[attr-defined]
        raise LostJobError(f"job {job_id} is in hand of another server")
    return job


def remove_unfinished(session: Session) -> None:
    """Forget the jobs whose uploads are not taken in yet."""
    session.execute(delete(Row).where(Row.status.in_(UNFINISHED)))


def retry_job(session: Session, job_id: int) -> Job:
    """Queue a job anew whose upload was kept when it failed.

    Raises:
        NotFoundError: no such job.
        NotRetryableError: its upload is not kept, or it has not failed.
    """
    job = get_job(session, job_id)
    if not job.is_kept:
        why = f"is {job.status}" if job.status != JobStatus.FAILED else "failed by what was sent"
        raise NotRetryableError(f"job {job_id} {why}; only a job whose upload is kept is retried")
    return set_job(
        session,
        job_id,
        status=JobStatus.QUEUED,
        problem=None,
        started_at=None,
        finished_at=None,
        seconds=0.0,
    )


def remove_job(session: Session, job_id: int) -> None:
    """Drop a job, whatever its state."""
    session.execute(delete(Row).where(Row.id == job_id))


def release_key(session: Session, job_id: int) -> None:
    """Let the job's idempotency key be used again."""
    session.execute(update(Row).where(Row.id == job_id).values(idempotency_key=None))


def remove_old_jobs(session: Session, age: timedelta) -> None:
    """Drop jobs that were finished longer than ``age`` ago, unless their uploads are kept."""
    session.execute(delete(Row).where(Row.finished_at < datetime.now(UTC) - age, ~_kept()))


def stored_uploads(session: Session, place: str, names: Collection[str]) -> set[str]:
    """Those of ``names`` that a job of this place needs: it is unfinished, or its upload kept."""
    query = select(Row.stored).where(
        Row.place == place, Row.status.in_(UNFINISHED) | _kept(), Row.stored.in_(names)
    )
    return set(session.scalars(query))


def place_of(session: Session, names: Collection[str]) -> str | None:
    """The place that stores uploads of these names, as their jobs have it; None if none has."""
    return session.scalar(select(Row.place).where(Row.stored.in_(names)).limit(1))


def over_uploads(session: Session, names: Collection[str]) -> set[str]:
    """Those of ``names`` that a job had, and needs no more."""
    over = Row.stored.in_(names), Row.status.not_in(UNFINISHED), ~_kept()
    return set(session.scalars(select(Row.stored).where(*over)))


def needed_uploads(session: Session, place: str) -> list[tuple[int, str]]:
    """Id and upload's name of every job of this place whose upload has to be there."""
    query = select(Row.id, Row.stored).where(
        Row.place == place, Row.status.in_(UNFINISHED) | _kept()
    )
    return [(row[0], row[1]) for row in session.execute(query.order_by(Row.id))]


def _kind() -> ColumnElement[str]:
    """``Job.kind`` in SQL."""
    return func.coalesce(Row.fields[WORK]["kind"].as_string(), UPLOAD)


def _kept() -> ColumnElement[bool]:
    """``Job.is_kept`` in SQL."""
    return and_(Row.status == JobStatus.FAILED, Row.problem["status"].as_integer() >= _OURS)


def _job(row: Row) -> Job:
    return as_details(Job, row, status=JobStatus(row.status))

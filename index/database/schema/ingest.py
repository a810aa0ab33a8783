"""Tables of bulk ingests, uploads and files that failed."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from emotion_search.index.database.schema.columns import Base, BigId, belongs_to
from emotion_search.index.database.schema.values import Hash, one_of, within


class Failure(Base):
    """A file that could not be ingested, why, and how often it was tried.

    A file without speech is of the kind ``silent``: by its facts, bytes and cut it is known
    whether to look at it again.
    """

    __tablename__ = "failures"
    __table_args__ = (Index("ix_failures_sha256", "sha256"),)

    path: Mapped[str] = mapped_column(Text, primary_key=True)
    reason: Mapped[str]
    attempts: Mapped[int]
    failed_at: Mapped[datetime]
    kind: Mapped[str] = one_of("failed", "silent", default="failed", server_default="failed")
    size: Mapped[int | None] = mapped_column(BigInteger)
    mtime_ns: Mapped[int | None] = within(-(2**63), 2**63 - 1, BigInteger)
    sha256: Mapped[Hash | None]
    cut: Mapped[str | None]


class IngestRun(Base):
    """Work that many processes share, a bulk ingest say: on what, how, and how far it is listed."""

    __tablename__ = "ingest_runs"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[str] = mapped_column(Text, server_default="ingest")  # ingest, reembed
    key: Mapped[str] = mapped_column(String(64))  # of the command: the same one joins it
    named: Mapped[str]
    options: Mapped[dict[str, Any]]
    files: Mapped[int] = mapped_column(BigInteger)  # that were put into slices
    known: Mapped[int] = mapped_column(BigInteger)  # that were known, and are in none
    last: Mapped[str | None]  # path of the last file that is in either
    lister: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    listed_at: Mapped[datetime | None]


class IngestSlice(Base):
    """Some files of a bulk ingest, which one process at a time has on lease."""

    __tablename__ = "ingest_slices"
    __table_args__ = (
        Index("ix_ingest_slices_open", "finished_at", "lease_until"),
        Index("ix_ingest_slices_run_id", "run_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    run_id: Mapped[int] = belongs_to("ingest_runs.id")
    files: Mapped[list[Any]]  # emptied once they are done
    number: Mapped[int]  # of files
    attempts: Mapped[int]
    worker: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    seen_at: Mapped[datetime | None]  # when its worker last wrote
    finished_at: Mapped[datetime | None]
    done: Mapped[int]  # files dealt with, and what they gave, so far
    recordings: Mapped[int]
    clips: Mapped[int]
    failed: Mapped[int]
    seconds: Mapped[float]  # of audio


class Job(Base):
    """An upload on its way into the archive, or what became of it."""

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("owner", "idempotency_key", name="uq_jobs_owner_idempotency_key"),
        Index("ix_jobs_status", "status"),
        Index("ix_jobs_stored", "stored"),
        Index("ix_jobs_recording_id", "recording_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    status: Mapped[str] = one_of("queued", "running", "done", "failed")
    place: Mapped[str] = mapped_column(String(36))  # the home, or bucket, that stores the upload
    stored: Mapped[str] = mapped_column(String(32))  # what the upload is called there
    owner: Mapped[str]  # the API key that sent it; empty without keys
    idempotency_key: Mapped[str | None]
    digest: Mapped[str] = mapped_column(String(64))  # of bytes and fields
    name: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    fields: Mapped[dict[str, Any]] = mapped_column("said", JSON)
    worker: Mapped[str | None]  # the server that has it, of those in buckets
    lease_until: Mapped[datetime | None]
    attempts: Mapped[int]
    seconds: Mapped[float]  # embedded so far
    total: Mapped[float | None]  # by the file's header
    recording_id: Mapped[int | None] = belongs_to("recordings.id")
    is_new: Mapped[bool | None]
    problem: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

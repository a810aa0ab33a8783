"""SQLAlchemy tables of an archive; the migrations create exactly these."""

# Annotations are no strings here: SQLAlchemy would evaluate each at every start.

import zlib
from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    ColumnElement,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    func,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from emotion_search.index.errors import DatabaseError

SCHEMA_VERSION = "0018"
"""The migration that this code speaks; a test holds it equal to Alembic's head."""

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

BigId = BigInteger().with_variant(Integer, "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """Aware datetimes in UTC, on SQLite (which forgets zones) as on Postgres."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a naive datetime reached the database: {value!r}")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class Sealed(TypeDecorator[bytes]):
    """Bytes with their CRC-32 at the end, which every read compares.

    Raises:
        DatabaseError: they are damaged.
    """

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        return None if value is None else value + zlib.crc32(value).to_bytes(4, "little")

    def process_result_value(self, value: Any, dialect: Dialect) -> bytes | None:
        if value is None or is_whole(bytes(value)):
            return None if value is None else bytes(value)[:-4]
        raise DatabaseError("the database is damaged; run: emotion-search check")


def is_whole(data: bytes) -> bool:
    """Whether bytes as ``Sealed`` stores them are as they were written."""
    return len(data) >= 4 and zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "little")


def _owner(column: str, *, primary_key: bool = False) -> Any:
    """A reference to a row with which this one goes."""
    return mapped_column(ForeignKey(column, ondelete="CASCADE"), primary_key=primary_key)


def as_details(kind: type[T], row: Any, **others: Any) -> T:
    """A dataclass of ``others``, and of those columns of a row that it has fields of."""
    names = (field.name for field in fields(kind) if field.name not in others)
    return kind(**{name: getattr(row, name) for name in names}, **others)


class Base(DeclarativeBase):
    """Declarative base of all tables."""


class Model(Base):
    """An embedding model: the last revision handed out under it, the space that serves, the version
    of the centres that scores are adapted to, and the mean of the archive."""

    __tablename__ = "models"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - as with clips

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    fingerprint: Mapped[str] = mapped_column(String(64), unique=True)
    dimension: Mapped[int] = mapped_column(Integer)
    classes: Mapped[list[str]] = mapped_column(JSON)
    revision: Mapped[int] = mapped_column(BigInteger, default=0)
    space_version: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    score_version: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    mean: Mapped[bytes | None] = mapped_column(Sealed)  # see ``scoring.set_mean``
    mean_clips: Mapped[int | None] = mapped_column(BigInteger)


class SpaceRow(Base):
    """A space that was fitted under a model: version 1 and on; version 0 is the plain one."""

    __tablename__ = "spaces"

    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    method: Mapped[str] = mapped_column(Text)
    task: Mapped[str | None] = mapped_column(Text)  # whose labels taught it
    clips: Mapped[int] = mapped_column(BigInteger)  # how many it was fitted on
    mean: Mapped[bytes] = mapped_column(Sealed)  # little-endian float32, as the matrix is
    matrix: Mapped[bytes | None] = mapped_column(Sealed)
    gain: Mapped[float | None] = mapped_column(Float)
    baselines: Mapped[int | None] = mapped_column(Integer)  # the version whose baselines it takes
    fitted_at: Mapped[datetime] = mapped_column(UtcDateTime)


class BaselineRow(Base):
    """What the clips of a speaker, recording or source have in common, in a space of baselines."""

    __tablename__ = "baselines"
    __table_args__ = (
        ForeignKeyConstraint(
            ["model_id", "space_version"],
            ["spaces.model_id", "spaces.version"],
            ondelete="CASCADE",
        ),
        Index("ix_baselines_recording_id", "recording_id"),
        Index("ix_baselines_speaker", "speaker"),
    )

    model_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    space_version: Mapped[int] = mapped_column(Integer, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)  # see ``baselines.keys_of``
    source: Mapped[str | None] = mapped_column(Text)
    speaker: Mapped[str | None] = mapped_column(Text)
    recording_id: Mapped[int | None] = _owner("recordings.id")
    channel: Mapped[int | None] = mapped_column(Integer)
    clips: Mapped[int] = mapped_column(BigInteger)
    mean: Mapped[bytes] = mapped_column(Sealed)  # little-endian float32


class CalibrationRow(Base):
    """Cosines of random pairs of clips in a space, as quantiles (little-endian float32)."""

    __tablename__ = "calibrations"

    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"), primary_key=True)
    space_version: Mapped[int] = mapped_column(Integer, primary_key=True)
    clips: Mapped[int] = mapped_column(BigInteger)  # in the archive at the time
    quantiles: Mapped[bytes] = mapped_column(Sealed)


class Archive(Base):
    """The archive itself (one row): its identity, the model that serves, and the last revision of
    what is known of clips beside their embeddings."""

    __tablename__ = "archive"
    __table_args__ = (CheckConstraint("id = 1", name="ck_archive_one_row"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36))
    active_model_id: Mapped[int | None] = mapped_column(ForeignKey("models.id"))
    revision: Mapped[int] = mapped_column(BigInteger, server_default="0")


class Recording(Base):
    """One audio file, known by the sha256 of its bytes."""

    __tablename__ = "recordings"
    __table_args__ = (
        Index("ix_recordings_source", "source"),
        Index("ix_recordings_speaker", "speaker"),
        Index("ix_recordings_recorded_at", "recorded_at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(Text)
    source: Mapped[str | None] = mapped_column(Text)
    speaker: Mapped[str | None] = mapped_column(Text)
    recorded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    duration: Mapped[float] = mapped_column(Float)
    sample_rate: Mapped[int] = mapped_column(Integer)
    channels: Mapped[int] = mapped_column(Integer)
    cut: Mapped[str | None] = mapped_column(Text)  # how its clips were made
    ingested_at: Mapped[datetime] = mapped_column(UtcDateTime)


# Written twice, so that a check notices where table and index differ; Postgres cannot index longer
# texts.
Index(
    "ix_recordings_twice",
    func.substr(Recording.name, 1, 200),
    func.substr(Recording.cut, 1, 200),
    Recording.duration,
    Recording.sample_rate,
    Recording.channels,
    Recording.ingested_at,
)


class Location(Base):
    """Where a recording's bytes were seen: the same bytes may lie under several names."""

    __tablename__ = "locations"
    __table_args__ = (Index("ix_locations_recording_id", "recording_id"),)

    path: Mapped[str] = mapped_column(Text, primary_key=True)
    recording_id: Mapped[int] = _owner("recordings.id")
    size: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)


class Metadatum(Base):
    """A free key and value of a recording."""

    __tablename__ = "recording_metadata"

    recording_id: Mapped[int] = _owner("recordings.id", primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    value: Mapped[str] = mapped_column(Text)


# Postgres cannot index a text of several kilobytes (a transcript, say), so its beginning stands in.
Index("ix_recording_metadata_key_value", Metadatum.key, func.substr(Metadatum.value, 1, 200))


class Clip(Base):
    """A span of one channel of a recording: what is embedded and searched."""

    __tablename__ = "clips"
    __table_args__ = (
        Index("ix_clips_recording_id", "recording_id"),
        Index("ix_clips_channel", "channel"),
        Index("ix_clips_channel_name", "channel_name"),
        Index("ix_clips_speaker", "speaker", "recording_id"),
        {"sqlite_autoincrement": True},  # ids are never reused: the index knows clips by id
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    recording_id: Mapped[int] = _owner("recordings.id")
    channel: Mapped[int | None] = mapped_column(Integer)  # None: all channels mixed down
    channel_name: Mapped[str | None] = mapped_column(Text)  # agent, customer
    speaker: Mapped[str | None] = mapped_column(Text)  # where the recording has several
    start: Mapped[float] = mapped_column("start_s", Float)
    end: Mapped[float] = mapped_column("end_s", Float)
    revision: Mapped[int] = mapped_column(BigInteger, server_default="0")  # see ``changes``


Index("ix_clips_duration", Clip.end - Clip.start)
Index("ix_clips_revision", Clip.revision)

SPEAKER: ColumnElement[Any] = func.coalesce(Clip.speaker, Recording.speaker).label("speaker")
"""Who speaks in a clip: as is known of it, else of its whole recording."""


class Label(Base):
    """A label that a person gave to a clip, under a task."""

    __tablename__ = "labels"
    __table_args__ = (Index("ix_labels_task_value", "task", "value"),)

    clip_id: Mapped[int] = _owner("clips.id", primary_key=True)
    task: Mapped[str] = mapped_column(Text, primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class Embedding(Base):
    """The vector and class scores of a clip under one model (little-endian float32 bytes)."""

    __tablename__ = "embeddings"
    __table_args__ = (
        Index("ix_embeddings_model_id_revision", "model_id", "revision"),
        Index("ix_embeddings_emotion", "model_id", "emotion", "confidence", "clip_id"),
        Index("ix_embeddings_confidence", "model_id", "confidence", "clip_id"),
        Index("ix_embeddings_score_version", "model_id", "score_version"),
    )

    clip_id: Mapped[int] = _owner("clips.id", primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"), primary_key=True)
    revision: Mapped[int] = mapped_column(BigInteger)
    vector: Mapped[bytes] = mapped_column(LargeBinary)
    scores: Mapped[bytes] = mapped_column(LargeBinary)
    # Not within them, as ``Sealed`` has it: searches read vectors past SQLAlchemy. None until a
    # check, in archives of earlier versions.
    vector_crc32: Mapped[int | None] = mapped_column(BigInteger)
    scores_crc32: Mapped[int | None] = mapped_column(BigInteger)
    emotion: Mapped[str | None] = mapped_column(Text)  # the class of the highest score, and it
    confidence: Mapped[float | None] = mapped_column(Float)
    valence: Mapped[float | None] = mapped_column(Float)  # of the scores; see ``affect``
    arousal: Mapped[float | None] = mapped_column(Float)
    dominance: Mapped[float | None] = mapped_column(Float)
    # By which centres the scores were made; 0: by none, or by ones that do not count any more
    score_version: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")


class Tombstone(Base):
    """A clip that was removed, at which revision, so that indexes elsewhere drop it too."""

    __tablename__ = "tombstones"

    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"), primary_key=True)
    revision: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    clip_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)


class Forgotten(Base):
    """A salted hash of content that was erased, and that no ingest is to bring back."""

    __tablename__ = "forgotten"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)


class Failure(Base):
    """A file that could not be ingested, why, and how often it was tried.

    A file without speech is of the kind ``silent``: by its facts, bytes and cut it is known
    whether to look at it again.
    """

    __tablename__ = "failures"
    __table_args__ = (Index("ix_failures_sha256", "sha256"),)

    path: Mapped[str] = mapped_column(Text, primary_key=True)
    reason: Mapped[str] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(Integer)
    failed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    kind: Mapped[str] = mapped_column(Text, default="failed", server_default="failed")
    size: Mapped[int | None] = mapped_column(BigInteger)
    mtime_ns: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(String(64))
    cut: Mapped[str | None] = mapped_column(Text)


class IngestRun(Base):
    """A bulk ingest that many processes share: what is taken in, how, and how far it is listed."""

    __tablename__ = "ingest_runs"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    key: Mapped[str] = mapped_column(String(64))  # of the command: the same one joins it
    named: Mapped[str] = mapped_column(Text)
    options: Mapped[dict[str, Any]] = mapped_column(JSON)
    files: Mapped[int] = mapped_column(BigInteger)  # that were put into slices
    known: Mapped[int] = mapped_column(BigInteger)  # that were known, and are in none
    last: Mapped[str | None] = mapped_column(Text)  # path of the last file that is in either
    lister: Mapped[str | None] = mapped_column(Text)
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    listed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class IngestSlice(Base):
    """Some files of a bulk ingest, which one process at a time has on lease."""

    __tablename__ = "ingest_slices"
    __table_args__ = (
        Index("ix_ingest_slices_open", "finished_at", "lease_until"),
        Index("ix_ingest_slices_run_id", "run_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    run_id: Mapped[int] = _owner("ingest_runs.id")
    files: Mapped[list[Any]] = mapped_column(JSON)  # emptied once they are done
    number: Mapped[int] = mapped_column(Integer)  # of files
    attempts: Mapped[int] = mapped_column(Integer)
    worker: Mapped[str | None] = mapped_column(Text)
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # when its worker last wrote
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    done: Mapped[int] = mapped_column(Integer)  # files dealt with, and what they gave, so far
    recordings: Mapped[int] = mapped_column(Integer)
    clips: Mapped[int] = mapped_column(Integer)
    failed: Mapped[int] = mapped_column(Integer)
    seconds: Mapped[float] = mapped_column(Float)  # of audio


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
    status: Mapped[str] = mapped_column(Text)  # queued, running, done, failed
    place: Mapped[str] = mapped_column(String(36))  # the home that stores the upload
    stored: Mapped[str] = mapped_column(String(32))  # what the upload is called there
    owner: Mapped[str] = mapped_column(Text)  # the API key that sent it; empty without keys
    idempotency_key: Mapped[str | None] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(String(64))  # of bytes and fields
    name: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(BigInteger)
    fields: Mapped[dict[str, Any]] = mapped_column("said", JSON)
    attempts: Mapped[int] = mapped_column(Integer)
    seconds: Mapped[float] = mapped_column(Float)  # embedded so far
    total: Mapped[float | None] = mapped_column(Float)  # by the file's header
    recording_id: Mapped[int | None] = _owner("recordings.id")
    is_new: Mapped[bool | None] = mapped_column(Boolean)
    problem: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ApiKey(Base):
    """A key of the HTTP service; the token itself is nowhere kept."""

    __tablename__ = "api_keys"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    prefix: Mapped[str] = mapped_column(String(16), unique=True)  # the token's first part
    sha256: Mapped[str] = mapped_column(String(64))  # of the whole token
    scope: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AlertRow(Base):
    """A rule about emotions that is kept, how far recordings were checked by it, and its state."""

    __tablename__ = "alerts"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    rule: Mapped[str] = mapped_column(Text)  # angry>0.3
    measure: Mapped[str] = mapped_column(Text)  # share, level
    window: Mapped[str] = mapped_column(Text)  # recording, day, week, month
    filters: Mapped[dict[str, Any]] = mapped_column(JSON)  # of which clips, as the API has them
    seen: Mapped[int] = mapped_column(BigInteger)  # the last recording that it was checked with
    state: Mapped[str] = mapped_column(Text)  # waiting, quiet, raised, failed
    problem: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    checked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    fired_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Firing(Base):
    """A recording, or a period, that set an alert off."""

    __tablename__ = "alert_firings"
    __table_args__ = (
        Index("ix_alert_firings_alert_id", "alert_id"),
        Index("ix_alert_firings_recording_id", "recording_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    alert_id: Mapped[int] = _owner("alerts.id")
    recording_id: Mapped[int | None] = _owner("recordings.id")
    period: Mapped[dict[str, str] | None] = mapped_column(JSON(none_as_null=True))
    value: Mapped[float] = mapped_column(Float)
    fired_at: Mapped[datetime] = mapped_column(UtcDateTime)


class WebhookRow(Base):
    """An address to which events are sent, and the secret that signs them."""

    __tablename__ = "webhooks"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    url: Mapped[str] = mapped_column(Text, unique=True)
    secret: Mapped[str] = mapped_column(Text)
    events: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class DeliveryRow(Base):
    """An event on its way to a webhook, or what became of it."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index("ix_webhook_deliveries_webhook_id", "webhook_id"),
        Index("ix_webhook_deliveries_due_at", "due_at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    webhook_id: Mapped[int] = _owner("webhooks.id")
    message: Mapped[str] = mapped_column(String(40))  # the same at every attempt
    event: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(Integer)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # None: nothing more is tried
    status: Mapped[int | None] = mapped_column(Integer)  # HTTP, of the last attempt
    problem: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    delivered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ClassifierRow(Base):
    """A classifier that was trained on labels: its fitted arrays, and where they come from."""

    __tablename__ = "classifiers"
    __table_args__ = (
        UniqueConstraint("task", "version", name="uq_classifiers_task_version"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"))
    task: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column(Integer)  # of the task's, from 1
    method: Mapped[str] = mapped_column(Text)
    classes: Mapped[list[str]] = mapped_column(JSON)
    space_version: Mapped[int] = mapped_column(Integer)
    provenance: Mapped[dict[str, Any]] = mapped_column(JSON)
    parameters: Mapped[bytes] = mapped_column(Sealed)  # safetensors
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Prediction(Base):
    """What a classifier predicts for a clip, under its task; a person's label stands beside it."""

    __tablename__ = "predictions"
    __table_args__ = (
        Index("ix_predictions_task_value_probability", "task", "value", "probability"),
        Index("ix_predictions_classifier_id", "classifier_id"),
    )

    task: Mapped[str] = mapped_column(Text, primary_key=True)
    clip_id: Mapped[int] = _owner("clips.id", primary_key=True)
    classifier_id: Mapped[int] = _owner("classifiers.id")
    value: Mapped[str] = mapped_column(Text)
    probability: Mapped[float] = mapped_column(Float)


Index("ix_predictions_clip_id", Prediction.clip_id)  # for the cascade of a clip


class ClusteringRow(Base):
    """A clustering of clips, saved under a name."""

    __tablename__ = "clusterings"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"))
    method: Mapped[str] = mapped_column(Text)
    k: Mapped[int] = mapped_column(Integer)
    space_version: Mapped[int] = mapped_column(Integer)
    parameters: Mapped[dict[str, Any]] = mapped_column(JSON)
    summary: Mapped[list[dict[str, Any]]] = mapped_column(JSON)  # what each cluster holds
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ClusterMember(Base):
    """The cluster of a clip in a clustering; -1 for none."""

    __tablename__ = "cluster_members"
    __table_args__ = (
        Index("ix_cluster_members_clustering_id_cluster", "clustering_id", "cluster"),
    )

    clip_id: Mapped[int] = _owner("clips.id", primary_key=True)
    clustering_id: Mapped[int] = _owner("clusterings.id", primary_key=True)
    cluster: Mapped[int] = mapped_column(Integer)

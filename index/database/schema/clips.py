"""Tables of recordings and their clips, with labels and embeddings."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    Float,
    ForeignKey,
    Index,
    Integer,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column

from emotion_search.index.database.schema.columns import Base, BigId, belongs_to
from emotion_search.index.database.schema.values import (
    Affect,
    Given,
    Hash,
    Named,
    Score,
    Uuid,
    within,
)


class Archive(Base):
    """The archive itself (one row): its identity, the model that serves, and the last revision of
    what is known of clips beside their embeddings."""

    __tablename__ = "archive"
    __table_args__ = (CheckConstraint("id = 1", name="ck_archive_one_row"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    uuid: Mapped[Uuid]
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
    sha256: Mapped[Hash] = mapped_column(unique=True)
    name: Mapped[Named]
    source: Mapped[Named | None]
    speaker: Mapped[Named | None]
    recorded_at: Mapped[datetime | None]
    duration: Mapped[float]
    sample_rate: Mapped[int] = within(0, 1e7)  # 0 of an import, whose audio nobody has read
    channels: Mapped[int] = within(1, 65_535)
    cut: Mapped[str | None]  # how its clips were made
    ingested_at: Mapped[datetime]


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

    path: Mapped[Named] = mapped_column(primary_key=True)
    recording_id: Mapped[int] = belongs_to("recordings.id")
    size: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = within(-(2**63), 2**63 - 1, BigInteger)


class Metadatum(Base):
    """A free key and value of a recording."""

    __tablename__ = "recording_metadata"

    recording_id: Mapped[int] = belongs_to("recordings.id", primary_key=True)
    key: Mapped[Named] = mapped_column(primary_key=True)
    value: Mapped[str]


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
    recording_id: Mapped[int] = belongs_to("recordings.id")
    channel: Mapped[int | None] = within(0, 65_534)  # None: all channels mixed down
    channel_name: Mapped[Named | None]  # agent, customer
    speaker: Mapped[Named | None]  # where the recording has several
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

    clip_id: Mapped[int] = belongs_to("clips.id", primary_key=True)
    task: Mapped[Given] = mapped_column(primary_key=True)
    value: Mapped[Given]


class Embedding(Base):
    """The vector and class scores of a clip under one model (little-endian float32 bytes)."""

    __tablename__ = "embeddings"
    __table_args__ = (
        Index("ix_embeddings_model_id_revision", "model_id", "revision"),
        Index("ix_embeddings_emotion", "model_id", "emotion", "confidence", "clip_id"),
        Index("ix_embeddings_confidence", "model_id", "confidence", "clip_id"),
        Index("ix_embeddings_score_version", "model_id", "score_version"),
    )

    clip_id: Mapped[int] = belongs_to("clips.id", primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"), primary_key=True)
    revision: Mapped[int] = mapped_column(BigInteger)
    vector: Mapped[bytes]
    scores: Mapped[bytes]
    # Not within them, as ``Sealed`` has it: searches read vectors past SQLAlchemy. None until a
    # check, in archives of earlier versions.
    vector_crc32: Mapped[int | None] = mapped_column(BigInteger)
    scores_crc32: Mapped[int | None] = mapped_column(BigInteger)
    emotion: Mapped[str | None]  # the class of the highest score, and it
    confidence: Mapped[Score | None]
    valence: Mapped[Affect | None]  # of the scores; see ``affect``
    arousal: Mapped[Affect | None]
    dominance: Mapped[Affect | None]
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

    digest: Mapped[Hash] = mapped_column(primary_key=True)

"""Tables of embedding models, and of the spaces that are fitted under them."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, ForeignKeyConstraint, Index, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column

from emotion_search.index.database.schema.columns import Base, BigId, Sealed, belongs_to
from emotion_search.index.database.schema.values import Hash, Named, one_of, within
from emotion_search.index.vectors.space import Method


class Model(Base):
    """An embedding model: the last revision handed out under it, the space that serves, the version
    of the centres that scores are adapted to, and the mean of the archive."""

    __tablename__ = "models"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - as with clips

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[Named]
    fingerprint: Mapped[Hash] = mapped_column(unique=True)
    dimension: Mapped[int]
    classes: Mapped[list[str]]
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
    method: Mapped[str] = one_of(*Method)
    task: Mapped[str | None]  # whose labels taught it
    clips: Mapped[int] = mapped_column(BigInteger)  # how many it was fitted on
    mean: Mapped[bytes] = mapped_column(Sealed)  # little-endian float32, as the matrix is
    matrix: Mapped[bytes | None] = mapped_column(Sealed)
    gain: Mapped[float | None] = within(-2, 2)
    baselines: Mapped[int | None]  # the version whose baselines it takes
    fitted_at: Mapped[datetime]


class BaselineRow(Base):
    """What the clips of a speaker, recording or source have in common, in a space of baselines."""

    __tablename__ = "baselines"
    __table_args__ = (
        ForeignKeyConstraint(
            ["model_id", "space_version"], ["spaces.model_id", "spaces.version"], ondelete="CASCADE"
        ),
        Index("ix_baselines_recording_id", "recording_id"),
        Index("ix_baselines_speaker", "speaker"),
    )

    model_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    space_version: Mapped[int] = mapped_column(Integer, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)  # see ``baselines.keys_of``
    source: Mapped[str | None]
    speaker: Mapped[str | None]
    recording_id: Mapped[int | None] = belongs_to("recordings.id")
    channel: Mapped[int | None]
    clips: Mapped[int] = mapped_column(BigInteger)
    mean: Mapped[bytes] = mapped_column(Sealed)  # little-endian float32


class CalibrationRow(Base):
    """Cosines of random pairs of clips in a space, as quantiles (little-endian float32)."""

    __tablename__ = "calibrations"

    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"), primary_key=True)
    space_version: Mapped[int] = mapped_column(Integer, primary_key=True)
    clips: Mapped[int] = mapped_column(BigInteger)  # in the archive at the time
    quantiles: Mapped[bytes] = mapped_column(Sealed)

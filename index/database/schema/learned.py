"""Tables of classifiers, predictions and clusterings."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from emotion_search.index.database.schema.columns import Base, BigId, Sealed, belongs_to
from emotion_search.index.database.schema.values import Given, Named, Score, one_of, within


class ClassifierRow(Base):
    """A classifier that was trained on labels: its fitted arrays, and where they come from."""

    __tablename__ = "classifiers"
    __table_args__ = (
        UniqueConstraint("task", "version", name="uq_classifiers_task_version"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"))
    task: Mapped[Named]
    version: Mapped[int] = within(1, 2**31 - 1)  # of the task's
    method: Mapped[str]
    classes: Mapped[list[str]]
    space_version: Mapped[int]
    provenance: Mapped[dict[str, Any]]
    parameters: Mapped[bytes] = mapped_column(Sealed)  # safetensors
    created_at: Mapped[datetime]


class Prediction(Base):
    """What a classifier predicts for a clip, under its task; a person's label stands beside it."""

    __tablename__ = "predictions"
    __table_args__ = (
        Index("ix_predictions_task_value_probability", "task", "value", "probability"),
        Index("ix_predictions_classifier_id", "classifier_id"),
    )

    task: Mapped[Named] = mapped_column(primary_key=True)
    clip_id: Mapped[int] = belongs_to("clips.id", primary_key=True)
    classifier_id: Mapped[int] = belongs_to("classifiers.id")
    value: Mapped[Given]
    probability: Mapped[Score]


Index("ix_predictions_clip_id", Prediction.clip_id)  # for the cascade of a clip


class ClusteringRow(Base):
    """A clustering of clips, saved under a name."""

    __tablename__ = "clusterings"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[Named] = mapped_column(unique=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"))
    method: Mapped[str] = one_of("kmeans", "hdbscan")
    k: Mapped[int]
    space_version: Mapped[int]
    parameters: Mapped[dict[str, Any]]
    summary: Mapped[list[dict[str, Any]]]  # what each cluster holds
    created_at: Mapped[datetime]


class ClusterMember(Base):
    """The cluster of a clip in a clustering; -1 for none."""

    __tablename__ = "cluster_members"
    __table_args__ = (
        Index("ix_cluster_members_clustering_id_cluster", "clustering_id", "cluster"),
    )

    clip_id: Mapped[int] = belongs_to("clips.id", primary_key=True)
    clustering_id: Mapped[int] = belongs_to("clusterings.id", primary_key=True)
    cluster: Mapped[int] = within(-1, 2**31 - 1)

"""What is learned from an archive: classifiers and what they say, clusterings and their members."""

import sqlalchemy as sa
from alembic import op

from emotion_search.migrations.columns import BIG_ID, MOMENT, reference

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "classifiers",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("model_id", BIG_ID, sa.ForeignKey("models.id"), nullable=False),
        sa.Column("task", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("classes", sa.JSON, nullable=False),
        sa.Column("space_version", sa.Integer, nullable=False),
        sa.Column("provenance", sa.JSON, nullable=False),
        sa.Column("parameters", sa.LargeBinary, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.UniqueConstraint("task", "version", name="uq_classifiers_task_version"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "predictions",
        sa.Column("task", sa.Text, primary_key=True),
        reference("clip_id", "clips.id", primary_key=True),
        reference("classifier_id", "classifiers.id"),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("probability", sa.Float, nullable=False),
    )
    op.create_index(
        "ix_predictions_task_value_probability", "predictions", ["task", "value", "probability"]
    )
    op.create_index("ix_predictions_classifier_id", "predictions", ["classifier_id"])
    op.create_index("ix_predictions_clip_id", "predictions", ["clip_id"])
    op.create_table(
        "clusterings",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("model_id", BIG_ID, sa.ForeignKey("models.id"), nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("k", sa.Integer, nullable=False),
        sa.Column("space_version", sa.Integer, nullable=False),
        sa.Column("parameters", sa.JSON, nullable=False),
        sa.Column("summary", sa.JSON, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "cluster_members",
        reference("clip_id", "clips.id", primary_key=True),
        reference("clustering_id", "clusterings.id", primary_key=True),
        sa.Column("cluster", sa.Integer, nullable=False),
    )
    op.create_index(
        "ix_cluster_members_clustering_id_cluster", "cluster_members", ["clustering_id", "cluster"]
    )


def downgrade() -> None:
    for table in ("cluster_members", "clusterings", "predictions", "classifiers"):
        op.drop_table(table)

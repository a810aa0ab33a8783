"""An archive: models, recordings, clips, labels, embeddings, failures."""

import sqlalchemy as sa
from alembic import op

from emotion_search.migrations.columns import BIG_ID, MOMENT, reference

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "models",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False, unique=True),
        sa.Column("dimension", sa.Integer, nullable=False),
        sa.Column("classes", sa.JSON, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "archive",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("uuid", sa.String(36), nullable=False),
        sa.Column("active_model_id", BIG_ID, sa.ForeignKey("models.id")),
        sa.CheckConstraint("id = 1", name="ck_archive_one_row"),
    )
    op.create_table(
        "recordings",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("sha256", sa.String(64), nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("source", sa.Text),
        sa.Column("speaker", sa.Text),
        sa.Column("recorded_at", MOMENT),
        sa.Column("duration", sa.Float, nullable=False),
        sa.Column("sample_rate", sa.Integer, nullable=False),
        sa.Column("channels", sa.Integer, nullable=False),
        sa.Column("ingested_at", MOMENT, nullable=False),
        sqlite_autoincrement=True,
    )
    for column in ("source", "speaker", "recorded_at"):
        op.create_index(f"ix_recordings_{column}", "recordings", [column])
    op.create_table(
        "locations",
        sa.Column("path", sa.Text, primary_key=True),
        reference("recording_id", "recordings.id"),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("mtime_ns", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_locations_recording_id", "locations", ["recording_id"])
    op.create_table(
        "recording_metadata",
        reference("recording_id", "recordings.id", primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_index(
        "ix_recording_metadata_key_value",
        "recording_metadata",
        ["key", sa.text("substr(value, 1, 200)")],
    )
    op.create_table(
        "clips",
        sa.Column("id", BIG_ID, primary_key=True),
        reference("recording_id", "recordings.id"),
        sa.Column("channel", sa.Integer),
        sa.Column("start_s", sa.Float, nullable=False),
        sa.Column("end_s", sa.Float, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_clips_recording_id", "clips", ["recording_id"])
    op.create_table(
        "labels",
        reference("clip_id", "clips.id", primary_key=True),
        sa.Column("task", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_index("ix_labels_task_value", "labels", ["task", "value"])
    op.create_table(
        "embeddings",
        reference("clip_id", "clips.id", primary_key=True),
        sa.Column("model_id", BIG_ID, sa.ForeignKey("models.id"), primary_key=True),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
        sa.Column("scores", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_embeddings_model_id_revision", "embeddings", ["model_id", "revision"])
    op.create_table(
        "tombstones",
        sa.Column("model_id", BIG_ID, sa.ForeignKey("models.id"), primary_key=True),
        sa.Column("revision", sa.BigInteger, primary_key=True),
        sa.Column("clip_id", sa.BigInteger, primary_key=True),
    )
    op.create_table(
        "failures",
        sa.Column("path", sa.Text, primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("failed_at", MOMENT, nullable=False),
    )


def downgrade() -> None:
    for table in (
        "failures",
        "tombstones",
        "embeddings",
        "labels",
        "clips",
        "recording_metadata",
        "locations",
        "recordings",
        "archive",
        "models",
    ):
        op.drop_table(table)

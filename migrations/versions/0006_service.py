"""Jobs of the HTTP service, and its keys."""

import sqlalchemy as sa
from alembic import op

from emotion_search.migrations.columns import BIG_ID, MOMENT, reference

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("place", sa.String(36), nullable=False),
        sa.Column("stored", sa.String(32), nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("idempotency_key", sa.Text),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("said", sa.JSON, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("total", sa.Float),
        reference("recording_id", "recordings.id", nullable=True),
        sa.Column("is_new", sa.Boolean),
        sa.Column("problem", sa.JSON),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("started_at", MOMENT),
        sa.Column("finished_at", MOMENT),
        sa.UniqueConstraint("owner", "idempotency_key", name="uq_jobs_owner_idempotency_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_jobs_status", "jobs", ["status"])
    op.create_index("ix_jobs_stored", "jobs", ["stored"])
    op.create_index("ix_jobs_recording_id", "jobs", ["recording_id"])
    op.create_table(
        "api_keys",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("prefix", sa.String(16), nullable=False, unique=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("revoked_at", MOMENT),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("api_keys")
    op.drop_table("jobs")

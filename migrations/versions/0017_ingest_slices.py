"""Bulk ingests that many processes share: runs, and slices of them on lease."""

import sqlalchemy as sa
from alembic import op

from emotion_search.migrations.columns import BIG_ID, MOMENT, reference

revision = "0017"
down_revision = "0015"


def upgrade() -> None:
    op.create_table(
        "ingest_runs",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("named", sa.Text, nullable=False),
        sa.Column("options", sa.JSON, nullable=False),
        sa.Column("files", sa.BigInteger, nullable=False),
        sa.Column("known", sa.BigInteger, nullable=False),
        sa.Column("last", sa.Text),
        sa.Column("lister", sa.Text),
        sa.Column("lease_until", MOMENT),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("listed_at", MOMENT),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "ingest_slices",
        sa.Column("id", BIG_ID, primary_key=True),
        reference("run_id", "ingest_runs.id"),
        sa.Column("files", sa.JSON, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("worker", sa.Text),
        sa.Column("lease_until", MOMENT),
        sa.Column("started_at", MOMENT),
        sa.Column("seen_at", MOMENT),
        sa.Column("finished_at", MOMENT),
        sa.Column("done", sa.Integer, nullable=False),
        sa.Column("recordings", sa.Integer, nullable=False),
        sa.Column("clips", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_ingest_slices_open", "ingest_slices", ["finished_at", "lease_until"])
    op.create_index("ix_ingest_slices_run_id", "ingest_slices", ["run_id"])


def downgrade() -> None:
    op.drop_table("ingest_slices")
    op.drop_table("ingest_runs")

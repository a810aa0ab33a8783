"""Leases of jobs, and what kind of work the runs are that processes share."""

import sqlalchemy as sa
from alembic import op

from emotion_search.migrations.columns import MOMENT

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("worker", sa.Text))
    op.add_column("jobs", sa.Column("lease_until", MOMENT))
    op.add_column(
        "ingest_runs", sa.Column("kind", sa.Text, nullable=False, server_default="ingest")
    )


def downgrade() -> None:
    op.drop_column("ingest_runs", "kind")
    op.drop_column("jobs", "lease_until")
    op.drop_column("jobs", "worker")

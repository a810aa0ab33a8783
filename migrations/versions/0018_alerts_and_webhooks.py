"""Alert rules with what set them off, and webhooks with their deliveries."""

import sqlalchemy as sa
from alembic import op

from emotion_search.migrations.columns import BIG_ID, MOMENT, reference

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("measure", sa.Text, nullable=False),
        sa.Column("window", sa.Text, nullable=False),
        sa.Column("filters", sa.JSON, nullable=False),
        sa.Column("seen", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("problem", sa.Text),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("checked_at", MOMENT),
        sa.Column("fired_at", MOMENT),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "alert_firings",
        sa.Column("id", BIG_ID, primary_key=True),
        reference("alert_id", "alerts.id"),
        reference("recording_id", "recordings.id", nullable=True),
        sa.Column("period", sa.JSON),
        sa.Column("value", sa.Float, nullable=False),
        sa.Column("fired_at", MOMENT, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_alert_firings_alert_id", "alert_firings", ["alert_id"])
    op.create_index("ix_alert_firings_recording_id", "alert_firings", ["recording_id"])
    op.create_table(
        "webhooks",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("url", sa.Text, nullable=False, unique=True),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("events", sa.JSON, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", BIG_ID, primary_key=True),
        reference("webhook_id", "webhooks.id"),
        sa.Column("message", sa.String(40), nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", MOMENT),
        sa.Column("status", sa.Integer),
        sa.Column("problem", sa.Text),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("delivered_at", MOMENT),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_webhook_deliveries_webhook_id", "webhook_deliveries", ["webhook_id"])
    op.create_index("ix_webhook_deliveries_due_at", "webhook_deliveries", ["due_at"])


def downgrade() -> None:
    for table in ("webhook_deliveries", "webhooks", "alert_firings", "alerts"):
        op.drop_table(table)

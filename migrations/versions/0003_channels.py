"""Channels by name, and how a recording was cut into clips."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("clips", sa.Column("channel_name", sa.Text))
    op.add_column("recordings", sa.Column("cut", sa.Text))


def downgrade() -> None:
    op.drop_column("recordings", "cut")
    op.drop_column("clips", "channel_name")

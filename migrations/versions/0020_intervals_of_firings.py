"""Intervals of what set an alert off, and how much of it was uncertain."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

_ADDED = ("low", "high", "uncertain")


def upgrade() -> None:
    for name in _ADDED:
        op.add_column("alert_firings", sa.Column(name, sa.Float))


def downgrade() -> None:
    for name in reversed(_ADDED):
        op.drop_column("alert_firings", name)

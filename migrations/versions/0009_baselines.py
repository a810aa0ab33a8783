"""Baselines of speakers, recordings and sources."""

import sqlalchemy as sa
from alembic import op

from emotion_search.migrations.columns import BIG_ID, reference

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("spaces", sa.Column("baselines", sa.Integer))
    op.create_table(
        "baselines",
        sa.Column("model_id", BIG_ID, primary_key=True),
        sa.Column("space_version", sa.Integer, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("source", sa.Text),
        sa.Column("speaker", sa.Text),
        reference("recording_id", "recordings.id", nullable=True),
        sa.Column("channel", sa.Integer),
        sa.Column("clips", sa.BigInteger, nullable=False),
        sa.Column("mean", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id", "space_version"], ["spaces.model_id", "spaces.version"], ondelete="CASCADE"
        ),
    )
    op.create_index("ix_baselines_recording_id", "baselines", ["recording_id"])
    op.create_index("ix_baselines_speaker", "baselines", ["speaker"])


def downgrade() -> None:
    # Spaces of baselines mean nothing without them: the archive's mean serves in their place.
    op.execute("UPDATE spaces SET method = 'centred' WHERE method = 'baseline'")
    op.execute("UPDATE spaces SET method = 'learned' WHERE method = 'baseline-learned'")
    op.drop_table("baselines")
    op.drop_column("spaces", "baselines")

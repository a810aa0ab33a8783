"""Spaces of similarity, which of them serves, and what their cosines mean."""

import sqlalchemy as sa
from alembic import op

from emotion_search.migrations.columns import BIG_ID, MOMENT

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column(
        "models", sa.Column("space_version", sa.Integer, nullable=False, server_default="0")
    )
    op.create_table(
        "spaces",
        sa.Column("model_id", BIG_ID, sa.ForeignKey("models.id"), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("task", sa.Text),
        sa.Column("clips", sa.BigInteger, nullable=False),
        sa.Column("mean", sa.LargeBinary, nullable=False),
        sa.Column("matrix", sa.LargeBinary),
        sa.Column("gain", sa.Float),
        sa.Column("fitted_at", MOMENT, nullable=False),
    )
    op.create_table(
        "calibrations",
        sa.Column("model_id", BIG_ID, sa.ForeignKey("models.id"), primary_key=True),
        sa.Column("space_version", sa.Integer, primary_key=True),
        sa.Column("clips", sa.BigInteger, nullable=False),
        sa.Column("quantiles", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("calibrations")
    op.drop_table("spaces")
    op.drop_column("models", "space_version")

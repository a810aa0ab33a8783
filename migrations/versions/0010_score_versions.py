"""Versions of scores, and the mean of the archive that they are adapted to."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    # What is there already was made without any context: it is behind from the start.
    op.add_column(
        "models", sa.Column("score_version", sa.BigInteger, nullable=False, server_default="0")
    )
    op.execute("UPDATE models SET score_version = 1")
    op.add_column("models", sa.Column("mean", sa.LargeBinary))
    op.add_column("models", sa.Column("mean_clips", sa.BigInteger))
    op.add_column(
        "embeddings", sa.Column("score_version", sa.BigInteger, nullable=False, server_default="0")
    )
    op.create_index("ix_embeddings_score_version", "embeddings", ["model_id", "score_version"])


def downgrade() -> None:
    op.drop_index("ix_embeddings_score_version", table_name="embeddings")
    op.drop_column("embeddings", "score_version")
    for name in ("mean_clips", "mean", "score_version"):
        op.drop_column("models", name)

"""Revisions of what is known of clips beside their embeddings, which searches keep in memory."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    for table in ("archive", "clips"):
        op.add_column(
            table, sa.Column("revision", sa.BigInteger, nullable=False, server_default="0")
        )
    op.create_index("ix_clips_revision", "clips", ["revision"])
    _index_emotions(["model_id", "emotion", "confidence", "clip_id"])


def downgrade() -> None:
    _index_emotions(["model_id", "emotion", "confidence"])
    op.drop_index("ix_clips_revision", table_name="clips")
    for table in ("clips", "archive"):
        op.drop_column(table, "revision")


def _index_emotions(columns: list[str]) -> None:
    """With the clip in it, emotions are read without the vectors that lie before them."""
    op.drop_index("ix_embeddings_emotion", table_name="embeddings")
    op.create_index("ix_embeddings_emotion", "embeddings", columns)

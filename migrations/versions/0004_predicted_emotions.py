"""Predicted emotion of each clip, and an index for every filter."""

import sqlalchemy as sa
from alembic import op

from emotion_search.migrations.columns import stored_scores

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("embeddings", sa.Column("emotion", sa.Text))
    op.add_column("embeddings", sa.Column("confidence", sa.Float))
    _fill()
    op.create_index("ix_embeddings_emotion", "embeddings", ["model_id", "emotion", "confidence"])
    op.create_index("ix_clips_channel", "clips", ["channel"])
    op.create_index("ix_clips_channel_name", "clips", ["channel_name"])
    op.create_index("ix_clips_duration", "clips", [sa.text("(end_s - start_s)")])
    if op.get_bind().dialect.name == "postgresql":  # floats do not compress; trying takes long
        op.execute("ALTER TABLE embeddings ALTER COLUMN vector SET STORAGE EXTERNAL")


def downgrade() -> None:
    op.drop_index("ix_clips_duration", "clips")
    op.drop_index("ix_clips_channel_name", "clips")
    op.drop_index("ix_clips_channel", "clips")
    op.drop_index("ix_embeddings_emotion", "embeddings")
    op.drop_column("embeddings", "confidence")
    op.drop_column("embeddings", "emotion")


def _fill() -> None:
    """The class of the highest score of each embedding, and that score."""
    connection = op.get_bind()
    change = sa.text(
        "UPDATE embeddings SET emotion = :emotion, confidence = :confidence"
        " WHERE model_id = :model AND clip_id = :clip"
    )
    for model, names, part in stored_scores(connection):
        updates = [
            {
                "model": model,
                "clip": clip,
                "emotion": names[best],
                "confidence": float(scores[best]),
            }
            for clip, scores in part
            for best in [int(scores.argmax())]
        ]
        if updates:
            connection.execute(change, updates)

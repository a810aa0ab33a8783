"""Predicted emotion of each clip, and an index for every filter."""

import json

import numpy as np
import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_ROWS = 2000


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
    rows = connection.execute(sa.text("SELECT id, classes FROM models")).all()
    for model, classes in rows:
        names = json.loads(classes) if isinstance(classes, str) else classes
        after = 0
        while names:
            part = connection.execute(
                sa.text(
                    "SELECT clip_id, scores FROM embeddings"
                    " WHERE model_id = :model AND clip_id > :after ORDER BY clip_id LIMIT :most"
                ),
                {"model": model, "after": after, "most": _ROWS},
            ).all()
            if not part:
                break
            after = part[-1][0]
            updates = []
            for clip, scores in part:
                values = np.frombuffer(scores, dtype="<f4")
                if len(values):
                    best = int(values.argmax())
                    updates.append(
                        {
                            "model": model,
                            "clip": clip,
                            "emotion": names[best],
                            "confidence": float(values[best]),
                        }
                    )
            if updates:
                connection.execute(
                    sa.text(
                        "UPDATE embeddings SET emotion = :emotion, confidence = :confidence"
                        " WHERE model_id = :model AND clip_id = :clip"
                    ),
                    updates,
                )

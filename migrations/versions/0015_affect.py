"""Valence, arousal and dominance of each embedding's scores."""

import sqlalchemy as sa
from alembic import op

from emotion_search.index.database.affect import DIMENSIONS, affect
from emotion_search.migrations.columns import stored_scores

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    for name in DIMENSIONS:
        op.add_column("embeddings", sa.Column(name, sa.Float))
    connection = op.get_bind()
    change = sa.text(
        "UPDATE embeddings SET valence = :valence, arousal = :arousal, dominance = :dominance"
        " WHERE model_id = :model AND clip_id = :clip"
    )
    for model, classes, part in stored_scores(connection):
        values = [
            {"model": model, "clip": clip, **dict(zip(DIMENSIONS, found.tolist(), strict=True))}
            for clip, scores in part
            if len(scores) == len(classes)
            for found in [affect(classes, scores)]
        ]
        if values:
            connection.execute(change, values)


def downgrade() -> None:
    for name in DIMENSIONS:
        op.drop_column("embeddings", name)

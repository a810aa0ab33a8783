"""Valence, arousal and dominance of each embedding's scores."""

import json

import numpy as np
import sqlalchemy as sa
from alembic import op

from emotion_search.index.database.affect import DIMENSIONS, affect

revision = "0015"
down_revision = "0014"

_ROWS = 2000


def upgrade() -> None:
    for name in DIMENSIONS:
        op.add_column("embeddings", sa.Column(name, sa.Float))
    connection = op.get_bind()
    for model, classes in connection.execute(sa.text("SELECT id, classes FROM models")).all():
        names = json.loads(classes) if isinstance(classes, str) else classes
        if names:
            _fill(connection, model, names)


def downgrade() -> None:
    for name in DIMENSIONS:
        op.drop_column("embeddings", name)


def _fill(connection: sa.Connection, model: int, classes: list[str]) -> None:
    query = sa.text(
        "SELECT clip_id, scores FROM embeddings"
        " WHERE model_id = :model AND clip_id > :after ORDER BY clip_id LIMIT :most"
    )
    change = sa.text(
        "UPDATE embeddings SET valence = :valence, arousal = :arousal, dominance = :dominance"
        " WHERE model_id = :model AND clip_id = :clip"
    )
    after = 0
    while rows := connection.execute(query, {"model": model, "after": after, "most": _ROWS}).all():
        after = rows[-1][0]
        scored = [(clip, np.frombuffer(data, "<f4")) for clip, data in rows if data]
        values = [
            {"model": model, "clip": clip, **dict(zip(DIMENSIONS, found.tolist(), strict=True))}
            for clip, scores in scored
            if len(scores) == len(classes)
            for found in [affect(classes, scores)]
        ]
        if values:
            connection.execute(change, values)

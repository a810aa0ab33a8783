"""Ids of models are never used again; an index for scores of whatever emotion."""

import sqlalchemy as sa
from alembic import op

from emotion_search.migrations.columns import BIG_ID

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    _make_models_anew(sqlite_autoincrement=True)
    op.create_index("ix_embeddings_confidence", "embeddings", ["model_id", "confidence", "clip_id"])


def downgrade() -> None:
    op.drop_index("ix_embeddings_confidence", table_name="embeddings")
    _make_models_anew(sqlite_autoincrement=False)


def _make_models_anew(*, sqlite_autoincrement: bool) -> None:
    """On SQLite, whose tables cannot learn it; Postgres never uses an id again.

    References to the rows hang in the air between the drop and the insert: they are counted, and
    checked at the commit.
    """
    if op.get_bind().dialect.name != "sqlite":
        return
    op.execute("PRAGMA defer_foreign_keys = ON")
    op.execute("CREATE TEMP TABLE models_before AS SELECT * FROM models")
    op.drop_table("models")
    op.create_table(
        "models",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False, unique=True),
        sa.Column("dimension", sa.Integer, nullable=False),
        sa.Column("classes", sa.JSON, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("space_version", sa.Integer, nullable=False, server_default="0"),
        sqlite_autoincrement=sqlite_autoincrement,
    )
    op.execute(
        "INSERT INTO models (id, name, fingerprint, dimension, classes, revision, space_version)"
        " SELECT id, name, fingerprint, dimension, classes, revision, space_version"
        " FROM models_before"
    )
    op.execute("DROP TABLE models_before")

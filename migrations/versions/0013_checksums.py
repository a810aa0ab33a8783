"""Checksums of embeddings and scores, in columns; of other vectors, at their end; and an index that
has what recordings hold a second time."""

import zlib
from collections.abc import Callable

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0011"

_SEALED = (  # table, column, and the columns of its key
    ("models", "mean", ["id"]),
    ("spaces", "mean", ["model_id", "version"]),
    ("spaces", "matrix", ["model_id", "version"]),
    ("baselines", "mean", ["model_id", "space_version", "key"]),
    ("calibrations", "quantiles", ["model_id", "space_version"]),
    ("classifiers", "parameters", ["id"]),
)


def upgrade() -> None:
    for name in ("vector_crc32", "scores_crc32"):  # those there are get theirs by a check
        op.add_column("embeddings", sa.Column(name, sa.BigInteger))
    op.create_index(
        "ix_recordings_twice",
        "recordings",
        [
            sa.text("substr(name, 1, 200)"),
            sa.text("substr(cut, 1, 200)"),
            "duration",
            "sample_rate",
            "channels",
            "ingested_at",
        ],
    )
    _change(lambda data: data + zlib.crc32(data).to_bytes(4, "little"))


def downgrade() -> None:
    _change(lambda data: data[:-4])
    op.drop_index("ix_recordings_twice", table_name="recordings")
    for name in ("vector_crc32", "scores_crc32"):
        op.drop_column("embeddings", name)


def _change(how: Callable[[bytes], bytes]) -> None:
    connection = op.get_bind()
    for name, column, keys in _SEALED:
        table = sa.table(name, sa.column(column, sa.LargeBinary), *map(sa.column, keys))
        wanted = sa.select(*(table.c[key] for key in keys)).where(table.c[column].is_not(None))
        for row in connection.execute(wanted).all():
            here = sa.and_(*(table.c[key] == value for key, value in zip(keys, row, strict=True)))
            data = connection.execute(sa.select(table.c[column]).where(here)).scalar_one()
            values = {column: how(bytes(data))}
            connection.execute(sa.update(table).where(here).values(values))

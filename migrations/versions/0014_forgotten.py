"""What was forgotten stays so; speakers of single channels; text in NFC."""

from unicodedata import normalize

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

TEXTS = {
    "recordings": ("source", "speaker"),
    "recording_metadata": ("key", "value"),
    "labels": ("task", "value"),
    "predictions": ("task", "value"),
    "classifiers": ("task",),
    "spaces": ("task",),
    "clips": ("channel_name",),
    "clusterings": ("name",),
    "baselines": ("key", "source", "speaker"),
}
KEYS = {  # what is unique together with the text
    ("recording_metadata", "key"): ("recording_id",),
    ("labels", "task"): ("clip_id",),
    ("predictions", "task"): ("clip_id",),
    ("baselines", "key"): ("model_id", "space_version"),
}
WHOLE = ("classifiers", "clusterings")


def upgrade() -> None:
    op.create_table("forgotten", sa.Column("digest", sa.String(64), primary_key=True))
    op.add_column("clips", sa.Column("speaker", sa.Text))
    op.create_index("ix_clips_speaker", "clips", ["speaker", "recording_id"])
    for table, columns in TEXTS.items():
        for column in columns:
            keys = KEYS.get((table, column), ())
            _normalise(sa.table(table, *map(sa.column, {*columns, *keys})), column)


def downgrade() -> None:
    op.drop_index("ix_clips_speaker", table_name="clips")
    op.drop_column("clips", "speaker")
    op.drop_table("forgotten")


def _normalise(table: sa.TableClause, name: str) -> None:
    """Texts compare as they are read: both ways to write an é are one."""
    connection, column = op.get_bind(), table.c[name]
    if connection.dialect.name == "sqlite":
        beyond_ascii = sa.func.length(sa.cast(column, sa.LargeBinary)) != sa.func.length(column)
    else:
        beyond_ascii = sa.func.octet_length(column) != sa.func.char_length(column)
    query = sa.select(column).distinct().where(beyond_ascii)
    found = connection.scalars(query.execution_options(yield_per=1000))
    changed = {text: normal for text in found if (normal := normalize("NFC", text)) != text}
    for text, normal in changed.items():
        same_name = sa.select(column).where(column == normal).limit(1)
        if table.name in WHOLE and connection.scalar(same_name) is not None:
            continue  # two of one name stay apart
        if (table.name, name) in KEYS:
            twin = table.alias()
            same = [twin.c[key] == table.c[key] for key in KEYS[table.name, name]]
            both = sa.exists().where(twin.c[name] == normal, *same)
            connection.execute(sa.delete(table).where(column == text, both))
        connection.execute(sa.update(table).where(column == text).values({name: normal}))

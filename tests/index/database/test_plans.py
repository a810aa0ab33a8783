"""Every filter is answered by an index of the database, never by reading a whole table."""

import re
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from emotion_search.index.database.connection import Database
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.matching import matching
from emotion_search.index.database.schema import Base

FILTERS = {
    "source": (ClipFilter(sources=("x",)), "ix_recordings_source"),
    "speaker": (ClipFilter(speakers=("x",)), "ix_recordings_speaker"),
    "label": (ClipFilter(labels=("x",)), "ix_labels_task_value"),
    "emotion": (ClipFilter(emotions=("x",)), "ix_embeddings_emotion"),
    "emotion by score": (ClipFilter(emotions=("x",), min_score=0.5), r"ix_embeddings_\w+"),
    "score": (ClipFilter(min_score=0.5), "ix_embeddings_confidence"),
    "time": (ClipFilter(after=datetime(2026, 1, 1, tzinfo=UTC)), "ix_recordings_recorded_at"),
    "metadata": (ClipFilter(metadata={"k": "v"}), "ix_recording_metadata_key_value"),
    "channel": (ClipFilter(channels=("customer",)), "ix_clips_channel_name"),
    "channel by number": (ClipFilter(channels=("1", "customer")), "ix_clips_channel"),
    "duration": (ClipFilter(min_duration=5.0), "ix_clips_duration"),
    "predicted": (
        ClipFilter(predicted=("x",), min_probability=0.5),
        "ix_predictions_task_value_probability",
    ),
    "cluster": (
        ClipFilter(clusters=("x:1", "y:noise")),
        "ix_cluster_members_clustering_id_cluster",
    ),
}


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_uses_an_index(database: Database, name: str):
    wanted, known_by = FILTERS[name]
    with database.read() as session:
        statement = matching(wanted).compile(
            session.connection(), compile_kwargs={"literal_binds": True}
        )
        if database.is_sqlite:
            rows = session.execute(text(f"EXPLAIN QUERY PLAN {statement}")).all()
            plan = "\n".join(row[3] for row in rows)
            assert "SCAN" not in plan.replace("SCAN archive", ""), plan  # which has one row
        else:
            session.execute(text("SET LOCAL enable_seqscan = off"))  # the tables are empty
            plan = "\n".join(session.scalars(text(f"EXPLAIN {statement}")))
            assert "Seq Scan" not in plan.replace("Seq Scan on archive", ""), plan
        assert re.search(rf"\b{known_by}\b", plan), plan


def test_every_reference_to_another_table_is_indexed(database: Database):
    """Deleting a recording looks up what refers to it."""
    for table in Base.metadata.sorted_tables:
        led = {next(iter(table.primary_key.columns)).name}
        led |= {next(iter(index.columns)).name for index in table.indexes if len(index.columns)}
        for key in table.foreign_keys:
            first = next(iter(key.constraint.columns)) if key.constraint is not None else None
            if key.ondelete == "CASCADE" and key.parent is first:
                assert key.parent.name in led, f"{table.name}.{key.parent.name}"

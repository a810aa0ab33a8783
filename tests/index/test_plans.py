"""Every filter is answered by an index of the database, never by reading a whole table."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from index.database import Database
from index.filters import ClipFilter, matching
from index.schema import Base

FILTERS = {
    "source": ClipFilter(sources=("x",)),
    "speaker": ClipFilter(speakers=("x",)),
    "label": ClipFilter(labels=("x",)),
    "emotion": ClipFilter(emotions=("x",), min_score=0.5),
    "time": ClipFilter(after=datetime(2026, 1, 1, tzinfo=UTC)),
    "metadata": ClipFilter(metadata={"k": "v"}),
    "channel": ClipFilter(channels=("customer",)),
    "channel by number": ClipFilter(channels=("1", "customer")),
    "duration": ClipFilter(min_duration=5.0),
}


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_uses_an_index(database: Database, name: str):
    with database.read() as session:
        statement = matching(FILTERS[name]).compile(
            session.connection(), compile_kwargs={"literal_binds": True}
        )
        if database.is_sqlite:
            rows = session.execute(text(f"EXPLAIN QUERY PLAN {statement}")).all()
            plan = "\n".join(row[3] for row in rows)
            assert "SCAN" not in plan.replace("SCAN archive", ""), plan  # which has one row
            assert "INDEX" in plan, plan
        else:
            session.execute(text("SET LOCAL enable_seqscan = off"))  # the tables are empty
            plan = "\n".join(session.scalars(text(f"EXPLAIN {statement}")))
            assert "Index" in plan, plan
            assert "Seq Scan" not in plan.replace("Seq Scan on archive", ""), plan


def test_every_reference_to_another_table_is_indexed(database: Database):
    """Deleting a recording looks up what refers to it."""
    for table in Base.metadata.sorted_tables:
        led = {next(iter(table.primary_key.columns)).name}
        led |= {next(iter(index.columns)).name for index in table.indexes if len(index.columns)}
        for key in table.foreign_keys:
            if key.ondelete == "CASCADE":
                assert key.parent.name in led, f"{table.name}.{key.parent.name}"

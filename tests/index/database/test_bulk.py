"""Bulk rows on both databases: ids that were never handed out, all rows or none, in parts."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import delete, select, text

from emotion_search.index.database.bulk import fetch, fetch_parts, insert_many, reserve_ids
from emotion_search.index.database.schema import Clip, Recording
from emotion_search.index.errors import DatabaseError

NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)


def recording(number: int, sha256: str) -> dict:
    row = {"id": number, "sha256": sha256, "name": 'a\t"b"\\N', "source": None, "speaker": "ü"}
    return {**row, "duration": 1.5, "sample_rate": 0, "channels": 1, "ingested_at": NOW}


def add(database, *hashes: str) -> list[int]:
    with database.write() as session:
        ids = reserve_ids(session, Recording, len(hashes))
        insert_many(session, Recording, list(map(recording, ids, hashes)))
    return ids


def test_rows_come_back_as_they_went(database):
    (number,) = add(database, "a")
    with database.read() as session:
        row = session.execute(select(Recording).where(Recording.id == number)).scalar_one()
        assert (row.name, row.source, row.speaker) == ('a\t"b"\\N', None, "ü")
        assert (row.duration, row.ingested_at) == (1.5, NOW)


def test_an_id_is_handed_out_once_even_if_its_row_went(database):
    first = add(database, "a", "b")
    with database.write() as session:
        session.execute(delete(Recording).where(Recording.id == first[-1]))
    second = add(database, "c", "d")
    assert sorted({*first, *second}) == [*first, *second]


def test_a_row_that_is_there_already_is_an_error_of_the_database_and_nothing_is_kept(database):
    add(database, "a")
    with pytest.raises(DatabaseError, match=r"(?i)unique"):
        add(database, "b", "a")
    with database.read() as session:
        assert session.scalars(select(Recording.sha256)).all() == ["a"]


def test_parts_leave_room_for_other_statements_and_bytes_are_bytes(database):
    (number,) = add(database, "a")
    spans = [(0.5 * i, 0.5 * i + 1) for i in range(5)]
    with database.write() as session:
        ids = reserve_ids(session, Clip, 5)
        columns = ("id", "recording_id", "start_s", "end_s")
        rows = [(i, number, *span) for i, span in zip(ids, spans, strict=True)]
        insert_many(session, Clip, [dict(zip(columns, row, strict=True)) for row in rows])
    blob = "x'00ff5c'" if database.is_sqlite else r"'\x00ff5c'::bytea"
    statement = f"SELECT start_s, {blob} FROM clips ORDER BY id"
    with database.read() as session:
        parts = []
        for part in fetch_parts(session, statement, 2):
            assert session.scalar(text("SELECT count(*) FROM clips")) == 5
            parts.append([tuple(row) for row in part])
        assert list(map(len, parts)) == [2, 2, 1]
        rows = [tuple(row) for row in fetch(session, statement)]
        assert rows == [row for part in parts for row in part]
        assert parts[1][0] == (1.0, b"\x00\xff\\")

"""A copied archive is the same archive, on another kind of database."""

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import create_engine, select, text

from emotion_search.index.database.connection import Database
from emotion_search.index.database.copy import copy_archive
from emotion_search.index.database.files import FileFacts
from emotion_search.index.database.recordings import (
    Annotations,
    NewClip,
    NewRecording,
    add_recordings,
    remove_recording,
)
from emotion_search.index.database.schema import Base, Clip
from emotion_search.index.errors import InvalidInputError
from tests.index.worlds import VectorArchive, ask, found


@pytest.fixture
def other(database: Database, tmp_path: Path, request: pytest.FixtureRequest):
    """A database of the other kind, empty."""
    if database.is_sqlite:
        server = create_engine(request.getfixturevalue("postgres"), isolation_level="AUTOCOMMIT")
        with server.connect() as connection:
            connection.execute(text("DROP DATABASE IF EXISTS copied WITH (FORCE)"))
            connection.execute(text("CREATE DATABASE copied"))
        made = Database(server.url.set(database="copied"), busy_timeout=5)
        server.dispose()
    else:
        made = Database(f"sqlite:///{tmp_path / 'copied.db'}", busy_timeout=5)
    yield made
    made.close()


def rows(database: Database) -> dict[str, list[tuple]]:
    with database.read() as session:
        return {
            table.name: sorted(map(str, session.execute(select(table)).all()))
            for table in Base.metadata.sorted_tables
        }


def test_everything_is_copied_and_the_archive_goes_on(
    database: Database, other: Database, tmp_path: Path
):
    archive = VectorArchive(database, tmp_path / "index", 8)
    vectors = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    archive.add(vectors)
    counts = copy_archive(database, other)
    assert counts["embeddings"] == 50
    assert rows(other) == rows(database)
    truth = found(ask(archive.searcher(), vectors[3]))
    archive.database = other
    assert found(ask(archive.searcher(), vectors[3])) == truth
    with other.write() as session:  # ids go on after those that were copied
        new = NewRecording(
            FileFacts("/x.wav", 1, 1), "x.wav", "e" * 64, 1.0, 8000, 1, Annotations(),
            [NewClip(None, 0.0, 1.0, vectors[0], np.array([0.2, 0.8], np.float32))],
        )  # fmt: skip
        assert add_recordings(session, archive.model.id, [new])[0] == (51, True)


def test_ids_of_what_was_removed_are_not_used_again_by_the_copy(
    database: Database, other: Database, tmp_path: Path
):
    archive = VectorArchive(database, tmp_path / "index", 8)
    vector = np.ones(8, np.float32)

    def add(into: Database, number: int) -> int:
        new = NewRecording(
            None, "x.wav", f"{number:064x}", 1.0, 8000, 1, Annotations(),
            [NewClip(None, 0.0, 1.0, vector, np.array([0.2, 0.8], np.float32))],
        )  # fmt: skip
        with into.write() as session:
            return add_recordings(session, archive.model.id, [new])[0][0]

    assert [add(database, number) for number in range(3)] == [1, 2, 3]
    with database.write() as session:
        for number in (2, 3):
            remove_recording(session, number)
    copy_archive(database, other)
    assert add(other, 9) == 4
    with other.read() as session:
        assert list(session.scalars(select(Clip.id).order_by(Clip.id))) == [1, 4]


def test_an_archive_is_not_copied_over_another(database: Database, other: Database, tmp_path: Path):
    VectorArchive(database, tmp_path / "a", 8).add(np.ones((1, 8), np.float32))
    other.create_or_require()
    VectorArchive(other, tmp_path / "b", 8)
    with pytest.raises(InvalidInputError, match="holds an archive already"):
        copy_archive(database, other)
    with pytest.raises(InvalidInputError, match="same database"):
        copy_archive(database, database)

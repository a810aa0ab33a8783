"""Databases: versions, migrations, locks, full disks, corruption."""

import sqlite3
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from emotion_search.index.database.connection import Database
from emotion_search.index.database.coverage import drop_model
from emotion_search.index.database.files import add_failure, remove_failures
from emotion_search.index.database.models import ModelInfo, archive_uuid, register_model
from emotion_search.index.database.schema import SCHEMA_VERSION, Base
from emotion_search.index.errors import (
    DatabaseBusyError,
    DatabaseError,
    DatabaseUnreachableError,
    InvalidInputError,
    StorageFullError,
)
from tests.conftest import ROOT
from tests.index.worlds import VectorArchive


def test_schema_version_is_alembics_head():
    config = Config(toml_file=ROOT / "pyproject.toml")
    assert ScriptDirectory.from_config(config).get_current_head() == SCHEMA_VERSION


@pytest.mark.filterwarnings("ignore:.*expression-based index")  # SQLite cannot reflect them
def test_migrations_make_exactly_the_tables_of_the_schema(database: Database):
    with database.read() as session:
        context = MigrationContext.configure(session.connection(), opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_migrations_go_down_and_up_again(database: Database):
    database.migrate("base")
    assert database.schema_version() is None
    database.migrate()
    assert database.schema_version() == SCHEMA_VERSION


def test_an_archive_keeps_its_identity(database: Database):
    with database.read() as session:
        before = archive_uuid(session)
    database.migrate()
    with database.read() as session:
        assert archive_uuid(session) == before


def test_processes_that_start_at_once_make_one_archive(database_url: str):
    errors = []

    def start():
        made = Database(database_url, busy_timeout=20)
        try:
            made.create_or_require()
        except Exception as error:  # noqa: BLE001
            errors.append(error)
        made.close()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_missing_archive_is_named_with_the_cure(database_url: str):
    made = Database(database_url)
    with pytest.raises(DatabaseError, match="emotion-search ingest"):
        made.require_schema()
    made.close()


@pytest.mark.parametrize(
    ("version", "message"), [("0000", "emotion-search migrate"), ("9999", "newer emotion-search")]
)
def test_another_version_is_refused_with_the_cure(database: Database, version, message):
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :v"), {"v": version})
    with pytest.raises(DatabaseError, match=message):
        database.create_or_require()


def test_a_newer_database_is_not_migrated(database: Database):
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseError, match="newer"):
        database.migrate()


def test_a_database_of_something_else_is_left_alone(database_url: str):
    other = Database(database_url)
    with other.write() as session:
        session.execute(text("CREATE TABLE customers (id integer)"))
    with pytest.raises(DatabaseError, match="other tables"):
        other.create_or_require()
    with pytest.raises(DatabaseError, match="other tables"):
        other.migrate()
    other.close()


def test_a_corrupt_file_is_said_to_be_corrupt(tmp_path: Path):
    path = tmp_path / "archive.db"
    path.write_bytes(b"this is not a database at all " * 200)
    with pytest.raises(DatabaseError, match="corrupt"):
        Database(f"sqlite:///{path}").require_schema()


def test_a_torn_file_is_said_to_be_corrupt(tmp_path: Path):
    path = tmp_path / "archive.db"
    made = Database(f"sqlite:///{path}")
    made.migrate()
    made.close()
    content = bytearray(path.read_bytes())
    content[4096:40960] = b"\xff" * (40960 - 4096)
    path.write_bytes(content)
    with pytest.raises(DatabaseError, match="corrupt"):
        torn = Database(f"sqlite:///{path}")
        torn.require_schema()
        with torn.read() as session:
            archive_uuid(session)


def test_a_lock_is_waited_for_then_named(tmp_path: Path):
    path = tmp_path / "archive.db"
    made = Database(f"sqlite:///{path}", busy_timeout=0.3)
    made.migrate()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with (
        pytest.raises(DatabaseBusyError, match="locked by another writer"),
        made.write() as session,
    ):
        add_failure(session, "x", "y")
    with made.read() as session:  # readers are not kept waiting
        archive_uuid(session)
    other.execute("COMMIT")
    with made.write() as session:
        add_failure(session, "x", "y")
    made.close()


def test_a_full_disk_keeps_what_was_committed_and_nothing_else(tmp_path: Path):
    made = Database(f"sqlite:///{tmp_path / 'archive.db'}")
    made.migrate()
    with made.write() as session:
        add_failure(session, "first", "kept")
        pages = session.scalar(text("PRAGMA page_count"))
        session.execute(text(f"PRAGMA max_page_count = {pages + 3}"))
    with pytest.raises(StorageFullError, match="no space left"), made.write() as session:
        for number in range(200):
            add_failure(session, f"file {number}", "reason " * 200)
    with made.read() as session:
        assert session.execute(text("SELECT path FROM failures")).scalars().all() == ["first"]
    made.close()


@pytest.mark.parametrize("url", ["nonsense", "mysql://host/x", "sqlite", ""])
def test_urls_that_mean_nothing_are_refused(url):
    with pytest.raises(InvalidInputError):
        Database(url)


def test_passwords_are_not_shown():
    assert "secret" not in str(Database("postgresql://me:secret@localhost/x"))


def test_an_unreachable_server_is_named():
    with pytest.raises(DatabaseError, match="cannot be reached"):
        Database("postgresql://me@127.0.0.1:1/x", busy_timeout=1).require_schema()


def test_an_archive_keeps_its_rows_through_migrations_up_and_down(
    database: Database, tmp_path: Path
):
    archive = VectorArchive(database, tmp_path / "index", 4)
    archive.add(np.ones((3, 4), np.float32))

    def rows() -> list[tuple]:
        with database.read() as session:
            return [
                *session.execute(text("SELECT id, name, revision, space_version FROM models")),
                *session.execute(text("SELECT clip_id, model_id FROM embeddings ORDER BY clip_id")),
                *session.execute(text("SELECT active_model_id FROM archive")),
            ]

    def derived() -> list[tuple]:
        query = "SELECT clip_id, valence, arousal, dominance FROM embeddings ORDER BY clip_id"
        with database.read() as session:
            return session.execute(text(query)).all()

    before, derived_before = rows(), derived()
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    with database.write() as session:
        config.attributes["connection"] = session.connection()
        command.downgrade(config, "0007")
    assert database.schema_version() == "0007"
    assert rows() == before
    database.migrate()
    assert rows() == before
    assert derived() == derived_before
    if database.is_sqlite:
        with database.read() as session:
            assert session.execute(text("PRAGMA foreign_key_check")).all() == []
    with pytest.raises(DatabaseError, match=r"(?i)foreign key"), database.write() as session:
        session.execute(text("DELETE FROM models"))


def test_the_id_of_a_model_is_never_used_again(database: Database, tmp_path: Path):
    VectorArchive(database, tmp_path / "index", 4)

    def register(fingerprint: str) -> ModelInfo:
        with database.write() as session:
            return register_model(
                session, name="other", fingerprint=fingerprint, dimension=4, classes=()
            )

    first = register("a" * 64)
    with database.write() as session:
        drop_model(session, first)
    assert register("b" * 64).id > first.id


def test_erased_rows_leave_no_bytes_whatever_the_build_of_sqlite(tmp_path: Path, monkeypatch):
    connect = sqlite3.connect

    def careless(*given: object, **more: object) -> sqlite3.Connection:
        connection = connect(*given, **more)
        connection.execute("PRAGMA secure_delete = OFF")
        return connection

    monkeypatch.setattr(sqlite3, "connect", careless)
    made = Database(f"sqlite:///{tmp_path / 'archive.db'}")
    made.migrate()
    secret = "whatever was said here " * 400
    with made.write() as session:
        add_failure(session, "x", secret)
    with made.write() as session:
        remove_failures(session, ["x"])
    assert made.empty_log()
    for file in tmp_path.iterdir():
        assert secret[:60].encode() not in file.read_bytes(), file.name
    made.close()


def test_a_log_that_is_being_read_is_not_emptied(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("emotion_search.index.database.connection._PATIENT_MS", 50)
    made = Database(f"sqlite:///{tmp_path / 'archive.db'}")
    made.migrate()
    with made.read() as session:
        archive_uuid(session)
        with made.write() as writing:
            add_failure(writing, "x", "y")
        assert not made.empty_log()
    assert made.empty_log()
    made.close()


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_who_hangs_while_it_writes_keeps_nobody_waiting(database: Database, monkeypatch):
    monkeypatch.setattr("emotion_search.index.database.connection._IDLE_MS", 200)
    with pytest.raises(DatabaseUnreachableError), database.write() as hung:
        time.sleep(0.5)
        with database.write() as session:
            session.execute(text("SELECT 1"))
        hung.execute(text("SELECT 1"))

"""What a server does by itself."""

import sqlite3
from contextlib import closing

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from emotion_search.engine.api import app
from emotion_search.engine.library.library import Library
from emotion_search.engine.settings import Settings
from emotion_search.index.database.schema import Embedding, Model
from tests.conftest import eventually
from tests.templates import Template


def test_scores_that_are_to_be_made_anew_are(
    settings: Settings, voices_archive: Template, monkeypatch
):
    monkeypatch.setattr(app, "_TIDY_S", 0.1)
    voices_archive.place(settings)
    with TestClient(app.create_app(settings)) as client, Library.open(settings) as beside:
        before = client.get("/v1/clips/1").json()["scores"]
        with beside.database.write() as session:
            session.execute(
                update(Embedding).values(scores=bytes(32), scores_crc32=None, confidence=0.0)
            )
            session.execute(update(Model).values(score_version=1))
        again = pytest.approx(before, abs=1e-6)
        eventually(lambda: client.get("/v1/clips/1").json()["scores"] == again)


def test_a_server_erases_what_is_beyond_the_age_that_is_set(
    settings: Settings, voices_archive: Template, monkeypatch
):
    monkeypatch.setattr(app, "_EXPIRED_S", 0.1)
    voices_archive.place(settings)
    aged = settings.model_copy(update={"retention": "1h"})
    with TestClient(app.create_app(aged)) as client:
        eventually(lambda: client.get("/v1/recordings").json()["data"] == [])


def test_what_was_erased_while_somebody_read_is_overwritten_later(
    sqlite_settings: Settings, voices_archive: Template, monkeypatch
):
    monkeypatch.setattr(app, "_ORPHANS_S", 0.1)
    file = sqlite_settings.home / "archive.db"
    settings = sqlite_settings.model_copy(update={"database_url": f"sqlite:///{file}"})
    voices_archive.place(settings)
    with TestClient(app.create_app(settings), base_url="http://127.0.0.1") as client:
        with closing(sqlite3.connect(file)) as reader:
            reader.execute("BEGIN")
            (sha256,) = reader.execute("SELECT sha256 FROM recordings WHERE id = 1").fetchone()
            assert client.delete("/v1/recordings/1").status_code == 200
        files = [file, file.with_name("archive.db-wal")]
        eventually(lambda: not any(sha256.encode() in one.read_bytes() for one in files))

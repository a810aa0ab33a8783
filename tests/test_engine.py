"""Milvus names candidates for a real archive: commands and service, from the first clip to erasure,
while its server is killed and wiped."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from fastapi.testclient import TestClient

from emotion_search.engine.api.app import create_app
from emotion_search.engine.api.routes import health
from emotion_search.engine.files.scan import find_audio
from emotion_search.engine.library.library import Library
from emotion_search.engine.settings import Settings
from emotion_search.index.database.spaces import add_space
from emotion_search.index.vectors import milvus as milvus_module
from emotion_search.index.vectors import topk
from emotion_search.index.vectors.space import Method, Space
from tests.conftest import command_with, tone, write_wav
from tests.milvus import MilvusServer, needs_milvus
from tests.templates import Template

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServer]:
    needs_milvus()
    made = MilvusServer(tmp_path_factory.mktemp("milvus") / "data")
    made.start()
    yield made
    made.kill()


@pytest.fixture
def engine(server: MilvusServer, monkeypatch: pytest.MonkeyPatch) -> MilvusServer:
    """A running server, which is asked however few clips there are, and not waited for long."""
    monkeypatch.setattr(topk, "FEW", 0)
    monkeypatch.setattr(milvus_module, "_SEARCH_S", 3.0)
    if server.process is None or server.process.poll() is not None:
        server.start()
    return server


@pytest.fixture
def archive(sqlite_settings: Settings, voices_archive: Template, engine: MilvusServer) -> Settings:
    voices_archive.place(sqlite_settings)
    return sqlite_settings.model_copy(update={"index": engine.url})


def hits(library: Library, clip: int, **how: object) -> list[tuple[int, float]]:
    found = library.search(clip, limit=5, **how)
    return [(hit.clip.id, hit.similarity) for hit in found]


def command(settings: Settings, *words: object, index: str | None = None):
    """A command in a process of its own."""
    environment = os.environ | {
        "EMOTION_SEARCH_INDEX": index or settings.index,
        "EMOTION_SEARCH_HOME": str(settings.home),
    }
    line = [*command_with("index.vectors.topk.FEW", 0), *map(str, words)]
    return subprocess.run(line, env=environment, capture_output=True, text=True, timeout=120)


def eventually(is_so: Callable[[], bool]) -> None:
    """Wait until something is so; a client tries again once a second."""
    until = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.2)


def test_an_archive_is_searched_changed_and_erased_through_milvus(archive, engine, voices, caplog):
    with Library.open(archive) as library:
        library.save_index()
        for clip in (1, 5, 9):
            assert hits(library, clip) == hits(library, clip, exact=True)
        state = library.index_status().engine
        assert (state.problem, state.revision, state.pending) == (None, state.of_revision, 0)
        assert "hush" not in state.address
        found = library.verify_engine()
        assert (found.clips, found.missing, found.surplus, found.recall) == (12, 0, 0, 1.0)
        library.forget(5)
        assert library.index_status().engine.pending == 0
        assert library.verify_engine().clips == 11
        assert "pending" not in caplog.text
        assert 5 not in dict(hits(library, 1))
        with library.database.write() as session:  # another space: another collection
            mean = np.full(library.model().dimension, 0.01, np.float32)
            space = Space(Method.CENTRED, mean)
            add_space(session, library.model(), space, task=None, clips=11, gain=None)
        library.save_index()
        assert hits(library, 1) == hits(library, 1, exact=True)
        assert library.verify_engine().is_sound
        assert library.index_status().engine.problem is None


def test_a_collection_whose_index_was_never_made_is_made_anew(engine: MilvusServer):
    known = milvus_module.Milvus(engine.url)
    known.create("half", 4)
    with known._calls() as client:
        assert known.marks("half") is not None
        client.release_collection("half")
        for name in client.list_indexes("half"):
            client.drop_index("half", name)
    assert known.marks("half") is None
    known.create("half", 4)
    assert known.marks("half") is not None


def test_a_server_that_hangs_is_killed_or_wiped_costs_no_hit(archive, engine, caplog):
    with Library.open(archive) as library:
        library.save_index()
        true = hits(library, 1)
        os.kill(engine.process.pid, signal.SIGSTOP)
        began = time.monotonic()
        assert hits(library, 1) == true
        assert time.monotonic() - began < 20
        assert "fails: Deadline Exceeded" in caplog.text
        os.kill(engine.process.pid, signal.SIGCONT)
        engine.kill()
        assert hits(library, 1) == true
        library.forget(2)
        assert "pending in the engine" in caplog.text
        engine.start()
        eventually(lambda: library.index_status().engine.problem is None)
        library.settle()
        assert library.index_status().engine.pending == 0
        engine.wipe()
        eventually(lambda: library.index_status().engine.problem is None)
        assert library.index_status().engine.revision == 0
        assert library.repair_index().problem is None
        library.save_index()
        assert library.verify_engine().is_sound
    assert "hush" not in caplog.text


def test_commands_and_service_say_what_the_engine_is_up_to(archive, engine, monkeypatch):
    shown = command(archive, "config", "show", "--json")
    assert "hush" not in shown.stdout + shown.stderr
    assert "***@127.0.0.1" in shown.stdout
    made = command(archive, "index", "rebuild")
    assert "the engine gets all clips" in made.stderr
    assert made.stdout.splitlines()[0].startswith("index       engine, 12 clips")
    searched = command(archive, "search", "--clip", 1, "--json")
    assert (len(searched.stdout.splitlines()), searched.stderr) == (10, "")
    assert "revision" in command(archive, "status").stdout.partition("engine")[2]
    verified = command(archive, "index", "verify", "--engine", "--json")
    assert (verified.returncode, json.loads(verified.stdout)["recall"]) == (0, 1.0)
    named = archive.model_copy(update={"allowed_hosts": "testserver"})
    with TestClient(create_app(named)) as client:
        assert client.get("/readyz").json() == {"status": "ok", "engine": "ok"}
        engine.kill()
        query = {"positive": [{"clip": 1}], "limit": 5}
        answer = client.post("/v1/search", json=query)
        assert len(answer.json()["hits"]) == 5
        assert client.get("/readyz").json()["engine"] == "unavailable"
        monkeypatch.setattr(health, "COMPARABLE", 1)
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["type"][-18:]) == (503, "engine-unavailable")
    failed = command(archive, "index", "verify", "--engine")
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1].startswith("error: the engine at milvus+http://***@")
    assert "Traceback" not in failed.stderr
    for word in ("repair", "rebuild"):
        other = command(archive, "index", word, index="milvus+http://tok@127.0.0.1:1")
        assert (other.returncode, "tok@" in other.stderr) == (1, False)
        assert "fails: Fail connecting" in other.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("lost", "by"),
    [("engine", "commands"), ("both", "commands"), ("database", "a server"), ("both", "a server")],
)
def test_a_database_of_yesterday_and_an_engine_that_was_wiped_are_caught_up_with(
    archive, engine, tmp_path, lost, by
):
    """Of today are another recording, and an erasure that yesterday's database knows nothing of."""
    with Library.open(archive) as library:
        library.save_index()
    file = archive.home / "archive.db"
    yesterday = shutil.copy(file, tmp_path)
    with Library.open(archive) as library:
        library.forget(5)
        library.ingest(find_audio([str(write_wav(tmp_path / "new.wav", tone(1.0)))]).files)
        assert library.verify_engine().is_sound
    if lost != "engine":
        shutil.copy(yesterday, file)
    if lost != "database":
        engine.wipe()
    if by == "commands":
        verified = command(archive, "index", "verify", "--engine")
        if verified.returncode:
            assert "run: emotion-search index repair" in verified.stderr.splitlines()[-1]
            assert command(archive, "index", "repair").returncode == 0
        assert command(archive, "index", "verify", "--engine").returncode == 0
    else:
        named = archive.model_copy(update={"allowed_hosts": "testserver"})
        with TestClient(create_app(named)) as client:
            query = {"positive": [{"clip": 1}], "limit": 10}
            true = client.post("/v1/search", json=query | {"exact": True}).json()["hits"]
            assert client.post("/v1/search", json=query).json()["hits"] == true
            eventually(lambda: client.get("/readyz").json().get("engine") == "ok")
            assert client.post("/v1/search", json=query).json()["hits"] == true
    with Library.open(archive) as library:
        found = library.verify_engine()
        assert found.is_sound
        assert found.clips == 12  # one less and one more, or as it was
        assert (5 in {clip.id for clip in library.clips()}) is (lost != "engine")

"""Work that takes minutes as jobs: evaluate, train, cluster, tune, reembed."""

import json
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from emotion_search import Library, evaluate
from emotion_search.cli import app as cli
from emotion_search.engine.api import app
from emotion_search.engine.api.app import create_app
from emotion_search.engine.api.learn import learn
from emotion_search.engine.client.client import Client
from emotion_search.engine.service import work
from emotion_search.engine.service.board import Step
from emotion_search.engine.service.keys import Scope, create
from emotion_search.engine.settings import Settings
from tests.api.conftest import assert_problem, served
from tests.conftest import eventually
from tests.templates import Template


@pytest.fixture
def instant(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work is done in this process."""

    def here(settings, given, *, progress, stop, patience):
        with Library.open(settings) as library:
            return given(library, lambda step: isinstance(step, Step) and progress(step), stop)

    monkeypatch.setattr(work, "do_alone", here)


@pytest.fixture
def learning(
    sqlite_settings: Settings, voices_archive: Template, instant, monkeypatch
) -> Iterator[TestClient]:
    """A service whose work says what it was asked for."""
    voices_archive.place(sqlite_settings)

    def think(library, asked, tell):
        tell(Step("thinking", 1, 4))
        return {"asked": asked}

    monkeypatch.setattr(app, "learn", think)
    with TestClient(create_app(sqlite_settings), raise_server_exceptions=False) as client:
        yield client


def finished(client: TestClient, job: int) -> dict:
    eventually(lambda: client.get(f"/v1/jobs/{job}").json()["status"] in ("done", "failed"))
    return client.get(f"/v1/jobs/{job}").json()


def test_work_is_a_job_with_steps_and_a_result(learning: TestClient):
    asked = {"kind": "cluster", "name": "moods", "k": 3}
    answer = learning.post("/v1/jobs", json=asked, headers={"idempotency-key": "one"})
    assert answer.status_code == 202
    job = answer.json()
    assert (job["kind"], job["file"]) == ("cluster", "cluster")
    assert answer.headers["location"] == f"/v1/jobs/{job['job']}"
    done = finished(learning, job["job"])
    assert done["result"]["asked"] == {
        **asked,
        "method": "kmeans",
        "task": "emotion",
        "replace": False,
    }
    assert (done["progress"]["seconds"], done["progress"]["of"]) == (1, 4)
    events = learning.get(f"/v1/jobs/{job['job']}/events").text
    assert json.loads(events.split("data: ")[1]) == done
    below = {"idempotency-key": "one", "x-forwarded-prefix": "/tools"}
    again = learning.post("/v1/jobs", json=asked, headers=below)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["location"] == f"/tools/v1/jobs/{job['job']}"
    assert again.json() == job  # as the first time, although it is done by now


def test_the_name_of_a_clustering_that_is_taken_is_refused_at_once_and_not_when_sent_again(
    learning: TestClient,
):
    asked = {"kind": "cluster", "name": "moods", "k": 3}
    key = {"idempotency-key": "one"}
    job = learning.post("/v1/jobs", json=asked, headers=key).json()["job"]
    finished(learning, job)
    learning.app.state.library.cluster("moods", k=3)
    assert learning.post("/v1/jobs", json=asked, headers=key).json()["job"] == job
    refused = assert_problem(learning.post("/v1/jobs", json=asked), 409, "conflict")
    assert "moods already" in refused["detail"]
    assert learning.get("/v1/jobs").json()["data"][0]["job"] == job  # none was made
    again = learning.post("/v1/jobs", json=asked | {"replace": True})
    assert again.status_code == 202


def test_who_asks_for_work_that_is_being_done_gets_that_job(
    sqlite_settings: Settings, instant, monkeypatch: pytest.MonkeyPatch
):
    asked, go = threading.Event(), threading.Event()

    def think(library, given, tell):
        asked.set()
        assert go.wait(20)
        return {}

    monkeypatch.setattr(app, "learn", think)
    with TestClient(create_app(sqlite_settings), raise_server_exceptions=False) as client:
        train = {"kind": "train", "task": "tone"}
        first = client.post("/v1/jobs", json=train, headers={"idempotency-key": "a"}).json()
        assert asked.wait(10)
        second = client.post("/v1/jobs", json=train, headers={"idempotency-key": "b"})
        assert (second.json()["job"], second.json()["status"]) == (first["job"], "running")
        assert "idempotent-replayed" not in second.headers
        other = client.post("/v1/jobs", json={"kind": "train"}).json()
        assert other["job"] != first["job"]
        go.set()
        finished(client, other["job"])
        assert client.post("/v1/jobs", json=train).json()["job"] not in (first["job"], other["job"])


def test_jobs_are_listed_by_kind(learning: TestClient, voices: Path):
    for asked in ({"kind": "train"}, {"kind": "tune"}):
        finished(learning, learning.post("/v1/jobs", json=asked).json()["job"])
    file = voices / "anger-0.wav"
    learning.post("/v1/recordings?wait=1", files={"file": (file.name, file.read_bytes())})

    def kinds(**query: object) -> list[str]:
        return [job["kind"] for job in learning.get("/v1/jobs", params=query).json()["data"]]

    assert kinds() == ["upload", "tune", "train"]
    assert kinds(kind="upload") == ["upload"]
    assert kinds(kind=["tune", "train"], status="done") == ["tune", "train"]
    assert kinds(kind="upload", status="failed") == []
    assert_problem(learning.get("/v1/jobs?kind=sing"), 422, "invalid-request")
    home = str(learning.app.state.library.settings.home)
    asked = ["jobs", "list", "--home", home, "--kind", "train", "--kind", "upload"]
    assert [line.split()[1:] for line in CliRunner().invoke(cli, asked).stdout.splitlines()] == [
        ["done", "upload", "anger-0.wav"],
        ["done", "train"],
    ]


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        ({}, "body"),
        ({"kind": "sing"}, "body"),
        ({"kind": "cluster"}, "body.cluster.name"),
        ({"kind": "cluster", "name": "a:b"}, "body.cluster.name: name a:b: a colon"),
        ({"kind": "cluster", "name": "q", "method": "hdbscan", "k": 3}, "body.cluster.k: goes"),
        ({"kind": "train", "name": "x"}, "body.train.name"),
        ({"kind": "reembed", "model": "/etc/passwd"}, "body.reembed.model: give the name of"),
        ({"kind": "reembed", "model": "../model"}, "body.reembed.model"),
    ],
)
def test_work_that_makes_no_sense_is_refused(learning: TestClient, asked: dict, where: str):
    refused = assert_problem(learning.post("/v1/jobs", json=asked), 422, "invalid-request")
    assert refused["detail"].startswith(where)


def test_what_changes_searches_needs_a_key_of_scope_admin(learning: TestClient):
    key, _ = create(learning.app.state.library.database, name="desk", scope=Scope.WRITE)
    learning.app.state.keys._read_at = float("-inf")
    learning.headers["Authorization"] = f"Bearer {key}"
    assert learning.post("/v1/jobs", json={"kind": "train"}).status_code == 202
    assert_problem(learning.post("/v1/jobs", json={"kind": "tune"}), 403)


def test_an_evaluation_over_http_has_every_field_of_the_one_in_python(reading: TestClient):
    found = asdict(evaluate(*reading.app.state.library.labelled("emotion")))
    found["model"] = found.pop("name")
    assert found["probes"]
    assert reading.get("/v1/evaluation").json() == json.loads(json.dumps(found))


def test_what_was_learned_is_what_the_routes_answer(reading: TestClient):
    library, steps = reading.app.state.library, []
    measured = learn(library, {"kind": "evaluate"}, steps.append)
    assert measured == reading.get("/v1/evaluation").json()
    moods = learn(library, {"kind": "cluster", "name": "moods", "k": 2}, steps.append)
    assert moods == reading.get("/v1/clusterings/moods").json()
    assert steps


def test_work_that_cannot_be_done_fails_with_a_problem(
    voices_settings: Settings, instant, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(app, "learn", learn)
    with TestClient(create_app(voices_settings), raise_server_exceptions=False) as client:
        for kind, what, why in (
            ("train", {"task": "tone"}, "no clip has a label under"),
            ("tune", {"task": "tone"}, "needs 50 clips"),
            ("reembed", {"model": "nosuch"}, "give a model that the server lists, such as voice"),
        ):
            job = client.post("/v1/jobs", json={"kind": kind, **what}).json()["job"]
            failed = finished(client, job)
            assert (failed["status"], failed["kind"]) == ("failed", kind)
            assert why in failed["problem"]["detail"]
            assert "--" not in failed["problem"]["detail"]


@pytest.mark.slow
def test_work_that_the_servers_end_interrupts_is_done_at_the_next_start(
    tmp_path: Path, voices_archive: Template
):
    settings = Settings(home=tmp_path, model="acoustic")
    voices_archive.place(settings)
    with served(tmp_path) as server, Client(server.address) as client:
        job = client.work("evaluate")
        eventually(lambda: client.job(job.job).status == "running")
        server.end()
        assert "Traceback" not in server.log.read_text()
    with served(tmp_path) as server, Client(server.address) as client:
        assert client.wait_for(job).result is not None

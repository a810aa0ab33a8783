"""The Python client, against the service and its document."""

import inspect
import subprocess
import sys
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient

from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.client.client import OPERATIONS, Client, ProblemError
from tests.conftest import ROOT, write_wav

JOB = {
    "job": 1,
    "status": "done",
    "file": "a.wav",
    "size": 1,
    "progress": {"seconds": 0.0, "of": None, "fraction": None},
    "recording": None,
    "new": None,
    "problem": None,
    "created_at": "2026-01-01T00:00:00Z",
    "started_at": None,
    "finished_at": None,
}


class Empty(BaseHTTPRequestHandler):
    """A service that has nothing."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"data": [], "next": null}')


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    variable: str, monkeypatch: pytest.MonkeyPatch
):
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name)
    monkeypatch.setenv(variable, "http://127.0.0.1:1")  # nobody is there
    with HTTPServer(("127.0.0.1", 0), Empty) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with Client(f"http://127.0.0.1:{server.server_port}") as client:
            assert list(client.recordings()) == []
        server.shutdown()
    with (
        Client("http://nowhere.invalid") as client,
        pytest.raises(httpx.ConnectError, match="refused"),
    ):
        list(client.recordings())  # asked through the proxy


@pytest.fixture
def service(client: TestClient) -> Client:
    return Client(http=client)


def test_the_whole_way_of_a_recording(service: Client, tmp_path: Path):
    path = write_wav(tmp_path / "new.wav", speak("anger", speaker=7, seed=3))
    moment = datetime(2026, 5, 1, tzinfo=UTC)
    job = service.upload(
        path, source="desk", recorded_at=moment, metadata={"queue": "billing"}, idempotency_key="1"
    )
    assert [one.status for one in service.follow(job)][-1] == "done"
    done = service.wait_for(job)
    recording = service.recording(done.recording)
    assert recording.file == "new.wav"
    assert (recording.source, recording.recorded_at) == ("desk", moment)
    assert recording.metadata == {"queue": "billing"}
    (clip,) = service.clips_of(done.recording)
    hits = service.search(path, limit=5, label=["anger"])
    assert {hit.label for hit in hits} == {"anger"}
    assert hits == service.search(clip.clip, limit=5, label=["anger"])
    mixed = service.search([path, {"recording": 1}], [2, path], limit=3)
    assert len(mixed) == 3
    assert service.label(clip.clip, "joy").label == "joy"
    assert service.unlabel(clip.clip).label is None
    for task in (".", ".."):  # part of a path that clients shorten
        assert service.label(clip.clip, "odd", task=task).labels == {task: "odd"}
        assert service.unlabel(clip.clip, task=task).labels == {}
    vector = service.embedding(clip.clip)
    assert (vector.shape, vector.dtype) == ((256,), np.float32)
    assert service.search({"vector": vector.tolist()}, limit=1)[0].clip == clip.clip
    assert service.clip_audio(clip.clip)[:4] == b"RIFF"
    assert service.recording_audio(done.recording, start=0.5)[:4] == b"RIFF"
    assert service.erase(done.recording) == 1
    with pytest.raises(ProblemError) as caught:
        service.recording(done.recording)
    assert (caught.value.kind, caught.value.status) == ("not-found", 404)
    assert caught.value.request_id


def test_lists_are_read_to_their_end(service: Client):
    assert [clip.clip for clip in service.clips(limit=5)] == list(range(1, 13))
    angriest = [clip.scores["angry"] for clip in service.clips(limit=5, sort="angry")]
    assert len(angriest) == 12
    assert angriest == sorted(angriest, reverse=True)
    assert len(list(service.recordings(limit=5, label="anger"))) == 3
    assert list(service.jobs()) == []
    assert list(service.failures()) == []
    assert service.shared_work() == []
    assert [task.name for task in service.tasks()] == ["emotion"]
    assert {label.count for label in service.labels()} == {3}
    assert service.stats().clips == 12
    assert [model.name for model in service.models() if model.active] == ["acoustic"]
    first, second = service.search_batch([{"clip": 1, "limit": 2}, {"clip": 99}])
    assert len(first) == 2
    assert isinstance(second, ProblemError)


def test_a_file_is_heard(service: Client, tmp_path: Path):
    path = write_wav(tmp_path / "new.wav", speak("anger", speaker=7, seed=3, seconds=3.0))
    prediction = service.predict(path, granularity="window", window=1.0, hop=None)
    assert len(prediction["parts"]) == 3
    assert prediction["emotion"] in prediction["scores"]


def test_examples_may_be_paths_and_numbers_of_any_kind(service: Client, voices: Path):
    path = voices / "anger-1.wav"
    assert service.search(str(path)) == service.search(path) == service.search([str(path)])
    assert service.search(np.int64(3)) == service.search(3) == service.search(np.array([3]))
    assert service.search(3, label=None, limit=None) == service.search(3)
    assert len(list(service.clips(label=None, after=None))) == 12


def test_what_is_not_said_about_an_upload_is_left_out(service: Client, tmp_path: Path):
    path = write_wav(tmp_path / "new.wav", speak("anger", speaker=7, seed=3))
    job = service.upload(path, metadata=None, labels={"mood": "low"}, channels=None)
    (clip,) = service.clips_of(service.wait_for(job).recording)
    assert clip.labels == {"mood": "low"}


def test_waiting_goes_on_over_a_restart(monkeypatch):
    answers = [
        httpx.ConnectError("refused"),
        httpx.Response(502, json={"status": "error"}),
        httpx.Response(503, text="<html>"),
        httpx.Response(200, json=JOB | {"status": "running"}),
        httpx.Response(200, json=JOB | {"finished_at": JOB["created_at"], "recording": 5}),
    ]

    def answer(_: httpx.Request) -> httpx.Response:
        one = answers.pop(0)
        if isinstance(one, Exception):
            raise one
        return one

    http = httpx.Client(transport=httpx.MockTransport(answer), base_url="http://test")
    assert Client(http=http).wait_for(1).recording == 5
    answers[:] = [httpx.Response(404, json={"type": "urn:x:not-found", "detail": "no job 1"})]
    with pytest.raises(ProblemError, match="no job 1"):
        Client(http=http).wait_for(1)
    answers[:] = [httpx.ConnectError("refused")] * 20
    with pytest.raises(TimeoutError, match="refused"):
        Client(http=http).wait_for(1, timeout=0.2)


def test_a_proxys_page_is_a_problem_too():
    page = httpx.Response(502, json={"status": "error", "type": 3})
    http = httpx.Client(transport=httpx.MockTransport(lambda _: page), base_url="http://test")
    with pytest.raises(ProblemError) as caught:
        Client(http=http).stats()
    assert (caught.value.status, caught.value.detail) == (502, "Bad Gateway")


def test_what_was_learned_is_read(service: Client):
    assert service.map(limit=5)["clips"] == 12
    assert service.clusterings() == service.classifiers() == []
    assert service.suggestions() == []  # all have a label
    assert len(service.suggestions("mood", limit=3)) == 3
    quality = service.evaluation()
    assert quality["clips"] == {"anger": 3, "happiness": 3, "neutral": 3, "sadness": 3}
    assert quality["chance"]["mAP"] < quality["micro"]["mAP"]["value"] <= 1
    assert service.evaluation(exclude_same="none")["gallery"] == "none"
    assert quality["triplets"]["speaker"]["right"]["low"] is not None
    assert quality["scores"]["clips"] == 12
    assert quality["calibration"] is None  # three voices
    with pytest.raises(ProblemError, match="metadata key words") as caught:
        service.evaluation(sentence_key="words")
    assert caught.value.status == 404
    with pytest.raises(ProblemError, match="mood"):
        service.evaluation("mood")
    with pytest.raises(ProblemError, match="moods"):
        service.clustering("moods")
    assert service.trend(1)["recording"] == 1
    assert service.trends(by="month")["model"] == "acoustic"


def test_a_job_that_fails_raises_its_problem(service: Client, tmp_path: Path):
    path = tmp_path / "x.wav"
    path.write_bytes(b"x")
    with pytest.raises(ProblemError, match="cannot be decoded") as caught:
        service.wait_for(service.upload(path))
    assert caught.value.kind == "unusable-audio"
    with pytest.raises(ProblemError, match="no job 99"):
        list(service.follow(99))


def test_alerts_and_webhooks_are_kept_and_deleted(service: Client):
    kept = service.add_alert("cross", "angry>0.3", window="day", source=["desk"])
    assert service.alerts() == [kept]
    assert (kept["window"], kept["filters"]) == ("day", {"source": ["desk"]})
    service.delete_alert(kept["alert"])
    assert service.alerts() == []
    made = service.add_webhook("https://example.com/hook", events=["alert.fired"])
    assert made.pop("secret").startswith("whsec_")
    assert service.webhooks() == [made]
    assert service.deliveries(made["webhook"], limit=5) == {"data": [], "next": None}
    assert service.test_webhook(made["webhook"])["event"] == "webhook.test"
    with pytest.raises(ProblemError, match="no delivery 99"):
        service.replay(made["webhook"], 99)
    service.delete_webhook(made["webhook"])
    assert service.webhooks() == []


def test_labels_of_two_tasks_are_compared(service: Client):
    service.label_all(dict.fromkeys([1, 2], "anger"), task="Ann")
    service.label_all({1: "anger", 2: "joy"}, task="Bob")
    assert service.agreement("Ann", "Bob")["clips"] == 2


def test_the_client_is_what_the_document_says(reading: TestClient):
    document = reading.get("/openapi.json").json()
    there = {
        (method, path)
        for path, methods in document["paths"].items()
        for method in methods
        if path.startswith("/v1/")
    }
    assert set(OPERATIONS.values()) <= there
    assert there <= set(OPERATIONS.values()), "the client lacks these"
    public = {
        name
        for name, _ in inspect.getmembers(Client, inspect.isfunction)
        if not name.startswith("_")
    }
    assert public - {"close", "wait_for"} == set(OPERATIONS)


def test_a_client_imports_nothing_of_the_service():
    code = (
        "import sys, emotion_search.engine.client.client;"
        "print(*{'fastapi', 'torch', 'faiss', 'sqlalchemy', 'typer'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.strip() == ""

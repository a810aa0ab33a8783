"""The server process: slow requests beside quick ones, the log, and how it ends."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from emotion_search.engine.api.app import create_app
from emotion_search.engine.api.http import deps
from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.embedders.acoustic.model import Acoustic
from emotion_search.engine.library.library import Library
from emotion_search.engine.settings import Settings
from emotion_search.index.errors import ModelUnavailableError, NotFoundError
from tests.api.conftest import assert_problem, served, upload
from tests.conftest import ROOT, eventually, tone, write_wav


@pytest.mark.slow
def test_a_server_loads_no_library_before_it_has_a_use_for_it():
    heavy = (
        "{'scipy.signal', 'scipy.stats', 'scipy.optimize', 'sklearn', 'torch', 'faiss', 'plotly'}"
    )
    code = "import sys, emotion_search.engine.api.server, emotion_search.engine.api.app;"
    code += f" sys.exit(' '.join({heavy} & sys.modules.keys()))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ran.stderr.strip() == ""


@pytest.mark.slow
def test_a_running_job_is_finished_and_its_log_is_json(tmp_path: Path):
    home = tmp_path / "home"
    path = write_wav(tmp_path / "long.wav", speak("anger", speaker=1, seed=1, seconds=40.0))
    with (
        served(home, EMOTION_SEARCH_LOG_FORMAT="json", EMOTION_SEARCH_SEGMENTS="fixed") as server,
        httpx.Client(base_url=server.address) as http,
        ThreadPoolExecutor(2) as several,
    ):
        job = http.post("/v1/recordings", files=upload(path)).json()["job"]
        follower = several.submit(http.get, f"/v1/jobs/{job}/events", timeout=30)
        waiting = several.submit(
            httpx.post,
            f"{server.address}/v1/recordings?wait=true",
            files=upload(path),
            headers={"X-Request-ID": "last-one"},
            timeout=30,
        )
        status = f"/v1/jobs/{job}"
        eventually(lambda: http.get(status).json()["status"] != "queued")
        eventually(lambda: 'jobs{status="running"} 2.0' in http.get("/metrics").text)
        time.sleep(0.1)
        assert server.end() in (0, -15)
        output = follower.result(30).text
        assert "event: bye" in output or '"status":"done"' in output
        assert waiting.result(30).status_code in (200, 201)
        output = [line for line in server.lines() if line.get("request_id") == "last-one"]
    assert output[-1]["route"] == "/v1/recordings"
    assert output[-1]["status"] in (200, 201)
    assert output[-1]["ms"] > 0
    with served(home) as server:
        assert httpx.get(f"{server.address}/v1/jobs/{job}").json()["status"] == "done"
        assert httpx.get(f"{server.address}/v1/stats").json()["recordings"] == 1


def test_slow_requests_block_neither_signs_of_life_nor_lists(
    voices_settings: Settings, tmp_path: Path, monkeypatch
):
    go = threading.Event()

    def embed(self, clips):
        go.wait(30)
        raise ModelUnavailableError("it is gone")

    monkeypatch.setattr(Acoustic, "embed", embed)
    monkeypatch.setattr(deps, "_WORKERS", 2)
    monkeypatch.setattr(deps, "_MOST_WAITING", 3)
    paths = [write_wav(tmp_path / f"{i}.wav", tone(1.0, 200 + i)) for i in range(5)]
    with TestClient(create_app(voices_settings), raise_server_exceptions=False) as client:
        with ThreadPoolExecutor(8) as several:
            slow = [several.submit(client.post, "/v1/search", files=upload(path)) for path in paths]
            gate = client.app.state.gates.uploads
            eventually(lambda: gate.inside == 5 and gate.waiting == 3)
            refused = client.post("/v1/search", files=upload(paths[0]))
            assert_problem(refused, 429, "too-busy")
            assert refused.headers["retry-after"]
            for path in ("/healthz", "/readyz", "/v1/clips", "/v1/stats"):
                assert client.get(path).status_code == 200
            assert not any(future.done() for future in slow)
            assert client.post("/v1/search", json={"clip": 1}).status_code == 200
            go.set()
            for future in slow:
                assert_problem(future.result(30), 503, "model-unavailable")
        assert gate.inside == 0


@pytest.mark.slow
def test_what_waits_when_the_server_ends_is_told_to_ask_again(tmp_path: Path):
    path = write_wav(tmp_path / "long.wav", speak("anger", speaker=1, seed=1, seconds=30.0))
    other = write_wav(tmp_path / "other.wav", tone(1.0))
    home = tmp_path / "home"
    with (
        served(home, EMOTION_SEARCH_JOBS="1", EMOTION_SEARCH_SEGMENTS="fixed") as server,
        httpx.Client(base_url=server.address, timeout=30) as http,
        ThreadPoolExecutor(1) as beside,
    ):
        http.post("/v1/recordings", files=upload(path))
        waiting = beside.submit(
            httpx.post, f"{server.address}/v1/recordings?wait=true", files=upload(other), timeout=30
        )
        eventually(lambda: len(http.get("/v1/jobs").json()["data"]) == 2)
        assert server.end() in (0, -15)
        answer = waiting.result(30)
        assert answer.status_code == 202
        assert "Traceback" not in server.log.read_text()
    with served(home) as server:
        job = f"{server.address}{answer.headers['location']}"
        eventually(lambda: httpx.get(job).json()["status"] == "done")


@pytest.mark.slow
def test_slow_pictures_keep_nobody_else_waiting(voices_settings: Settings, monkeypatch):
    go = threading.Event()

    def drawing(*_, **__):
        go.wait(60)
        raise NotFoundError("there is no clustering of that name")

    monkeypatch.setattr(Library, "map", drawing)
    with (
        TestClient(create_app(voices_settings), raise_server_exceptions=False) as client,
        ThreadPoolExecutor(60) as several,
    ):
        slow = [several.submit(client.get, "/v1/map") for _ in range(60)]
        gate = client.app.state.gates.pictures
        eventually(lambda: gate.inside == 60)
        client.app.state.keys._read_at = float("-inf")  # as if a second had passed
        for path in ("/healthz", "/readyz", "/v1/clips", "/v1/stats", "/metrics"):
            assert client.get(path).status_code == 200
        assert not any(future.done() for future in slow)
        assert client.post("/v1/search", json={"clip": 1}).status_code == 200
        go.set()
        assert {future.result(60).status_code for future in slow} == {404}

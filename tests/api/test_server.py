"""The server process: slow requests beside quick ones, the log, and how it ends."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from fastapi.testclient import TestClient

from engine.api.app import create_app
from engine.embedders.acoustic import Acoustic
from engine.settings import Settings
from engine.voices import speak
from index.errors import ModelUnavailableError
from tests.api.conftest import assert_problem, eventually, served, upload
from tests.conftest import tone, write_wav


def test_a_running_job_is_finished_and_its_log_is_json(tmp_path: Path):
    home = tmp_path / "home"
    path = write_wav(tmp_path / "long.wav", speak("anger", speaker=1, seed=1, seconds=60.0))
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
        eventually(lambda: server.lines() and http.get("/metrics").text.count("jobs{") > 0)
        time.sleep(0.1)
        assert server.end() in (0, -15)
        assert follower.result(30).text.rstrip().rsplit("event: ", 1)[1].startswith(("bye", "job"))
        assert waiting.result(30).status_code in (200, 201)
        told = [line for line in server.lines() if line.get("request_id") == "last-one"]
    assert told[-1]["route"] == "/v1/recordings"
    assert told[-1]["status"] in (200, 201)
    assert told[-1]["ms"] > 0
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
    few = voices_settings.model_copy(update={"workers": 2, "max_waiting": 3})
    paths = [write_wav(tmp_path / f"{i}.wav", tone(1.0, 200 + i)) for i in range(5)]
    with TestClient(create_app(few), raise_server_exceptions=False) as client:
        with ThreadPoolExecutor(8) as several:
            slow = [several.submit(client.post, "/v1/search", files=upload(path)) for path in paths]
            gate = client.app.state.gates.uploads
            eventually(lambda: gate.inside == 5)
            refused = client.post("/v1/search", files=upload(paths[0]))
            assert_problem(refused, 429, "too-busy")
            assert refused.headers["retry-after"]
            for path in ("/healthz", "/readyz", "/v1/clips", "/v1/stats"):
                began = time.monotonic()
                assert client.get(path).status_code == 200
                assert time.monotonic() - began < 1
            assert client.post("/v1/search", json={"clip": 1}).status_code == 200
            go.set()
            for future in slow:
                assert_problem(future.result(30), 503, "model-unavailable")
        assert gate.inside == 0

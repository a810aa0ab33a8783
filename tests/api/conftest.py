"""What the tests of the service share: clients of it, in this process and through a socket."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from engine.api.app import create_app
from engine.library import Library
from engine.settings import Settings
from tests.conftest import ingest_voices

ROOT = Path(__file__).parents[2]


@pytest.fixture
def client(settings: Settings, voices: Path) -> Iterator[TestClient]:
    """A client of the service over an archive of the voices, on either database."""
    with Library.open(settings, create=True) as library:
        ingest_voices(library, voices)
    with TestClient(create_app(settings), raise_server_exceptions=False) as opened:
        yield opened


@pytest.fixture(scope="module")
def voices_settings(tmp_path_factory: pytest.TempPathFactory, voices: Path) -> Settings:
    """Settings of an archive of the voices on SQLite, made once a module."""
    made = Settings(home=tmp_path_factory.mktemp("home"), model="acoustic", busy_timeout=5)
    with Library.open(made, create=True) as library:
        ingest_voices(library, voices)
    return made


@pytest.fixture(scope="module")
def reading(voices_settings: Settings) -> Iterator[TestClient]:
    """A client for tests that change nothing, over an archive of the voices on SQLite."""
    with TestClient(create_app(voices_settings), raise_server_exceptions=False) as opened:
        yield opened


class Served:
    """A server process and where it is."""

    def __init__(self, home: Path, *options: str, **environment: str) -> None:
        self.log = home / "log"
        self.environment = {
            **os.environ,
            "EMOTION_SEARCH_HOME": str(home),
            "EMOTION_SEARCH_MODEL": "acoustic",
            "OMP_NUM_THREADS": "1",
            **environment,
        }
        self.base = [sys.executable, str(ROOT / "cli.py")]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*self.base, "serve", "--port", "0", *options], env=self.environment, stderr=log
            )
        self.port = 0
        until = time.monotonic() + 30
        while not self.port:
            for line in self.log.read_text().splitlines():
                if line.startswith("serving on"):
                    self.port = int(line.split()[2].rsplit(":", 1)[1])
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until
            time.sleep(0.02)
        self.address = f"http://127.0.0.1:{self.port}"
        while True:
            try:
                if httpx.get(f"{self.address}/healthz").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.02)
            assert time.monotonic() < until

    def end(self, *, kill: bool = False) -> int:
        """End the process and wait for it; its exit code."""
        if kill:
            self.process.kill()
        else:
            self.process.terminate()
        return self.process.wait(timeout=40)

    def lines(self) -> list[dict]:
        """The log, where it is JSON."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line[0] == "{"]


@contextmanager
def served(home: Path, *options: str, **environment: str) -> Iterator[Served]:
    """A server process over the archive in ``home``."""
    home.mkdir(parents=True, exist_ok=True)
    process = Served(home, *options, **environment)
    try:
        yield process
    finally:
        if process.process.poll() is None:
            process.end()


def assert_problem(answer: httpx.Response, status: int, kind: str | None = None) -> dict:
    """The problem in an answer, which is of this status and kind."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    if kind:
        assert body["type"] == f"urn:emotion-search:problem:{kind}"
    assert "Traceback" not in answer.text
    return body


def upload(path: Path, name: str | None = None) -> dict:
    """The file as a form's part ``file``."""
    return {"file": (name or path.name, path.read_bytes(), "audio/wav")}


def eventually(what: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until it holds."""
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.02)

"""What the tests of the service share: clients of it, in this process and through a socket."""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from emotion_search.engine.api.app import create_app
from emotion_search.engine.settings import Settings
from tests.api.serving import served
from tests.conftest import new_database
from tests.templates import Template

# The client's own name, which is none of this machine's.
os.environ["EMOTION_SEARCH_ALLOWED_HOSTS"] = "testserver"

__all__ = ["assert_problem", "served", "upload"]


@pytest.fixture
def client(settings: Settings, voices_archive: Template) -> Iterator[TestClient]:
    """A client of the service over an archive of the voices, on either database."""
    voices_archive.place(settings)
    with TestClient(create_app(settings), raise_server_exceptions=False) as opened:
        yield opened


@pytest.fixture(scope="module")
def voices_settings(tmp_path_factory: pytest.TempPathFactory, voices_archive: Template) -> Settings:
    """Settings of an archive of the voices on SQLite, made once a module."""
    made = Settings(home=tmp_path_factory.mktemp("home"), model="acoustic")
    voices_archive.place(made)
    return made


@pytest.fixture(scope="module")
def reading(voices_settings: Settings) -> Iterator[TestClient]:
    """A client for tests that change nothing, over an archive of the voices on SQLite."""
    with TestClient(create_app(voices_settings), raise_server_exceptions=False) as opened:
        yield opened


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def either(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    voices_archive: Template,
) -> Iterator[TestClient]:
    """A client for tests that change nothing, over an archive of the voices on either database."""
    folder = tmp_path_factory.mktemp("either")
    with new_database(request, folder) as url:
        made = Settings(home=folder / "home", database_url=url, model="acoustic")
        voices_archive.place(made)
        with TestClient(create_app(made), raise_server_exceptions=False) as opened:
            yield opened


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

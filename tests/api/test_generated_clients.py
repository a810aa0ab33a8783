"""Clients that generators make of the document: they compile, and go from an upload to a trend."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from emotion_search import Library
from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.service.keys import Scope, create
from emotion_search.engine.settings import Settings
from tests.api.conftest import served
from tests.conftest import ROOT, write_wav
from tests.templates import Template

WALKS = ROOT / "tests/api/clients"
FOUND = "walk.wav 3 1 "


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, voices_archive: Template):
    """Address and key of a service, and its document in a file."""
    home = tmp_path_factory.mktemp("home")
    settings = Settings(home=home, model="acoustic")
    voices_archive.place(settings)
    with Library.open(settings) as library:
        key, _ = create(library.database, name="walk", scope=Scope.ADMIN)
    with served(home) as server:
        document = home / "openapi.json"
        document.write_bytes(httpx.get(f"{server.address}/openapi.json").content)
        yield server.address, key, document


@pytest.fixture
def new_wav(tmp_path: Path) -> Path:
    """An utterance that the archive has not."""
    samples = speak("anger", speaker=7, seed=7, seconds=2.0)
    return write_wav(tmp_path / "anger.wav", samples)


def run(*command: object, folder: Path, **environment: str) -> str:
    """What a program prints, which must end well."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_openapi_python_client_makes_one_that_walks(service, new_wav: Path, tmp_path: Path):
    tool = shutil.which("openapi-python-client")
    if tool is None:
        pytest.skip("needs openapi-python-client, in an environment of its own, on PATH")
    address, key, document = service
    shutil.copy(WALKS / "walk.py", tmp_path)
    made = tmp_path / "emotion_client"
    where = ("--path", document, "--output-path", made, "--meta", "none")
    config = WALKS / "openapi-python-client.yaml"
    run(tool, "generate", *where, "--config", config, "--fail-on-warning", folder=tmp_path)
    python = Path(tool).resolve().parent / "python"
    checks = ("--strict", "--follow-imports=silent", "--python-executable", python)
    run(sys.executable, "-m", "mypy", *checks, "walk.py", folder=tmp_path)
    walked = run(
        python, "walk.py", address, key, new_wav, folder=tmp_path, PYTHONPATH=str(tmp_path)
    )
    assert walked == FOUND + "b'RIFF' 1\n"


@pytest.mark.slow
def test_openapi_typescript_makes_one_that_walks(service, new_wav: Path, tmp_path: Path):
    if shutil.which("npm") is None:
        pytest.skip("needs npm")
    packages = ("openapi-typescript@7", "openapi-fetch@0", "typescript@5", "@types/node")
    (tmp_path / "package.json").write_text(json.dumps({"name": "walk", "type": "module"}))
    installed = subprocess.run(["npm", "install", "--offline", *packages], cwd=tmp_path)
    if installed.returncode:
        pytest.skip(f"npm's cache has not {' '.join(packages)}")
    address, key, document = service
    shutil.copy(WALKS / "walk.ts", tmp_path)
    tools = tmp_path / "node_modules/.bin"
    run(tools / "openapi-typescript", document, "--output", "schema.d.ts", folder=tmp_path)
    how = ("--target", "es2022", "--module", "nodenext", "--types", "node")
    run(tools / "tsc", "--strict", *how, "walk.ts", folder=tmp_path)
    walked = run("node", "walk.js", address, key, new_wav, folder=tmp_path)
    assert walked.startswith(FOUND)

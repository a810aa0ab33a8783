"""Killed at any instant, an ingest loses nothing, doubles nothing, and is finished by the next."""

import json
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.conftest import command_with, tone, write_wav

pytestmark = pytest.mark.slow

FILES = 300


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calls")
    for number in range(FILES):
        write_wav(folder / f"{number:03}.wav", tone(0.6, 100 + number))
    return folder


def command(home: Path, url: str, *arguments: str) -> list[str]:
    places = ["--home", str(home), "--database", url]
    return [*command_with("engine.ingest.pipeline.BATCH_S", 1.0), *arguments, *places]


def ingest(home: Path, url: str, calls: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command(home, url, "ingest", str(calls), "--model", "acoustic"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def contents(url: str) -> list[tuple]:
    """Everything that must not depend on the kills: names, bytes, spans, vectors."""
    database = create_engine(url)
    with database.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT l.path, r.sha256, c.start_s, c.end_s, e.vector FROM recordings r"
                " JOIN locations l ON l.recording_id = r.id JOIN clips c ON c.recording_id = r.id"
                " JOIN embeddings e ON e.clip_id = c.id ORDER BY l.path"
            )
        ).all()
        halves = connection.scalar(
            text(
                "SELECT count(*) FROM recordings r WHERE NOT EXISTS (SELECT 1 FROM clips c JOIN"
                " embeddings e ON e.clip_id = c.id WHERE c.recording_id = r.id)"
            )
        )
    database.dispose()
    assert halves == 0
    return [(path, sha, start, end, bytes(vector)) for path, sha, start, end, vector in rows]


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory, calls: Path) -> list[tuple]:
    """The contents of an archive that nobody disturbed."""
    home = tmp_path_factory.mktemp("calm")
    url = f"sqlite:///{home / 'calm.db'}"
    assert ingest(home, url, calls).wait() == 0
    return contents(url)


def test_kill_minus_nine_at_random_instants(
    tmp_path: Path, database_url: str, calls: Path, calm, request: pytest.FixtureRequest
):
    rng = random.Random(request.node.name)
    home = tmp_path / "home"
    kills = 0
    for _ in range(4):
        process = ingest(home, database_url, calls)
        time.sleep(rng.uniform(0.7, 1.8))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
    assert ingest(home, database_url, calls).wait() == 0
    assert kills >= 2
    assert contents(database_url) == calm
    assert len(calm) == FILES

    found = subprocess.run(
        command(home, database_url, "search", str(calls / "000.wav"), "--json", "-k", "1000"),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert len({json.loads(line)["clip"] for line in found}) == FILES - 1

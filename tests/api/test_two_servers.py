"""Two servers on one Postgres and one bucket: one is killed, the other takes over."""

import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from emotion_search.engine.audio.synthetic_voices import speak
from tests.api.serving import served
from tests.buckets import Bucket
from tests.conftest import ROOT, eventually, write_wav

pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize("database_url", ["postgres"], indirect=True),
]

# Leases of two seconds, and a look for those that ran out each half second
CODE = (
    f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
    "import emotion_search.index.database.slices as slices; slices.LEASE_S = 2.0\n"
    "import emotion_search.engine.api.app as app; app._LEFT_S = 0.5\n"
    "from emotion_search.cli import main; main()"
)
UPLOADS = 6


def test_what_a_killed_server_accepted_is_taken_in_by_another(
    tmp_path: Path, database_url: str, bucket: Bucket
):
    how = {
        "EMOTION_SEARCH_DATABASE_URL": database_url,
        "EMOTION_SEARCH_UPLOADS": bucket.url,
        "EMOTION_SEARCH_JOBS": "1",
    }
    program = [sys.executable, "-c", CODE]
    with (
        served(tmp_path / "a", program=program, **how) as first,
        served(tmp_path / "b", program=program, **how) as second,
    ):
        jobs = [upload(first.address, tmp_path, number) for number in range(UPLOADS)]
        first.end(kill=True)
        states = lambda: [get(second.address, f"jobs/{job}") for job in jobs]  # noqa: E731
        waited = any(job["status"] != "done" for job in states())
        eventually(lambda: all(job["status"] == "done" for job in states()))
        assert waited, "the first was done with all of them; give it more"
        assert sorted(job["recording"] for job in states()) == list(range(1, UPLOADS + 1))
        assert [path for path in listed(bucket) if "/incoming/" in path] == []
        assert len(listed(bucket)) >= UPLOADS  # more where an attempt was cut off
        audio = f"{second.address}/v1/recordings/1/audio"
        part = httpx.get(audio, headers={"range": "bytes=0-43"}, timeout=30)
        assert (part.status_code, part.content[:4]) == (206, b"RIFF")


def upload(address: str, folder: Path, number: int) -> int:
    path = write_wav(folder / f"{number}.wav", speak("anger", speaker=number, seed=number))
    with path.open("rb") as file:
        answer = httpx.post(f"{address}/v1/recordings", files={"file": file}, timeout=60)
    assert answer.status_code == 202, answer.text
    return int(answer.json()["job"])


def get(address: str, what: str) -> dict[str, Any]:
    time.sleep(0.05)
    answer: dict[str, Any] = httpx.get(f"{address}/v1/{what}", timeout=60).json()
    return answer


def listed(bucket: Bucket) -> list[str]:
    return [f"{bucket.url}/{one['path']}" for some in bucket.store.list() for one in some]

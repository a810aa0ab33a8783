"""Ingest killed by ``kill -9`` at random instants: nothing lost, doubled or different.

    python -m benchmarks.kills --kills 200

An archive is filled by the same command again and again, killed each time after a random while,
until it is complete; then it is compared with one that was never disturbed, and the next begun.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.machine import describe
from tests.conftest import command_with


def start(home: Path, calls: Path) -> subprocess.Popen[bytes]:
    """The program, ingesting in batches of a second."""
    arguments = ["ingest", str(calls), "--model", "acoustic", "--home", str(home)]
    program = command_with("engine.ingest.pipeline.BATCH_S", 1.0)
    return subprocess.Popen(
        [*program, *arguments],
        env={**os.environ, "EMOTION_SEARCH_TUNE_AT": "100"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def contents(home: Path) -> list[tuple]:
    """Names, bytes, spans and vectors: all that must be the same."""
    with sqlite3.connect(home / "archive.db") as database:
        rows = database.execute(
            "SELECT l.path, r.sha256, c.start_s, c.end_s, e.vector FROM recordings r"
            " JOIN locations l ON l.recording_id = r.id JOIN clips c ON c.recording_id = r.id"
            " JOIN embeddings e ON e.clip_id = c.id ORDER BY l.path"
        ).fetchall()
        counts = database.execute(
            "SELECT (SELECT count(*) FROM recordings), (SELECT count(*) FROM clips),"
            " (SELECT count(*) FROM embeddings)"
        ).fetchone()
    assert counts == (len(rows),) * 3, counts
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--files", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    print(describe("sqlalchemy"))
    with tempfile.TemporaryDirectory() as place:
        calls = Path(place, "calls")
        calls.mkdir()
        noise = np.random.default_rng(0)
        for i in range(options.files):
            soundfile.write(calls / f"{i:04}.wav", 0.1 * noise.normal(size=8000), 16_000)
        calm = Path(place, "calm")
        assert start(calm, calls).wait() == 0
        expected = contents(calm)
        kills = archives = 0
        home = Path(place, "0")
        while kills < options.kills:
            process = start(home, calls)
            time.sleep(rng.uniform(0.3, 4.0))
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                kills += 1
            if process.wait() == 0:
                assert contents(home) == expected, home
                archives += 1
                home = Path(place, str(archives))
        assert start(home, calls).wait() == 0
        assert contents(home) == expected, home
    print(
        f"{kills} kills over {archives + 1} archives of {options.files} files: all as undisturbed"
    )


if __name__ == "__main__":
    main()

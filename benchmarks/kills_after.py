"""Erasing, rebuilding the index and migrating, killed by ``kill -9`` at random instants.

    python -m benchmarks.kills_after --kills 200

Each is run again and again on a copy of one archive, killed after a random while, until it is done;
then rows and the hits of searches are compared with those of a run that nobody disturbed.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import describe, measured
from benchmarks.vectors import clustered, fill_shares
from emotion_search.index.database.connection import Database
from tests.engine.library.test_older_schemas import made

COMMANDS = {
    "forget": ["forget", "--source", "half", "--yes"],
    "rebuild": ["index", "rebuild"],
    "migrate": ["migrate"],
}
TABLES = ("recordings", "clips", "embeddings", "labels", "locations", "tombstones")


def start(home: Path, arguments: list[str]) -> subprocess.Popen[bytes]:
    """The program."""
    return subprocess.Popen(
        [sys.executable, "-m", "emotion_search.cli", *arguments, "--home", str(home)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def contents(home: Path) -> dict[str, object]:
    """All rows (but the revisions at which clips went), and the hits of some searches."""
    with sqlite3.connect(home / "archive.db") as database:
        rows: dict[str, object] = {}
        for table in TABLES:
            names = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            wanted = ", ".join(n for n in names if table != "tombstones" or n != "revision")
            rows[table] = sorted(database.execute(f"SELECT {wanted} FROM {table}"), key=repr)
        clips = [row[0] for row in database.execute("SELECT id FROM clips ORDER BY id")]
    for clip in clips[:: max(1, len(clips) // 5)]:
        command = ("search", "--clip", str(clip), "--json", "--home", str(home))
        rows[f"hits of {clip}"] = measured("-m", "emotion_search.cli", *command, quiet=True)[2]
    return rows


def prepare(home: Path, what: str, clips: int) -> None:
    """An archive to begin with; to migrate, one of few clips."""
    if what == "migrate":
        made(home, "0003")
        return
    home.mkdir(parents=True)
    database = Database(f"sqlite:///{home / 'archive.db'}")
    database.migrate("head")
    fill_shares(database, clustered(clips, 64), dimension=64)
    database.close()
    assert start(home, ["index", "rebuild"]).wait() == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--clips", type=int, default=3000)
    parser.add_argument("--what", choices=COMMANDS, action="append")
    options = parser.parse_args()
    rng = random.Random(0)
    print(describe("sqlalchemy"))
    for what in options.what or COMMANDS:
        command = COMMANDS[what]
        with tempfile.TemporaryDirectory() as place:
            first = Path(place, "first")
            prepare(first, what, options.clips)
            calm = Path(place, "calm")
            shutil.copytree(first, calm)
            begun = time.monotonic()
            assert start(calm, command).wait() == 0
            took = time.monotonic() - begun
            expected = contents(calm)
            kills = rounds = 0
            while kills < options.kills:
                home = Path(place, str(rounds))
                shutil.copytree(first, home)
                for _ in range(12):  # then it may finish
                    process = start(home, command)
                    time.sleep(rng.uniform(0.2, 1.1 * took))
                    if process.poll() is None:
                        process.send_signal(signal.SIGKILL)
                        kills += 1
                    if process.wait() >= 0:  # 1 where a killed one has left nothing to forget
                        break
                else:
                    assert start(home, command).wait() in (0, 1)
                found = contents(home)
                for name in expected:
                    assert found[name] == expected[name], (what, home, name)
                shutil.rmtree(home)
                rounds += 1
            print(
                f"{what}: {kills} kills over {rounds} archives: all as undisturbed ({took:.1f} s)"
            )


if __name__ == "__main__":
    main()

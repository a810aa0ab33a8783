"""Damaged archives: whether that is found, and whether commands answer as before or say the cure.

python -m benchmarks.damage
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from io import BytesIO
from pathlib import Path
from unittest import mock

from fastapi.testclient import TestClient
from typer.testing import CliRunner

from benchmarks.machine import describe
from benchmarks.power_loss import jobs_of
from emotion_search.cli import app
from emotion_search.engine.api.app import create_app
from emotion_search.engine.audio.synthetic_voices import MANNERS, speak
from emotion_search.engine.library.library import Library
from emotion_search.engine.quality import tune
from emotion_search.engine.service.jobs import Upload
from emotion_search.engine.service.uploads import UploadFields, take_in
from emotion_search.engine.settings import Settings
from emotion_search.index.database.recordings import Annotations
from emotion_search.index.errors import EmotionSearchError
from emotion_search.index.vectors.space import Method
from tests.conftest import write_wav

Damage = Callable[[Path, random.Random], None]

CHECKS = ("check --audio", "index verify")
COMMANDS = (
    "status",
    "search --clip 1 --json --limit 5",
    "search --clip 7 --json --limit 5 --exact --speaker s1",
    "list clips --json",
    "list labels",
    "evaluate --json",
    "trend --by week --json",
    "trend 4 --json",
    "list recordings --json",
    "list labels --json",
    "show 4 --json",
    "classifiers --json",
    "cluster --name moods --json --seed 1",
    "jobs list --json",
    "export --output {out}/out.csv",
    "ingest {out}/../new.wav",
)
UNEQUAL = (
    "status",
    "ingest",
    "jobs",
    "cluster",
    "GET",
)  # of which the output tells sizes and times
REQUESTS = (
    *("stats", "tasks", "labels?task=emotion", "models", "failures", "clips?limit=500", "clips/4"),
    *("clips?sort=happy", "clips?emotion=angry", "clips/4/audio", "recordings?limit=500"),
    *("recordings/4", "recordings/4/clips", "recordings/4/trend", "trends", "classifiers"),
    *("map", "clusterings", "compare?clip=1&clip=4", "evaluation", "jobs", "webhooks", "alerts"),
)


def make(home: Path) -> None:
    """An archive of uploads, with labels, a space, a classifier and a quantised index."""
    settings = Settings(home=home, model="acoustic", index="quantised", tune_at=0)
    with (
        mock.patch.object(tune, "FEWEST", 10),
        tempfile.TemporaryDirectory() as place,
        Library.open(settings, create=True) as library,
    ):
        for number in range(40):
            manner, speaker = list(MANNERS)[number % len(MANNERS)], number // len(MANNERS)
            samples = speak(manner, speaker=speaker, seed=number, seconds=0.7)
            path = write_wav(Path(place, f"{number}.wav"), samples)
            labels = {"emotion": manner}
            day = datetime(2026, 1, 1 + number // 4, tzinfo=UTC)
            about = Annotations(speaker=f"s{speaker}", labels=labels, recorded_at=day)
            fields = UploadFields(about)
            take_in(library, path, name=path.name, fields=fields)
        jobs = jobs_of(library)
        job, _ = jobs.submit(Upload(BytesIO(path.read_bytes()), path.name))
        while not jobs.board.get(job.id).finished:
            time.sleep(0.02)
        jobs.stop(20)
        library.tune(method=Method.CENTRED)
        library.train("emotion")
        library.rebuild_index()


def flip(path: Path, rng: random.Random, at: int | None = None) -> None:
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content)) if at is None else at] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def one(home: Path, pattern: str) -> Path:
    return min(home.rglob(pattern))


def of_file(pattern: str, how: str, home: Path, rng: random.Random) -> None:
    path = one(home, pattern)
    if how == "flip":
        flip(path, rng)
    elif how == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "zeros":
        path.write_bytes(bytes(path.stat().st_size))
    else:
        path.unlink()


def of_blob(table: str, column: str, how: str, home: Path, rng: random.Random) -> None:
    with closing(sqlite3.connect(home / "archive.db")) as database:
        rows = database.execute(f"SELECT rowid, {column} FROM {table}").fetchall()
        row, data = rng.choice([row for row in rows if row[1]])
        changed = bytearray(data)
        if how == "flip":
            changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        else:
            del changed[len(data) // 2 :]
        database.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (bytes(changed), row))
        database.commit()


def statement(sql: str, home: Path, _: random.Random) -> None:
    with closing(sqlite3.connect(home / "archive.db")) as database:
        database.executescript(sql)


def page(home: Path, rng: random.Random) -> None:
    """A bit in the head of some page of the database, which says what lies where in it."""
    file = home / "archive.db"
    at = rng.randrange(1, file.stat().st_size // 4096) * 4096
    flip(file, rng, at + rng.randrange(8))


def swapped(pattern: str, home: Path, _: random.Random) -> None:
    first, second, *_rest = sorted(home.rglob(pattern))
    first.rename(home / "kept")
    second.rename(first)
    (home / "kept").rename(second)


def log_cut(home: Path, _: random.Random) -> None:
    """The power went while a log was written: its last half is zeros."""
    with closing(sqlite3.connect(home / "archive.db")) as database:
        database.execute("PRAGMA wal_autocheckpoint = 0")
        database.execute("UPDATE recordings SET source = 'later' WHERE id < 30")
        database.commit()
        log = home / "archive.db-wal"
        kept, whole = log.read_bytes(), (home / "archive.db").read_bytes()
    (home / "archive.db").write_bytes(whole)
    log.write_bytes(kept[: len(kept) // 2] + bytes(len(kept) // 2))


def nothing(table: str, column: str, home: Path, _: random.Random) -> None:
    """A NULL where none may be."""
    with closing(sqlite3.connect(home / "archive.db", isolation_level=None)) as database:
        database.execute("PRAGMA writable_schema = ON")
        (sql,) = database.execute(
            "SELECT sql FROM sqlite_schema WHERE name = ?", (table,)
        ).fetchone()
        open_ = re.sub(rf"({column} [^,]*?) NOT NULL", r"\1", sql)
        assert open_ != sql
        write = "UPDATE sqlite_schema SET sql = ? WHERE name = ?"
        database.execute(write, (open_, table))
    with closing(sqlite3.connect(home / "archive.db", isolation_level=None)) as database:
        database.execute(f"UPDATE {table} SET {column} = NULL WHERE rowid IN (1, 4)")
        database.execute("PRAGMA writable_schema = ON")
        database.execute(write, (sql, table))


WRONG = {
    "clips": (
        *("start_s = 'x'", "end_s = x'00'", "start_s = -5.0", "end_s = -1", "end_s = 9e999"),
        *("channel = 'x'", "channel = -3", "speaker = x'ff'", "recording_id = 9999"),
        "recording_id = 'x'",
    ),
    "recordings": (
        *("recorded_at = 'never'", "recorded_at = 5", "recorded_at = '2026-02-31 10:00:00.000000'"),
        *("ingested_at = 'never'", "duration = 'long'", "duration = -1.0", "sample_rate = 'x'"),
        *("channels = -1", "name = x'ff'", "source = x'ff'", "speaker = x'ff'", "sha256 = x'00'"),
        "cut = x'ff'",
    ),
    "embeddings": (
        *("vector = 'text'", "vector = x'00'", "vector = vector || x'00000000'", "clip_id = 9999"),
        *("scores = 'text'", "scores = x'00'", "scores = x''", "scores_crc32 = 5"),
        *("emotion = x'ff'", "emotion = 'nope'", "confidence = 'x'", "confidence = 7.0"),
        *("valence = 'x'", "revision = 'x'", "model_id = 7", "vector_crc32 = 'x'"),
    ),
    "labels": ("value = x'ff'", "task = x'ff'", "clip_id = 9999"),
    "locations": ("path = x'ff'", "recording_id = 9999", "size = 'x'", "mtime_ns = 'x'"),
}
WRONG_ONCE = {
    "jobs": ("said = 'no'", "status = 'no'", "created_at = 'never'", "size = 'x'", "problem = 5"),
    "models": (
        *("classes = '{}'", "classes = 'no'", "classes = '[1]'", "classes = '[\"a\"]'"),
        *("dimension = 'x'", "dimension = 7", "revision = 'x'", "name = x'ff'", "mean = 'x'"),
        "space_version = 99",
    ),
    "spaces": ("method = 'no'", "version = 9", "fitted_at = 'never'", "mean = x''", "gain = 'x'"),
    "classifiers": ("classes = '5'", "provenance = 'no'", "parameters = x''", "method = 'no'"),
    "archive": ("uuid = x'00'", "active_model_id = 99", "revision = 'x'"),
}
MISSING = (
    *(("clips", "start_s"), ("clips", "end_s"), ("recordings", "name"), ("recordings", "duration")),
    *(("recordings", "sha256"), ("recordings", "ingested_at"), ("models", "classes")),
    *(("embeddings", "vector"), ("embeddings", "scores"), ("labels", "value"), ("jobs", "said")),
)

KINDS: dict[str, Damage] = {
    **{f"vector, bit {n}": partial(of_blob, "embeddings", "vector", "flip") for n in range(5)},
    **{f"scores, bit {n}": partial(of_blob, "embeddings", "scores", "flip") for n in range(2)},
    **{f"page of the database, bit {n}": page for n in range(5)},
    **{
        f"{column} of {table}, {how}": partial(of_blob, table, column, how)
        for table, column, how in [
            ("embeddings", "vector", "cut"),
            ("spaces", "mean", "flip"),
            ("classifiers", "parameters", "flip"),
        ]
    },
    **{
        f"{pattern}, {how}": partial(of_file, pattern, how)
        for pattern in ("*.faiss", "*.npz", "current.json")
        for how in ("flip", "cut", "gone")
    },
    **{
        f"{pattern}, {how}": partial(of_file, pattern, how)
        for pattern, hows in {
            "archive.db": ("cut", "empty", "zeros", "gone"),
            "uploads/*.wav": ("flip", "cut", "gone"),
        }.items()
        for how in hows
    },
    "uploads swapped": partial(swapped, "uploads/*.wav"),
    "log of the database, cut": log_cut,
    **{
        f"rows: {sql}": partial(statement, sql)
        for sql in (
            "DELETE FROM recordings WHERE id = 3",
            "DELETE FROM clips WHERE id = 3",
            "DELETE FROM models",
            "DELETE FROM embeddings WHERE clip_id = 5",
            "UPDATE alembic_version SET version_num = '9999'",
            "DELETE FROM alembic_version",
            "DROP TABLE labels",
            *(f"DROP TABLE {name}" for name in ("embeddings", "clips", "jobs", "spaces")),
            *(f"DELETE FROM {name}" for name in ("archive", "spaces", "locations")),
        )
    },
    **{
        f"{of}: {what}": partial(statement, f"UPDATE {of} SET {what} WHERE rowid = {row}")
        for row, tables in ((4, WRONG), (1, WRONG_ONCE))
        for of, values in tables.items()
        for what in values
    },
    **{f"no {column} of {table}": partial(nothing, table, column) for table, column in MISSING},
}


def answers(whole: Path, name: str, seed: int) -> dict[str, tuple[int, str, list[str]]]:
    """Exit code, output and lines on stderr of each command on an archive so damaged."""
    found = {}
    home, out = whole.with_name("home"), whole.with_name("out")
    for command in (*CHECKS, *COMMANDS):
        for folder in (home, out):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(whole, home)
        out.mkdir()
        if name:
            KINDS[name](home, random.Random(f"{seed} {name}"))
        done = CliRunner().invoke(app, [*command.format(out=out).split(), "--home", str(home)])
        errors = done.stderr.splitlines()
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            reported = isinstance(done.exception, EmotionSearchError | OSError)
            errors.append(f"{'error: ' if reported else 'Traceback '}{done.exception!r}")
        made = "".join(sorted(path.read_text() for path in out.iterdir()))
        found[command] = (done.exit_code, done.stdout + made, errors)
    return found | asked(home)


def asked(home: Path) -> dict[str, tuple[int, str, list[str]]]:
    """The same of requests, on the archive as the last command left it."""
    found = {}
    try:
        service = create_app(Settings(home=home, allowed_hosts="testserver"))
        with TestClient(service, raise_server_exceptions=False) as client:
            for request in REQUESTS:
                answer = client.get(f"/v1/{request}")
                problem = answer.headers["content-type"] == "application/problem+json"
                code = int(answer.status_code >= 400)
                reported = problem and answer.status_code != 500
                errors = [f"{'error:' if reported else 'Traceback'} {answer.text}"] * code
                found[f"GET {request}"] = (code, answer.text, errors)
    except Exception as error:  # noqa: BLE001 - it does not start
        reported = isinstance(error, EmotionSearchError)
        return {"GET": (1, "", [f"{'error:' if reported else 'Traceback'} {error!r}"])}
    return found


def judged(
    found: dict[str, tuple[int, str, list[str]]], expected: dict[str, tuple[int, str, list[str]]]
) -> tuple[list[str], list[str], list[str]]:
    """By which commands the damage is found; which failed in another way than by one line with the
    cure; and which answered something else."""
    seen, failed, other = [], [], []
    for command in dict.fromkeys((*CHECKS, *COMMANDS, *found)):
        code, output, errors = found.get(command, (-1, "", ["the process died"]))
        lines = [line for line in errors if line.startswith("error: ")]
        if code not in (0, 1, 2) or "Traceback" in " ".join(errors) or (code and len(lines) != 1):
            failed.append(f"{command}: exit {code}, {errors[-1:]}")
        elif command in CHECKS:
            seen += [command.split()[0]] * bool(code)
        elif code == 0 and command.split()[0] not in UNEQUAL and output != expected[command][1]:
            other.append(command)
    return seen, failed, other


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--what", help="Kinds that begin so.", default="")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["EMOTION_SEARCH_INDEX"] = "quantised"
    if options.one:  # in a process of its own, which may die of it
        print(json.dumps(answers(Path(options.one[0]), options.one[1], options.seed)))
        return
    print(describe("sqlalchemy", "faiss-cpu"))
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, "whole")
        make(whole.with_name("home"))  # where it is damaged, for paths of uploads are absolute
        whole.with_name("home").rename(whole)
        write_wav(Path(folder, "new.wav"), speak("anger", speaker=9, seed=9, seconds=1.0))
        expected = answers(whole, "", 0)
        failed = {command: errors for command, (code, _, errors) in expected.items() if code}
        assert not failed, failed
        for name in [one for one in KINDS if one.startswith(options.what)]:
            call = [sys.executable, "-m", "benchmarks.damage", "--seed", str(options.seed), "--one"]
            done = subprocess.run(
                [*call, str(whole), name], capture_output=True, timeout=600, check=False
            )
            found = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {}
            seen, failed, other = judged(found, expected)
            silent = [] if seen else other
            counts += Counter(
                damaged=1, found=bool(seen), failed=bool(failed), other=bool(other)
            ) + Counter({"other and not found": bool(silent)})
            what = f"FAILED {failed}" if failed else f"other answers {other}" if other else ""
            print(f"{name:<45} {'+'.join(seen) or '-':<12} {what}", flush=True)
    print(dict(counts))


if __name__ == "__main__":
    main()

"""Ways in which an archive is damaged: bits, files, rows and values that cannot be."""

from __future__ import annotations

import random
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

Damage = Callable[[Path, random.Random], None]


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
        *("end_s = 9e99", "end_s = 60", "channel = 7", "speaker = ''"),
        *("channel = 'x'", "channel = -3", "speaker = x'ff'", "recording_id = 9999"),
        *("recording_id = 'x'", "channel_name = ' '", "speaker = char(9)", "revision = 999999"),
    ),
    "recordings": (
        *("recorded_at = 'never'", "recorded_at = 5", "recorded_at = '2026-02-31 10:00:00.000000'"),
        *("ingested_at = 'never'", "duration = 'long'", "duration = -1.0", "sample_rate = 'x'"),
        *("channels = -1", "name = x'ff'", "source = x'ff'", "speaker = x'ff'", "sha256 = x'00'"),
        *("cut = x'ff'", "duration = 9e99", "channels = 0", "speaker = ''", "name = ''"),
        *("sha256 = 'zz'", "sha256 = upper(sha256)", "source = char(160)"),
    ),
    "embeddings": (
        *("vector = 'text'", "vector = x'00'", "vector = vector || x'00000000'", "clip_id = 9999"),
        *("scores = 'text'", "scores = x'00'", "scores = x''", "scores_crc32 = 5"),
        *("emotion = x'ff'", "emotion = 'nope'", "confidence = 'x'", "confidence = 7.0"),
        *("valence = 'x'", "revision = 'x'", "model_id = 7", "vector_crc32 = 'x'"),
        *("valence = 99", "arousal = -99", "confidence = NULL", "emotion = NULL"),
        *("revision = 999999", "emotion = CAST(x'ff' AS TEXT)"),
    ),
    "labels": (
        *("value = x'ff'", "task = x'ff'", "clip_id = 9999", "value = ''", "task = ''"),
        *("value = '  '", "task = ' '", "value = CAST(x'ff' AS TEXT)"),
    ),
    "predictions": ("probability = 7", "value = ''", "value = ' '", "probability = 'x'"),
    "locations": ("path = x'ff'", "recording_id = 9999", "size = 'x'", "mtime_ns = 'x'"),
}
WRONG_ONCE = {
    "jobs": ("said = 'no'", "status = 'no'", "created_at = 'never'", "size = 'x'", "problem = 5"),
    "models": (
        *("classes = '{}'", "classes = 'no'", "classes = '[1]'", "classes = '[\"a\"]'"),
        *("dimension = 'x'", "dimension = 7", "revision = 'x'", "name = x'ff'", "mean = 'x'"),
        *("space_version = 99", "revision = 0", "fingerprint = 'zz'"),
        "classes = json_replace(classes, '$[1]', classes ->> '$[0]')",
    ),
    "spaces": ("method = 'no'", "version = 9", "fitted_at = 'never'", "mean = x''", "gain = 'x'"),
    "classifiers": ("classes = '5'", "provenance = 'no'", "parameters = x''", "method = 'no'"),
    "archive": ("uuid = x'00'", "active_model_id = 99", "revision = 'x'", "active_model_id = NULL"),
    "alerts": (
        """filters = '{"bogus": 1}'""",
        """filters = '{"min_score": "x"}'""",
        """filters = '{"min_score": 7}'""",
        """filters = '{"after": "never"}'""",
        *("measure = 'x'", "rule = 'zig>zag'", "rule = 'anger'", "name = ' '", "seen = 'x'"),
    ),
    "webhooks": (
        *("""events = '["zig"]'""", "events = '{}'", "events = '[]'", "url = ''", "url = 'x'"),
    ),
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

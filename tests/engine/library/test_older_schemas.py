"""Archives of earlier schemas, made by their own migrations: migrated, searched, verified."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from emotion_search import ClipFilter, Library, Settings
from emotion_search.engine.archive.check import check
from emotion_search.index.database.connection import Database
from emotion_search.index.database.schema import SCHEMA_VERSION
from emotion_search.index.errors import DatabaseError

DIM, CLIPS = 8, 12
VECTORS = np.random.default_rng(0).normal(size=(CLIPS, DIM)).astype("<f4")
SCORED = {
    "scores": np.array([0.75, 0.25], "<f4").tobytes(), "emotion": "angry", "confidence": 0.75,
    "valence": -0.54, "arousal": 0.375, "dominance": 0.105,
}  # fmt: skip
THEN = "2025-05-01 00:00:00.000000"
ROWS: dict[str, list[dict[str, object]]] = {
    "models": [{
        "id": 1, "name": "made", "fingerprint": "f" * 64, "dimension": DIM,
        "classes": '["angry", "sad"]', "revision": CLIPS,
    }],
    "recordings": [{
        "id": i, "sha256": f"{i:064x}", "name": f"{i}.wav", "source": "desk",
        "speaker": f"voice{i % 3}", "recorded_at": THEN, "duration": 1.0, "sample_rate": 16_000,
        "channels": 1, "cut": "speech up to 15 s, channels mix", "ingested_at": THEN,
    } for i in range(1, CLIPS + 1)],
    "locations": [{"path": f"/calls/{i}.wav", "recording_id": i, "size": 44, "mtime_ns": 1}
                  for i in range(1, CLIPS + 1)],
    "recording_metadata": [{"recording_id": i, "key": "queue", "value": "billing"}
                           for i in range(1, CLIPS + 1)],
    "clips": [{"id": i, "recording_id": i, "channel": None, "start_s": 0.0, "end_s": 1.0}
              for i in range(1, CLIPS + 1)],
    "labels": [{"clip_id": i, "task": "emotion", "value": "joy" if i % 2 else "anger"}
               for i in range(1, CLIPS + 1)],
    "embeddings": [{"clip_id": i, "model_id": 1, "revision": i, "scores": b"",
                    "vector": VECTORS[i - 1].tobytes(), **(SCORED if i < CLIPS else {})}
                   for i in range(1, CLIPS + 1)],
    "failures": [{"path": "/calls/bad.wav", "reason": "no audio", "attempts": 1,
                  "failed_at": THEN}],
}  # fmt: skip


def made(home: Path, version: str) -> Path:
    """The file of an archive as a program of this schema left it."""
    home.mkdir()
    file = home / "archive.db"
    database = Database(file)
    database.migrate(version)
    database.close()
    with sqlite3.connect(file) as connection:
        for table, rows in ROWS.items():
            there = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
            for row in rows:
                kept = {name: value for name, value in row.items() if name in there}
                marks = ", ".join("?" * len(kept))
                connection.execute(
                    f"INSERT INTO {table} ({', '.join(kept)}) VALUES ({marks})", list(kept.values())
                )
        connection.execute("UPDATE archive SET active_model_id = 1")
    connection.close()
    return file


@pytest.mark.parametrize("version", ["0001", "0003", "0007", SCHEMA_VERSION])
def test_an_archive_of_an_earlier_schema_is_migrated_searched_and_verified(
    tmp_path: Path, version: str
):
    file = made(tmp_path / "home", version)
    settings = Settings(home=tmp_path / "home")
    if version != SCHEMA_VERSION:
        with pytest.raises(DatabaseError, match="run: emotion-search migrate"):
            Library.open(settings)
    database = Database(file)
    database.migrate()
    database.close()
    with Library.open(settings) as library:
        units = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
        cosines = units @ units[0]
        truth = [int(i) + 1 for i in np.argsort(-cosines) if i]
        hits = library.search(1, limit=CLIPS)
        assert [hit.clip.id for hit in hits] == truth
        assert hits[0].similarity == pytest.approx(cosines[truth[0] - 1], abs=1e-5)
        wanted = ClipFilter(
            speakers=("voice1",), labels=("anger",), sources=("desk",), emotions=("angry",),
            metadata={"queue": "billing"},
        )  # fmt: skip
        assert [clip.id for clip in library.clips(wanted)] == [4, 10]
        assert library.clip(1).path == "/calls/1.wav"
        assert [clip.id for clip in library.clips(ClipFilter(min_arousal=0.37))] == [*range(1, 12)]
        assert library.clip(1).affect["valence"] == pytest.approx(-0.75 * 0.51 - 0.25 * 0.63)
        assert library.clip(CLIPS).emotion is None
        assert library.trend_over("day").total.clips == CLIPS - 1
        assert library.verify_index().is_sound
        assert list(check(library)) == []
        assert [one.reason for one in library.failures()] == ["no audio"]
        library.forget(3)
        assert library.status().counts.clips == CLIPS - 1
        assert library.verify_index().is_sound

"""Synthetic archives of any size, written straight into the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from sqlalchemy import insert

from emotion_search.engine.settings import Settings
from emotion_search.index.database.connection import Database
from emotion_search.index.database.models import activate_model, next_revision
from emotion_search.index.database.schema import Clip, Embedding, Label, Recording

_ROWS = 5000
_EACH = 10  # clips of a recording
_LABELS = ("anger", "happiness", "neutral", "sadness")


def synthetic_archive(home: Path, clips: int, dimension: int) -> None:
    """An archive of clustered random embeddings in ``home``, unless there is one."""
    settings = Settings(home=home)
    database = Database(settings.database)
    if database.schema_version() is not None:
        database.close()
        return
    home.mkdir(parents=True, exist_ok=True)
    database.create_or_require()
    random = np.random.default_rng(0)
    centres = random.standard_normal((64, dimension)).astype(np.float32)
    classes = ("angry", "happy", "neutral", "sad")
    with database.write() as session:
        model = activate_model(
            session,
            name="synthetic",
            fingerprint=f"synthetic-{dimension}",
            dimension=dimension,
            classes=classes,
        )
    began = datetime(2026, 1, 1, tzinfo=UTC)
    for first in range(0, clips, _ROWS):
        ids = range(first + 1, min(first + _ROWS, clips) + 1)
        kinds = random.integers(64, size=len(ids))
        vectors = centres[kinds] + random.standard_normal((len(ids), dimension)).astype(np.float32)
        scores = random.dirichlet(np.ones(4), len(ids)).astype("<f4")
        recordings = sorted({(i - 1) // _EACH + 1 for i in ids})
        with database.write() as session:
            session.execute(
                insert(Recording),
                [
                    {
                        "id": number,
                        "sha256": f"{number:064x}",
                        "name": f"call-{number}.wav",
                        "source": f"queue-{number % 20}",
                        "speaker": f"caller-{number % 997}",
                        "recorded_at": began + timedelta(minutes=number),
                        "duration": 30.0,
                        "sample_rate": 16_000,
                        "channels": 1,
                        "ingested_at": began,
                    }
                    for number in recordings
                ],
            )
            session.execute(
                insert(Clip),
                [
                    {
                        "id": i,
                        "recording_id": (i - 1) // _EACH + 1,
                        "start": 3.0 * ((i - 1) % _EACH),
                        "end": 3.0 * ((i - 1) % _EACH) + 3.0,
                    }
                    for i in ids
                ],
            )
            session.execute(
                insert(Label),
                [{"clip_id": i, "task": "emotion", "value": _LABELS[i % 4]} for i in ids],
            )
            revision = next_revision(session, model.id)
            session.execute(
                insert(Embedding),
                [
                    {
                        "clip_id": i,
                        "model_id": model.id,
                        "revision": revision,
                        "vector": vector.astype("<f4").tobytes(),
                        "scores": score.tobytes(),
                    }
                    for i, vector, score in zip(ids, vectors, scores, strict=True)
                ],
            )
    database.close()

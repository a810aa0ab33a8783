"""Embeddings to measure search on: from a seed, or from real speech repeated with perturbation."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sqlalchemy import insert

from emotion_search.index.database.connection import Database
from emotion_search.index.database.models import ModelInfo, activate_model
from emotion_search.index.database.schema import Clip, Embedding, Label, Model, Recording
from emotion_search.index.vectors.arrays import Vectors, normalise

PART = 10_000


def clustered(count: int, dimension: int, *, seed: int = 0) -> Iterator[Vectors]:
    """Clusters in a space whose directions matter less and less, as those of real embeddings do:
    float32 (n, dim), ten thousand at a time."""
    random = np.random.default_rng(seed)
    scale = (1 / np.sqrt(1 + np.arange(dimension) / 20)).astype(np.float32)
    centres = random.normal(size=(500, dimension)).astype(np.float32)
    for begin in range(0, count, PART):
        n = min(PART, count - begin)
        noise = random.standard_normal((n, dimension), dtype=np.float32)
        yield normalise((centres[random.integers(500, size=n)] + noise) * scale)


def repeated(
    real: Vectors, count: int, *, seed: int = 0, strength: float = 0.5
) -> Iterator[Vectors]:
    """Real embeddings, each again and again with some of the difference of two others added:
    float32 (n, dim), ten thousand at a time."""
    random = np.random.default_rng(seed)
    for begin in range(0, count, PART):
        n = min(PART, count - begin)
        base, left, right = random.integers(len(real), size=(3, n))
        weight = random.uniform(0, strength, size=(n, 1)).astype(np.float32)
        yield normalise(real[base] + weight * (real[left] - real[right]))


def fill(database: Database, parts: Iterator[Vectors], *, dimension: int) -> ModelInfo:
    """An archive of these embeddings, a recording a clip, written the quick way.

    A source has half of the clips, one a hundredth, one a ten-thousandth; so have labels; recording
    times go up by a minute.
    """
    from datetime import UTC, datetime, timedelta

    with database.write() as session:
        model = activate_model(
            session, name="synthetic", fingerprint="f" * 64, dimension=dimension, classes=()
        )
    start = datetime(2026, 1, 1, tzinfo=UTC)
    random = np.random.default_rng(7)
    done = 0
    for revision, vectors in enumerate(parts, start=1):
        ids = np.arange(done + 1, done + len(vectors) + 1).tolist()
        done += len(vectors)
        kinds = np.digitize(random.random(len(ids)), [1e-4, 0.0101, 0.5101])
        share = np.array(["rare", "some", "half", "rest"])[kinds].tolist()
        with database.write() as session:
            session.execute(
                insert(Recording),
                [
                    {
                        "id": i,
                        "sha256": uuid.UUID(int=i).hex * 2,
                        "name": f"{i}.wav",
                        "source": s,
                        "recorded_at": start + timedelta(minutes=i),
                        "duration": 3.0,
                        "sample_rate": 16000,
                        "channels": 1,
                        "ingested_at": start,
                    }
                    for i, s in zip(ids, share, strict=True)
                ],
            )
            session.execute(
                insert(Clip),
                [{"id": i, "recording_id": i, "start": 0.0, "end": 3.0} for i in ids],
            )
            session.execute(
                insert(Label),
                [
                    {"clip_id": i, "task": "emotion", "value": s}
                    for i, s in zip(ids, share, strict=True)
                ],
            )
            session.execute(
                insert(Embedding),
                [
                    {
                        "clip_id": i,
                        "model_id": model.id,
                        "revision": revision,
                        "vector": v.tobytes(),
                        "scores": b"",
                    }
                    for i, v in zip(ids, vectors, strict=True)
                ],
            )
            session.query(Model).update({"revision": revision})
    return model


def emodb_embeddings(folder: Path) -> Vectors:
    """Embeddings of every EMO-DB clip by the built-in model: float32, (n, 256)."""
    import soundfile
    import soxr

    from emotion_search.engine.embedders.registry import load_embedder
    from emotion_search.engine.settings import load_settings

    embedder = load_embedder("acoustic", load_settings(home=str(folder / "none")))
    rows = []
    for path in sorted(folder.rglob("*.flac")):
        samples, rate = soundfile.read(path, dtype="float32")
        rows.append(embedder.embed([soxr.resample(samples, rate, 16000)]).vectors[0])
    return np.stack(rows)

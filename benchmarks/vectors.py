"""Embeddings to measure search on: from a seed, or from real speech repeated with perturbation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count, repeat
from pathlib import Path

import numpy as np
from sqlalchemy import insert

from emotion_search.index.database.bulk import reserve_ids
from emotion_search.index.database.connection import Database, Session
from emotion_search.index.database.files import FileFacts
from emotion_search.index.database.models import ModelInfo, activate_model, next_revision
from emotion_search.index.database.recordings import (
    Annotations,
    NewClip,
    NewRecording,
    add_recordings,
)
from emotion_search.index.database.schema import Clip, Embedding, Label, Recording
from emotion_search.index.vectors.arrays import Vectors, normalise

PART = 10_000

_START = datetime(2026, 1, 1, tzinfo=UTC)


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


def fill(
    session: Session,
    model: ModelInfo,
    vectors: Vectors,
    first: int,
    *,
    sources: Sequence[str],
    speakers: Sequence[str] | None = None,
    labels: Sequence[str | None],
    scores: np.ndarray | None = None,
    each: int = 1,
) -> None:
    """Add clips of 3 s with ids from ``first``, the quick way; recording times go up by a minute.

    Only columns that have been there since revision 0003 are written.

    Args:
        vectors, labels, scores: of the clips.
        sources, speakers: of the recordings.
        each: clips of a recording.
    """
    ids = range(first, first + len(vectors))
    recordings = [
        {
            "id": i,
            "sha256": f"{i:064x}",
            "name": f"{i}.wav",
            "source": source,
            "speaker": speaker,
            "recorded_at": _START + timedelta(minutes=i),
            "duration": 3.0 * each,
            "sample_rate": 16_000,
            "channels": 1,
            "ingested_at": _START,
        }
        for i, source, speaker in zip(
            count((first - 1) // each + 1), sources, speakers or repeat(None), strict=False
        )
    ]
    clips = [(i, (i - 1) // each + 1, 3.0 * ((i - 1) % each)) for i in ids]
    revision = next_revision(session, model.id)
    embeddings = [
        {
            "clip_id": i,
            "model_id": model.id,
            "revision": revision,
            "vector": vectors[row].astype("<f4").tobytes(),
            "scores": b"" if scores is None else scores[row].astype("<f4").tobytes(),
        }
        for row, i in enumerate(ids)
    ]
    session.execute(insert(Recording), recordings)
    session.execute(
        insert(Clip),
        [{"id": i, "recording_id": r, "start": at, "end": at + 3.0} for i, r, at in clips],
    )
    session.execute(
        insert(Label),
        [
            {"clip_id": i, "task": "emotion", "value": label}
            for i, label in zip(ids, labels, strict=True)
            if label is not None
        ],
    )
    session.execute(insert(Embedding), embeddings)


def fill_shares(database: Database, parts: Iterator[Vectors], *, dimension: int) -> None:
    """An archive of these embeddings, a recording a clip: a source has half of the clips, one a
    fifth, one a twentieth, one a thousandth; so have labels."""
    with database.write() as session:
        model = activate_model(
            session, name="synthetic", fingerprint="f" * 64, dimension=dimension, classes=()
        )
    random = np.random.default_rng(7)
    done = 0
    for vectors in parts:
        kinds = np.digitize(random.random(len(vectors)), [0.001, 0.051, 0.251, 0.751])
        share = np.array(["rare", "some", "fifth", "half", "rest"])[kinds].tolist()
        with database.write() as session:
            for table in (Recording, Clip):  # Postgres does not count ids that are given
                reserve_ids(session, table, len(vectors))
            fill(session, model, vectors, done + 1, sources=share, labels=share)
        done += len(vectors)


def add(
    session: Session, model: ModelInfo, vector: Vectors, name: str, source: str | None = None
) -> int:
    """Add a recording of one clip, as an ingest does; returns its id."""
    clip = NewClip(None, 0.0, 1.0, vector, np.empty(0, np.float32))
    file, about = FileFacts(f"/{name}", 1, 1), Annotations(source=source)
    new = NewRecording(file, name, name.rjust(64, "0"), 1.0, 8000, 1, about, [clip])
    return add_recordings(session, model.id, [new])[0][0]


def emodb_embeddings(folder: Path) -> Vectors:
    """Embeddings of every EMO-DB clip by the built-in model: float32, (n, 384)."""
    import soundfile
    import soxr

    from emotion_search.engine.embedders.registry import load_embedder
    from emotion_search.engine.settings import load_settings

    embedder = load_embedder("voice", load_settings(home=str(folder / "none")))
    rows = []
    for path in sorted(folder.rglob("*.flac")):
        samples, rate = soundfile.read(path, dtype="float32")
        rows.append(embedder.embed([soxr.resample(samples, rate, 16000)]).vectors[0])
    return np.stack(rows)

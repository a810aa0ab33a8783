"""Archives of made-up embeddings, for what is learned from them: no audio, no model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from emotion_search.engine.embedders.base import Embedder
from emotion_search.index.database.connection import Database
from emotion_search.index.database.coverage import add_embeddings
from emotion_search.index.database.files import FileFacts
from emotion_search.index.database.models import ModelInfo, activate_model, register_model
from emotion_search.index.database.recordings import (
    Annotations,
    NewClip,
    NewRecording,
    add_recordings,
)

CLASSES = ("angry", "sad")


def fill(
    database: Database,
    vectors: np.ndarray,
    *,
    labels: Sequence[str | None] = (),
    speakers: Sequence[str | None] = (),
    sources: Sequence[str | None] = (),
    task: str = "emotion",
    begin: int = 0,
    embedder: Embedder | None = None,
) -> ModelInfo:
    """A recording of one clip for each vector, as if ``embedder`` had made it; without one, the
    model scores by the vector's first number."""
    n = len(vectors)
    with database.write() as session:
        model = activate_model(
            session,
            name=embedder.name if embedder else "made",
            fingerprint=embedder.fingerprint if embedder else "f" * 64,
            dimension=vectors.shape[1],
            classes=embedder.classes if embedder else CLASSES,
        )
        scored = embedder.scores(vectors.astype(np.float32)) if embedder else None
        new = []
        for i in range(n):
            label = labels[i] if labels else None
            sad = float(vectors[i, 0] > 0)
            scores = np.array([1 - sad, sad], np.float32) if scored is None else scored[i]
            name = f"{begin + i}.wav"
            new.append(
                NewRecording(
                    file=FileFacts(f"/made/{name}", 1, 1),
                    name=name,
                    sha256=hashlib.sha256(name.encode()).hexdigest(),
                    duration=1.0,
                    sample_rate=16_000,
                    channels=1,
                    annotations=Annotations(
                        speaker=speakers[i] if speakers else None,
                        source=sources[i] if sources else None,
                        labels={task: label} if label else {},
                    ),
                    clips=[NewClip(None, 0.0, 1.0, vectors[i].astype(np.float32), scores)],
                )
            )
        add_recordings(session, model.id, new)
    return model


def twin(database: Database, vectors: np.ndarray) -> ModelInfo:
    """Another model, with embeddings of the first clips: float32 (n, dim)."""
    with database.write() as session:
        model = register_model(
            session, name="twin", fingerprint="e" * 64, dimension=vectors.shape[1], classes=CLASSES
        )
        scores = np.array([0.5, 0.5], np.float32)
        rows = [(i, vector, scores, None) for i, vector in enumerate(vectors, start=1)]
        add_embeddings(session, model.id, rows)
    return model


def blobs(
    classes: int = 3, speakers: int = 6, each: int = 5, *, spread: float = 0.3, dim: int = 16
) -> tuple[np.ndarray, list[str], list[str]]:
    """Vectors in one blob a class, their classes and speakers."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(classes, dim))
    rows = [(c, s) for c in range(classes) for s in range(speakers) for _ in range(each)]
    vectors = np.array([centres[c] + spread * rng.normal(size=dim) for c, _ in rows])
    return (
        vectors.astype(np.float32),
        [f"class{c}" for c, _ in rows],
        [f"speaker{s}" for _, s in rows],
    )

"""Archives of vectors for tests of search, written the quick way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from sqlalchemy import insert

from emotion_search.index.database.connection import Database
from emotion_search.index.database.embeddings import scored
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.models import (
    ModelInfo,
    activate_model,
    archive_uuid,
    next_revision,
)
from emotion_search.index.database.schema import Clip, Embedding, Label, Recording
from emotion_search.index.lifecycle.keeper import IndexKeeper
from emotion_search.index.lifecycle.saved import IndexCache
from emotion_search.index.search import Example, Hit, Searcher, Target
from emotion_search.index.vectors.arrays import Vectors
from emotion_search.index.vectors.kinds import IndexKind
from emotion_search.index.vectors.topk import Wish

START = datetime(2026, 1, 1, tzinfo=UTC)


class VectorArchive:
    """An archive of bare vectors: a clip has a recording of its own, or shares it with others."""

    def __init__(self, database: Database, folder: Path, dimension: int) -> None:
        self.database, self.folder = database, folder
        with database.write() as session:
            self.model: ModelInfo = activate_model(
                session,
                name="test",
                fingerprint="f" * 64,
                dimension=dimension,
                classes=("calm", "angry"),
            )
            self.uuid = archive_uuid(session)
        self.count = 0

    def add(self, vectors: Vectors, *, source: str = "s", clips_each: int = 1) -> list[int]:
        """Add clips, so many to a recording; every tenth is labelled ``rare``, the others
        ``common``; the model hears anger in every second."""
        ids = list(range(self.count + 1, self.count + len(vectors) + 1))
        self.count += len(vectors)
        recordings = sorted({(i - 1) // clips_each + 1 for i in ids})
        with self.database.write() as session:
            revision = next_revision(session, self.model.id)
            session.execute(
                insert(Recording),
                [
                    {
                        "id": i,
                        "sha256": f"{i:064x}",
                        "name": f"{i}.wav",
                        "source": source,
                        "recorded_at": START + timedelta(hours=i),
                        "duration": 3.0,
                        "sample_rate": 16000,
                        "channels": 1,
                        "ingested_at": START,
                    }
                    for i in recordings
                ],
            )
            session.execute(
                insert(Clip),
                [
                    {"id": i, "recording_id": (i - 1) // clips_each + 1, "start": 0.0, "end": 1.0}
                    for i in ids
                ],
            )
            session.execute(
                insert(Label),
                [
                    {"clip_id": i, "task": "emotion", "value": "rare" if i % 10 == 0 else "common"}
                    for i in ids
                ],
            )
            session.execute(
                insert(Embedding),
                [
                    {
                        "clip_id": i,
                        "model_id": self.model.id,
                        "revision": revision,
                        "vector": vector.astype("<f4").tobytes(),
                        **scored(
                            self.model.classes,
                            np.array([1 - i % 2, i % 2], np.float32) * (i % 100) / 100,
                        ),
                    }
                    for i, vector in zip(ids, vectors, strict=True)
                ],
            )
        return ids

    def searcher(self, asked: IndexKind = "auto", *, background: bool = False) -> Searcher:
        """A search as a process of its own would have it."""
        cache = IndexCache(self.folder, archive=self.uuid, model=self.model.fingerprint)
        keeper = IndexKeeper(self.database, self.model, cache, asked=asked, background=background)
        return Searcher(self.database, self.model, keeper)


def ask(
    searcher: Searcher,
    query: Vectors,
    limit: int = 10,
    wanted: ClipFilter | None = None,
    *,
    exact: bool = False,
    **wish: object,
) -> list[Hit]:
    """The hits of a query."""
    wished = Wish(limit, **wish)  # type: ignore[arg-type]
    target = Target([Example(query[None])], wished, wanted=wanted or ClipFilter(), exact=exact)
    return searcher.search(target)


def found(hits: list[Hit]) -> list[tuple[int, float]]:
    """Ids and similarities of hits."""
    return [(hit.clip.id, hit.similarity) for hit in hits]

"""Stored embeddings of many clips, read with bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from emotion_search.index.database.filters import ClipFilter, matching
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.schema import Clip, Embedding
from emotion_search.index.vectors.arrays import Ids, Vectors

ROWS = 4096
"""Vectors read at a time."""


def embedded_ids(session: Session, model: ModelInfo, wanted: ClipFilter) -> Ids:
    """Ids of the clips with an embedding of the model that pass the filter: int64, ascending."""
    query = select(Embedding.clip_id).where(Embedding.model_id == model.id)
    if not wanted.is_empty:
        query = (
            matching(wanted)
            .join(Embedding, Embedding.clip_id == Clip.id)
            .where(Embedding.model_id == model.id)
        )
    rows = session.scalars(query.execution_options(yield_per=ROWS))
    ids = np.fromiter(rows, dtype=np.int64)
    ids.sort()
    return ids


def draw(ids: Ids, most: int, *, seed: int = 0) -> Ids:
    """``ids``, or ``most`` of them drawn at random, ascending; the same ids give the same draw."""
    if len(ids) <= most:
        return ids
    return np.sort(np.random.default_rng(seed).choice(ids, most, replace=False))


def vectors_by_id(session: Session, model: ModelInfo, ids: Ids) -> Iterator[tuple[Ids, Vectors]]:
    """Ids and embeddings, float32 (n, dim), of the clips ``ids`` (ascending), some at a time.

    The embeddings between the first and the last id are read in their order and those not asked
    for dropped, which beats asking for each: pass most of the clips, or few.
    """
    for part in np.array_split(ids, max(1, -(-len(ids) // ROWS))):
        if not len(part):
            return
        query = select(Embedding.clip_id, Embedding.vector).where(Embedding.model_id == model.id)
        if part[-1] - part[0] < 2 * len(part):  # hardly any gaps
            query = query.where(Embedding.clip_id.between(int(part[0]), int(part[-1])))
            yield _arrays(session.execute(query.order_by(Embedding.clip_id)).all(), model, part)
            continue
        for few in np.array_split(part, -(-len(part) // 500)):
            some = query.where(Embedding.clip_id.in_(few.tolist()))
            yield _arrays(session.execute(some.order_by(Embedding.clip_id)).all(), model, few)


def _arrays(rows: object, model: ModelInfo, wanted: NDArray[np.int64]) -> tuple[Ids, Vectors]:
    found = list(rows)  # type: ignore[call-overload]
    ids = np.array([row[0] for row in found], dtype=np.int64)
    data = b"".join(row[1] for row in found)
    vectors = np.frombuffer(data, dtype="<f4").reshape(len(found), model.dimension)
    kept = np.isin(ids, wanted)
    return ids[kept], vectors[kept]

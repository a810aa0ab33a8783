"""Reading the embeddings of an archive: all of them at the speed of the disk, or some by id."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.schema import Embedding
from emotion_search.index.vectors.arrays import Ids, Vectors

_ROWS = 4096  # read at a time
_ASKED = 1000  # ids of one statement


def stream(session: Session, model: ModelInfo, since: int = 0) -> Iterator[tuple[Ids, Vectors]]:
    """Embeddings of revisions after ``since``, a few thousand at a time: ids int64 (n,), vectors
    float32 (n, dim), as stored. All of them come in the order in which they lie on disk, else in
    that of revisions."""
    query = select(Embedding.clip_id, Embedding.vector).where(Embedding.model_id == model.id)
    if since:
        query = query.where(Embedding.revision > since).order_by(
            Embedding.revision, Embedding.clip_id
        )
    rows = session.execute(query.execution_options(yield_per=_ROWS))
    for part in rows.partitions():
        yield _arrays(part, model.dimension)


def embeddings_by_id(session: Session, model: ModelInfo, ids: Ids) -> tuple[Ids, Vectors]:
    """Embeddings of those of the clips that have one: ids int64 (n,) in any order, vectors float32
    (n, dim), as stored."""
    parts = [_some(session, model, ids[i : i + _ASKED]) for i in range(0, len(ids), _ASKED)]
    if not parts:
        return np.empty(0, np.int64), np.empty((0, model.dimension), np.float32)
    return np.concatenate([i for i, _ in parts]), np.concatenate([v for _, v in parts])


def embeddings_in_order(session: Session, model: ModelInfo, ids: Ids) -> Vectors:
    """Embeddings of clips that all have one, in the order of ``ids``: float32, (n, dim), as
    stored."""
    known, stored = embeddings_by_id(session, model, ids)
    order = np.argsort(known)
    return stored[order[np.searchsorted(known[order], ids)]]


def _some(session: Session, model: ModelInfo, ids: Ids) -> tuple[Ids, Vectors]:
    if not len(ids):
        return ids, np.empty((0, model.dimension), np.float32)
    # Numbers written into the statement, past SQLAlchemy: a search reads a hundred vectors, and
    # binding as many parameters would take longer than looking them up.
    wanted = ",".join(map(str, ids.tolist()))
    rows = session.connection().exec_driver_sql(
        "SELECT clip_id, vector FROM embeddings"  # noqa: S608
        f" WHERE model_id = {model.id:d} AND clip_id IN ({wanted})"
    )
    return _arrays(rows.all(), model.dimension)


def _arrays(rows: Any, dimension: int) -> tuple[Ids, Vectors]:
    ids = np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows))
    data = np.frombuffer(b"".join(row[1] for row in rows), dtype="<f4")
    return ids, np.asarray(data.reshape(len(rows), dimension), dtype=np.float32)

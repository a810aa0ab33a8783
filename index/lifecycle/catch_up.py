"""Incremental update of an index: does it hold what the database does, and what has changed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from emotion_search.index.database.embeddings import embeddings_by_id, stream
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.schema import Embedding, Tombstone
from emotion_search.index.database.spaces import ArchiveSpace
from emotion_search.index.vectors.arrays import Ids, Vectors
from emotion_search.index.vectors.base import VectorIndex

_COMPARED = 200  # last clips of an index that are compared with the database


@dataclass
class LoadedIndex:
    """An index, the revision that it stands at, and the space that it is in."""

    index: VectorIndex
    revision: int
    space: ArchiveSpace


@dataclass(frozen=True)
class IndexState:
    """How many clips an index holds, and when (Unix time) it was last up to date; None if it never
    was."""

    clips: int
    fresh_at: float | None


def bring_forward(session: Session, model: ModelInfo, loaded: LoadedIndex) -> tuple[int, bool]:
    """Add and remove what was committed after the index's revision; done twice it is the same as
    once. Returns how many clips that were, and whether any of them went."""
    index, since = loaded.index, loaded.revision
    changed = 0
    for ids, vectors in stream(session, model, since):
        index.add(ids, loaded.space.turn(session, ids, vectors))
        changed += len(ids)
    gone = np.fromiter(
        session.scalars(
            select(Tombstone.clip_id).where(
                Tombstone.model_id == model.id, Tombstone.revision > since
            )
        ),
        dtype=np.int64,
    )
    before = index.count
    index.remove(gone)
    return changed + len(gone), index.count < before


def agrees(session: Session, model: ModelInfo, loaded: LoadedIndex) -> bool:
    """Whether an index, just loaded, has the vectors that the database has at the last revisions up
    to the index's own. A database restored from a backup, and written to since, may have reached
    that revision by another way."""
    last = np.fromiter(
        session.scalars(
            select(Embedding.clip_id)
            .where(Embedding.model_id == model.id, Embedding.revision <= loaded.revision)
            .order_by(Embedding.revision.desc(), Embedding.clip_id.desc())
            .limit(_COMPARED)
        ),
        dtype=np.int64,
    )
    index = loaded.index
    if not np.isin(last, index.ids()).all():
        return False
    ids, stored = embeddings_by_id(session, model, last)
    turned = loaded.space.turn(session, ids, stored)
    off = 8 * index.spread + 1e-5
    for one, vector in zip(ids, turned, strict=True):
        found = index.candidates(vector, 1, rank=1, allowed=np.array([one]))
        if len(found.ids) != 1 or abs(found.estimates[0] - 1) > off:
            return False
    if index.rows is None:
        return True
    ids, stored = embeddings_by_id(session, model, index.rows.sample(_COMPARED))
    known, kept = index.rows.get(ids)
    return np.allclose(kept, loaded.space.turn(session, ids, stored)[known], atol=1e-5)


def turned_by_id(
    session: Session, space: ArchiveSpace, index: VectorIndex, ids: Ids
) -> tuple[Ids, Vectors]:
    """Those of the clips that have an embedding, in any order, and these in the space: float32
    (n, dim), from the index where it has them, else from the database."""
    known, vectors = index.get(ids)
    if known.all():
        return ids, vectors
    others, stored = embeddings_by_id(session, space.model, ids[~known])
    more = space.turn(session, others, stored)
    return np.concatenate([ids[known], others]), np.concatenate([vectors, more])

"""Incremental update of an index: does it hold what the database does, and what has changed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from emotion_search.index.database.columns import Columns
from emotion_search.index.database.embeddings import (
    embeddings_by_id,
    removed_since,
    stream,
    vectors_by_id,
)
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.schema import Clip, Embedding
from emotion_search.index.database.spaces import ArchiveSpace, Standing
from emotion_search.index.errors import DatabaseError
from emotion_search.index.lifecycle.saved import SavedIndex
from emotion_search.index.vectors.arrays import Ids
from emotion_search.index.vectors.base import VectorIndex

_COMPARED = 200  # last clips of an index that are compared with the database


@dataclass
class LoadedIndex:
    """An index, the revision of embeddings that it stands at, the space that it is in, and the
    columns of its clips."""

    index: VectorIndex
    revision: int
    space: ArchiveSpace
    columns: Columns

    @property
    def revisions(self) -> tuple[int, int]:
        """Those that its vectors and its columns stand at."""
        return self.revision, self.columns.revision

    def is_at_least(self, seen: Standing) -> bool:
        """Whether it is not behind what a session sees."""
        return self.revision >= seen.revision and self.columns.revision >= seen.changes

    def stands_at(self, seen: Standing) -> bool:
        """Whether it is neither behind nor ahead of it."""
        return self.revisions == (seen.revision, seen.changes)


@dataclass(frozen=True)
class IndexState:
    """How many clips an index holds, and when it was last up to date, on the monotonic clock; None
    if it never was. ``trouble`` says why its engine is not asked, if it has one and that is so."""

    clips: int
    fresh_at: float | None
    trouble: str | None = None


def bring_forward(
    session: Session, model: ModelInfo, loaded: LoadedIndex, seen: Standing
) -> tuple[int, bool]:
    """Add, remove and read anew what was committed since, up to what the session sees; done twice
    it is the same as once. Returns how many clips that were, and whether any of them went."""
    index, since, columns = loaded.index, loaded.revision, loaded.columns
    before, gone, added = index.count, np.empty(0, np.int64), [np.empty(0, np.int64)]
    if since < seen.revision:
        for ids, vectors in stream(session, model, since):
            index.add(ids, loaded.space.turn(session, ids, vectors))
            added.append(ids)
        gone = removed_since(session, model, since)
        before = index.count
        index.remove(gone)
        columns.remove(gone)
    anew = np.unique(np.concatenate(added))
    if len(anew):
        columns.update(session, anew)
    changed = columns.update_changed(session)
    loaded.revision, columns.revision = seen.revision, seen.changes
    return len(np.union1d(anew, changed)) + len(gone), index.count < before


def latest_ids(session: Session, model: ModelInfo, revision: int, most: int = _COMPARED) -> Ids:
    """The last clips that got their embeddings up to a revision: int64, (n,)."""
    query = (
        select(Embedding.clip_id)
        .where(Embedding.model_id == model.id, Embedding.revision <= revision)
        .order_by(Embedding.revision.desc(), Embedding.clip_id.desc())
    )
    return np.fromiter(session.scalars(query.limit(most)), dtype=np.int64)


def agrees(session: Session, model: ModelInfo, loaded: LoadedIndex) -> bool:
    """Whether an index, just loaded, has the vectors that the database has at the last revisions up
    to the index's own. A database restored from a backup, and written to since, may have reached
    that revision by another way. Columns that differ are read anew."""
    last = latest_ids(session, model, loaded.revision)
    index = loaded.index
    latest = select(Clip.id).where(Clip.revision > 0, Clip.revision <= loaded.columns.revision)
    clips = np.array(session.scalars(latest.order_by(Clip.revision.desc()).limit(_COMPARED)).all())
    if loaded.columns.differences(session, np.union1d(last, clips).astype(np.int64)):
        loaded.columns = Columns.read(session, model, loaded.columns.revision)
    if not _has_vectors(session, model, loaded, last):
        return False
    if index.rows is None:
        return True
    ids, stored = embeddings_by_id(session, model, index.rows.sample(_COMPARED))
    known, kept = index.rows.get(ids)
    return np.allclose(kept, loaded.space.turn(session, ids, stored)[known], atol=1e-5)


def differing(
    session: Session, model: ModelInfo, saved: SavedIndex, space: ArchiveSpace
) -> list[int]:
    """Clips that have had another vector in the database than in a saved index since it was saved;
    none of an index that has estimates alone. Every vector is read once."""
    at = select(Embedding.clip_id).where(
        Embedding.model_id == model.id, Embedding.revision <= saved.revision
    )
    clips = np.fromiter(session.scalars(at.order_by(Embedding.clip_id)), dtype=np.int64)
    found: list[int] = []
    for ids, stored in vectors_by_id(session, model, clips):
        known, kept = saved.index.get(ids)
        here = ids[known]
        turned = space.turn(session, here, stored[known])
        found += here[~np.isclose(kept, turned, atol=1e-5).all(axis=1)].tolist()
    return found


def shares_past(session: Session, model: ModelInfo, loaded: LoadedIndex) -> bool:
    """As ``agrees``, by one clip of the last revision: for an index in use, whose database may be
    put back and written to before anybody asks again."""
    last = latest_ids(session, model, loaded.revision, 1)
    try:
        return _has_vectors(session, model, loaded, last)
    except DatabaseError:  # a damaged one tells nothing
        return True


def _has_vectors(session: Session, model: ModelInfo, loaded: LoadedIndex, clips: Ids) -> bool:
    """Whether these clips have the vectors of the database in the index."""
    ids, stored = embeddings_by_id(session, model, clips)
    off = 8 * loaded.index.spread + 1e-5
    for one, vector in zip(ids.tolist(), loaded.space.turn(session, ids, stored), strict=True):
        found = loaded.index.estimate(vector, one)
        if found is None or abs(found - 1) > off:
            return False
    return True

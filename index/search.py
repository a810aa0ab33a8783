"""From a query vector to hits: catch up with the database, filter, take the top k."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from index.cache import IndexCache
from index.calibration import Calibration
from index.clips import ClipDetails, clip_details
from index.database import Database
from index.errors import StorageFullError
from index.filters import ClipFilter, matching_ids
from index.flat import FlatIndex
from index.models import ModelInfo, standing
from index.schema import Embedding, Tombstone
from index.space import Space
from index.spaces import active_space, calibrated_clips, get_calibration
from index.vectors import Vectors

log = logging.getLogger(__name__)

_ROWS = 4096  # embeddings read at a time
_COMPARED = 1000  # last clips of a loaded index that are compared with the database
_SAVE_AFTER = 1000  # changed clips after which a search saves the index it brought up to date


@dataclass(frozen=True)
class Hit:
    """A clip found.

    Attributes:
        similarity: its cosine to the query in the archive's space, -1 to 1.
        percentile: the percentage of random pairs of the archive's clips that are less alike, 0
            to 100; None while the archive is too small to tell.
        space: version of the space.
    """

    clip: ClipDetails
    similarity: float
    percentile: float | None
    space: int


@dataclass(frozen=True)
class IndexState:
    """How many clips an index holds, and when (Unix time) it was last brought up to date; None if
    it never was."""

    clips: int
    fresh_at: float | None


class Searcher:
    """Search over the embeddings of one model, always as fresh as the database.

    Safe for use from several threads.
    """

    def __init__(self, database: Database, model: ModelInfo, cache: IndexCache) -> None:
        self._database = database
        self._model = model
        self._cache = cache
        self._lock = threading.Lock()
        self._index: FlatIndex | None = None
        self._revision = 0
        self._unsaved = 0
        self._fresh_at: float | None = None
        self._version, self._space = 0, Space()
        self._calibration: Calibration | None = None

    def search(
        self, query: Vectors, limit: int, wanted: ClipFilter, *, without: Collection[int] = ()
    ) -> list[Hit]:
        """The ``limit`` clips most like ``query`` (float32, (dim,)) among those that pass the
        filter, best first, ties by clip id; all of them where fewer pass.

        Args:
            without: ids of a few clips that are never hits, such as the query's own.

        Raises:
            InvalidInputError: the query has another dimension, is zero or not finite.
        """
        with self._database.read() as session:
            # One snapshot for index, filter and details: under the lock the index stands exactly
            # where the snapshot does, so no hit can have been removed and none is missing.
            with self._lock:
                index = self._caught_up(session)
                allowed = None if wanted.is_empty else matching_ids(session, wanted)
                turned = self._space.apply(query)
                ids, cosines = index.search(turned, limit + len(without), allowed=allowed)
                version, calibration = self._version, self._calibrated(session)
            kept = ~np.isin(ids, list(without))
            ids, cosines = ids[kept][:limit], cosines[kept][:limit]
            details = clip_details(session, self._model, ids.tolist())
        percentiles: list[float] | list[None] = [None] * len(details)
        if calibration is not None:
            percentiles = np.round(calibration.percentile(cosines), 3).tolist()
        return [
            Hit(clip, float(cosine), percentile, version)
            for clip, cosine, percentile in zip(details, cosines, percentiles, strict=True)
        ]

    def refresh(self) -> int:
        """Bring the index up to date; returns the number of clips in it."""
        with self._database.read() as session, self._lock:
            return self._caught_up(session).count

    def state(self) -> IndexState:
        """The index as it stands, without a look into the database."""
        index = self._index
        return IndexState(index.count if index is not None else 0, self._fresh_at)

    def save(self) -> None:
        """Bring the index up to date and save it, if it is not saved as it is."""
        with self._database.read() as session, self._lock:
            self._caught_up(session)
            self._save()

    def _caught_up(self, session: Session) -> FlatIndex:
        """The index, at the revision of the session's snapshot (which begins here, under the
        lock, so that a later snapshot never meets an earlier index)."""
        revision, version = standing(session, self._model.id)
        if version != self._version:
            self._version, self._space = active_space(session, self._model)
            self._index, self._calibration = None, None
        index, at = self._index, self._revision
        if index is None:
            index, at = self._cache.load(self._space.fingerprint) or (None, 0)
        if index is not None and at <= revision:
            fresh = self._index is not None
            self._apply(session, index, at, revision)
            if not fresh and not self._agrees(session, index):
                log.warning("the saved index does not match the database; building it anew")
                index = None
        else:  # nothing saved, or it is ahead: the database was restored from a backup
            index = None
        if index is None:
            index = FlatIndex(self._model.dimension)
            self._apply(session, index, 0, revision)
        self._index, self._revision = index, revision
        self._fresh_at = time.time()
        if self._unsaved >= _SAVE_AFTER:
            self._save()
        return index

    def _calibrated(self, session: Session) -> Calibration | None:
        """The calibration of the space, read again when it was made anew."""
        known = self._calibration.clips if self._calibration else None
        if calibrated_clips(session, self._model, self._version) != known:
            self._calibration = get_calibration(session, self._model, self._version)
        return self._calibration

    def _agrees(self, session: Session, index: FlatIndex) -> bool:
        """Whether a loaded index holds what the database does: as many clips, and the same
        vectors at the last revisions. A database restored from a backup, and written to since,
        may have reached the index's revision by another way."""
        embedded = select(func.count()).where(Embedding.model_id == self._model.id)
        if index.count != (session.scalar(embedded) or 0):
            return False
        ids = index.ids()
        if len(ids) == 0:
            return True
        rows = session.execute(
            select(Embedding.clip_id, Embedding.vector)
            .where(Embedding.model_id == self._model.id)
            .order_by(Embedding.revision.desc(), Embedding.clip_id.desc())
            .limit(_COMPARED)
        ).all()
        last = np.array([clip_id for clip_id, _ in rows], dtype=np.int64)
        if not np.isin(last, ids).all():
            return False
        stored = np.stack([np.frombuffer(vector, dtype="<f4") for _, vector in rows])
        return bool(np.allclose(index.vectors(last), self._space.apply(stored), atol=1e-5))

    def _apply(self, session: Session, index: FlatIndex, since: int, revision: int) -> None:
        """Add and remove what was committed after ``since``; done twice it is the same as once."""
        if since == revision:
            return
        rows = session.execute(
            select(Embedding.clip_id, Embedding.vector)
            .where(Embedding.model_id == self._model.id, Embedding.revision > since)
            .order_by(Embedding.revision, Embedding.clip_id)
            .execution_options(yield_per=_ROWS)
        )
        for part in rows.partitions():
            ids = np.fromiter((row[0] for row in part), dtype=np.int64, count=len(part))
            data = b"".join(row[1] for row in part)
            index.add(
                ids, self._space.apply(np.frombuffer(data, dtype="<f4").reshape(len(part), -1))
            )
            self._unsaved += len(part)
        gone = np.fromiter(
            session.scalars(
                select(Tombstone.clip_id).where(
                    Tombstone.model_id == self._model.id, Tombstone.revision > since
                )
            ),
            dtype=np.int64,
        )
        index.remove(gone)
        self._unsaved += len(gone)

    def _save(self) -> None:
        if not self._unsaved or self._index is None:
            return
        try:
            self._cache.save(self._index, self._revision, self._space.fingerprint)
        except StorageFullError as error:  # only a cache: searches go on without it
            log.warning("%s", error)
        self._unsaved = 0

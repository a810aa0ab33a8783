"""Building an index from the database, and measuring its recall."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import numpy as np
from sqlalchemy.orm import Session

from emotion_search.index.database.columns import Columns
from emotion_search.index.database.embeddings import embeddings_in_order, sample_clips, stream
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.spaces import ArchiveSpace
from emotion_search.index.lifecycle.catch_up import LoadedIndex
from emotion_search.index.lifecycle.gallery import ClipGallery
from emotion_search.index.vectors.arrays import Ids, Vectors, normalise
from emotion_search.index.vectors.base import VectorIndex
from emotion_search.index.vectors.kinds import IndexKind, is_large, kind_for
from emotion_search.index.vectors.mapped_rows import RowWriter
from emotion_search.index.vectors.topk import Wish, nearest

log = logging.getLogger(__name__)

LEAST_RECALL = 0.999
"""Share of the true ten nearest that searches are to find."""

_TRAINED_ON = 48 * 1024  # most vectors that an index is trained on
_JUDGED_BY = 96  # clips that recall is measured on
_NEIGHBOURS = 1000  # true neighbours of each that are known


class StoppedError(Exception):
    """The making was broken off."""


def build(
    session: Session,
    space: ArchiveSpace,
    columns: Columns,
    asked: IndexKind,
    writer: Callable[[], RowWriter | None],
    stop: threading.Event | None = None,
) -> VectorIndex:
    """An index of every embedding that the session sees.

    Args:
        columns: of their clips.
        writer: gives what an index that estimates puts its vectors into; None if there is no place
            for them.

    Raises:
        StoppedError: ``stop`` was set.
    """
    model = space.model
    ids, count = sample_clips(session, model, most=_TRAINED_ON)
    kind = kind_for(asked, count)
    if kind.estimates and is_large(count):
        log.warning("making the index of %d clips; this is done once", count)
    ids = np.random.default_rng(0).permutation(ids)[: kind.training_size(count)]
    drawn = space.turn(session, ids, embeddings_in_order(session, model, ids))
    index = kind.trained(drawn, count)
    neighbours = _judges(ids, drawn)
    rows = writer() if kind.estimates else None
    try:
        for part, vectors in stream(session, model):
            if stop is not None and stop.is_set():
                raise StoppedError
            turned = space.turn(session, part, vectors)
            if rows is not None:
                rows.add(part, turned)
            index.add(part, turned)
            neighbours.meet(part, turned)
        if rows is not None:
            index.rows = rows.close(model.dimension)
        if kind.training_size(count):
            _measure(session, LoadedIndex(index, 0, space, columns), neighbours)
    except BaseException:
        if rows is not None:
            rows.abandon()
        raise
    return index


def _judges(ids: Ids, drawn: Vectors) -> Neighbours:
    """Queries to judge an index by: clips of the archive, and as many directions between two of
    them, for queries from outside lie further off."""
    own = drawn[:_JUDGED_BY]
    between = normalise(own + drawn[len(own) :][: len(own)]) if len(drawn) >= 2 * len(own) else own
    nobody = np.full(len(between), -1)
    return Neighbours(np.concatenate([ids[: len(own)], nobody]), np.concatenate([own, between]))


class Neighbours:
    """The true nearest neighbours of a few clips, found while all others pass by.

    Args:
        ids: int64, (n,), of the clips; -1 for a query that is none.
        queries: float32, (n, dim), L2-normalised.
    """

    def __init__(self, ids: Ids, queries: Vectors, most: int = _NEIGHBOURS) -> None:
        self.own, self.queries, self._most = ids, queries, most
        self.ids = np.empty((len(ids), 0), np.int64)
        self.cosines = np.empty((len(ids), 0), np.float32)

    def meet(self, ids: Ids, vectors: Vectors) -> None:
        """Look at some clips of the archive."""
        similar = self.queries @ vectors.T
        similar[self.own[:, None] == ids[None]] = -np.inf  # a clip is not its own neighbour
        self.ids = np.hstack([self.ids, np.broadcast_to(ids, similar.shape)])
        self.cosines = np.hstack([self.cosines, similar])
        if self.ids.shape[1] > self._most:
            best = np.argpartition(-self.cosines, self._most, axis=1)[:, : self._most]
            self.ids = np.take_along_axis(self.ids, best, axis=1)
            self.cosines = np.take_along_axis(self.cosines, best, axis=1)

    def ranked(self) -> tuple[Ids, Vectors]:
        """Ids and cosines of each one's neighbours, best first: (n, most)."""
        order = np.lexsort((self.ids, -self.cosines), axis=1)
        found = np.take_along_axis(self.cosines, order, axis=1)
        there = np.isfinite(found).all(axis=0)  # all but the place of the clip itself
        return np.take_along_axis(self.ids, order, axis=1)[:, there], found[:, there]


def recall_of(session: Session, loaded: LoadedIndex, neighbours: Neighbours) -> float:
    """Share of the true ten nearest neighbours that searches of the index find; a neighbour that
    is exactly as near counts as one of them."""
    _, true = neighbours.ranked()
    limit = min(10, true.shape[1])
    found = 0
    for own, query, similar in zip(neighbours.own.tolist(), neighbours.queries, true, strict=True):
        gallery = ClipGallery(session, loaded, query, ClipFilter(), [own])
        _, cosines = nearest(loaded.index, query, Wish(limit), gallery)
        found += int(np.sum(cosines >= similar[limit - 1] - 1e-5))
    return float(found / max(1, limit * len(neighbours.own)))


def _measure(session: Session, loaded: LoadedIndex, neighbours: Neighbours) -> None:
    """Let the index learn how many lists it has to look into until recall is as it should be."""
    index = loaded.index
    nearest_ids, true = neighbours.ranked()
    lost = (1 - LEAST_RECALL) / 2
    while True:
        index.measure(neighbours.queries, nearest_ids, true, 1 - lost)
        index.recall = recall_of(session, loaded, neighbours)
        if index.recall >= LEAST_RECALL or lost < 1e-6:
            return
        lost /= 8

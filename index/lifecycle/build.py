"""Making an index from the database: which kind, and how good it came out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Literal

import numpy as np
from sqlalchemy.orm import Session

from emotion_search.index.database.embeddings import embeddings_by_id, embeddings_in_order, stream
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.spaces import sample_clips
from emotion_search.index.vectors.arrays import Cosines, Ids, Vectors
from emotion_search.index.vectors.base import VectorIndex
from emotion_search.index.vectors.flat import FlatIndex
from emotion_search.index.vectors.mapped_rows import RowWriter
from emotion_search.index.vectors.pool import Wish
from emotion_search.index.vectors.quantised import TRAINED_A_LIST, QuantisedIndex, lists_for
from emotion_search.index.vectors.space import Space
from emotion_search.index.vectors.topk import nearest

log = logging.getLogger(__name__)

IndexKind = Literal["auto", "flat", "quantised"]
"""What may be asked for; ``auto`` goes by size."""

FLAT_UP_TO = 50_000
"""Clips up to which the exact index serves: beyond, it takes tens of milliseconds a search."""

OUTGROWN = 1.5
"""By how much an archive outgrows the lists of its index."""

LEAST_RECALL = 0.999
"""Share of the true ten nearest that searches are to find."""

_FEWEST = 256  # vectors that lists can be trained on
_HELD = 128  # clips that recall is measured on
_NEIGHBOURS = 1000  # true neighbours of each that are known


class StoppedError(Exception):
    """The making was broken off."""


def kind_for(asked: IndexKind, count: int) -> Literal["flat", "quantised"]:
    """The kind that suits so many clips."""
    if asked == "flat" or count < _FEWEST:
        return "flat"
    return "quantised" if asked == "quantised" or count > FLAT_UP_TO else "flat"


def is_outgrown(index: VectorIndex, asked: IndexKind) -> bool:
    """Whether the index should be made anew: of another kind, or with more lists."""
    if index.kind != kind_for(asked, index.count):
        return index.kind == "flat" or asked == "flat"  # a quantised one that shrank still serves
    return index.count > OUTGROWN * index.trained_on


def build(
    session: Session,
    model: ModelInfo,
    space: Space,
    asked: IndexKind,
    writer: Callable[[], RowWriter | None],
    stop: threading.Event | None = None,
) -> VectorIndex:
    """An index of every embedding that the session sees.

    Args:
        writer: gives what a large index puts its vectors into; None if there is no place for them.

    Raises:
        StoppedError: ``stop`` was set.
    """
    ids, count = sample_clips(session, model, most=TRAINED_A_LIST * 1024)
    if kind_for(asked, count) == "flat":
        flat = FlatIndex(model.dimension)
        for part, vectors in stream(session, model):
            _go_on(stop)
            flat.add(part, space.apply(vectors))
        return flat
    if count > FLAT_UP_TO:
        log.warning("making the index of %d clips; this is done once", count)
    ids = np.random.default_rng(0).permutation(ids)[: TRAINED_A_LIST * lists_for(count)]
    own = ids[:_HELD]
    index = QuantisedIndex(space.apply(embeddings_by_id(session, model, ids)[1]), count=count)
    held = Neighbours(own, space.apply(embeddings_in_order(session, model, own)))
    rows = writer()
    try:
        for part, vectors in stream(session, model):
            _go_on(stop)
            if rows is not None:
                rows.add(part, vectors)
            turned = space.apply(vectors)
            index.add(part, turned)
            held.meet(part, turned)
        if rows is not None:
            index.rows = rows.close(model.dimension)
        _measure(session, model, space, index, held)
    except BaseException:
        if rows is not None:
            rows.abandon()
        raise
    return index


class Neighbours:
    """The true nearest neighbours of a few clips, found while all others pass by.

    Args:
        ids: int64, (n,), of the clips.
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


def recall_of(
    session: Session, model: ModelInfo, space: Space, index: VectorIndex, held: Neighbours
) -> float:
    """Share of the true ten nearest neighbours that searches of the index find; a neighbour that
    is exactly as near counts as one of them."""
    _, true = held.ranked()
    limit = min(10, true.shape[1])

    def vectors(ids: Ids) -> Vectors:
        return space.apply(embeddings_in_order(session, model, ids))

    found = 0
    for own, query, similar in zip(held.own.tolist(), held.queries, true, strict=True):

        def look(ids: Ids, own: int = own) -> tuple[Ids, Ids]:
            others = ids[ids != own]
            return others, others

        def compare(ids: Ids, query: Vectors = query) -> tuple[Ids, Cosines]:
            known, stored = embeddings_by_id(session, model, ids)
            return known, space.cosines(query, stored)

        hits = nearest(index, query, Wish(limit), look, compare, vectors)
        assert hits is not None  # without a limit to its patience
        found += int(np.sum(hits[1] >= similar[limit - 1] - 1e-5))
    return float(found / max(1, limit * len(held.own)))


def _measure(
    session: Session, model: ModelInfo, space: Space, index: QuantisedIndex, held: Neighbours
) -> None:
    """Let the index learn how many lists it has to look into until recall is as it should be."""
    nearest_ids, true = held.ranked()
    lost = (1 - LEAST_RECALL) / 2
    while True:
        index.measure(held.queries, nearest_ids, true, 1 - lost)
        index.recall = recall_of(session, model, space, index, held)
        if index.recall >= LEAST_RECALL or lost < 1e-6:
            return
        lost /= 8


def _go_on(stop: threading.Event | None) -> None:
    if stop is not None and stop.is_set():
        raise StoppedError

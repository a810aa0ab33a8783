"""Indexer of an external engine: sends embeddings and removals, proves erasure, repairs, verifies.

One process at a time sends: what came after the collection's watermark, then the watermark. Every
space of every model has a collection of its own; an alias names the one that serves.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from emotion_search.index.database.connection import Database
from emotion_search.index.database.embeddings import (
    embedded_ids,
    embeddings_by_id,
    last_removal,
    removed_since,
    stream,
)
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.schema import Embedding
from emotion_search.index.database.spaces import ArchiveSpace, active_space, standing
from emotion_search.index.errors import EngineError
from emotion_search.index.lifecycle.catch_up import LoadedIndex, latest_ids
from emotion_search.index.lifecycle.verify import Verdict, neighbours_of
from emotion_search.index.vectors.arrays import Cosines, Ids, Vectors
from emotion_search.index.vectors.external import MOST, MOST_RECENT, EngineIndex, Marks
from emotion_search.index.vectors.milvus import SETTLED_S, Milvus

log = logging.getLogger(__name__)

_WINDOW = 8192  # ids that are compared with the engine's at a time
_SHIP_S = 30.0  # from one time that a server sends new clips to the next
_MEND_S = 5.0  # the same, of an engine that failed or has something that was removed
_ALIKE = 1e-3  # between a vector and what the engine gives back of it
_CURE = "a server mends that by itself, else run: emotion-search index repair"


@dataclass(frozen=True)
class EngineState:
    """An engine as it stands.

    Attributes:
        address: without secrets.
        problem: why it cannot be used now; None if it can.
        revision, of_revision: up to which embeddings were sent, and how far the database is.
        pending: clips that were erased here, and are not proven to be gone there.
    """

    address: str
    problem: str | None = None
    revision: int = 0
    of_revision: int = 0
    pending: int = 0


class Shipping:
    """What an engine has of one model's embeddings. Safe for use from several threads.

    Args:
        archive: the archive's uuid.

    Attributes:
        stop: once set, what is being sent is broken off.
    """

    def __init__(self, database: Database, model: ModelInfo, engine: Milvus, archive: str) -> None:
        self._database, self._model, self._engine = database, model, engine
        self._alias = f"emotion_search_{archive.replace('-', '')}_{model.fingerprint[:16]}"
        self._left = False  # something that was removed
        self._due = 0.0  # on the monotonic clock
        self.stop = threading.Event()

    def is_due(self, loaded: LoadedIndex) -> bool:
        """Whether the engine may lack something of an index, or failed, and some seconds have
        passed since this last was so."""
        index, now = loaded.index, time.monotonic()
        if not isinstance(index, EngineIndex) or now < self._due:
            return False
        done = index.mark is not None and index.mark >= loaded.revision and not self._left
        if done and index.trouble is None:
            return False
        self._due = now + (_SHIP_S if index.trouble is None and not self._left else _MEND_S)
        return True

    def attach(self, loaded: LoadedIndex) -> None:
        """Let an index ask the engine, and compare what that has not yet; where the engine cannot
        be used, the index says why. Nobody else has the index in hand."""
        index = loaded.index
        if not isinstance(index, EngineIndex):
            return
        name = self._name(loaded.space)
        try:
            marks = self._engine.marks(name) or Marks()
            with self._database.read() as session:
                if marks.revision > standing(session, self._model).revision:
                    raise EngineError(
                        f"the engine at {self._engine.address} is ahead of the database, which went"
                        f" back; {_CURE}"
                    )
                self._left = marks.erased < last_removal(session, self._model.id)
                later = (Embedding.model_id == self._model.id) & (
                    Embedding.revision > marks.revision
                )
                behind = session.scalar(select(func.count()).where(later)) or 0
                if behind > MOST_RECENT or not marks.revision:
                    raise EngineError(
                        f"the engine at {self._engine.address} lacks {behind} clips; {_CURE}"
                    )
                recent = (
                    (ids, loaded.space.turn(session, ids, vectors))
                    for ids, vectors in stream(session, self._model, marks.revision)
                )
                ask = partial(self._ask, name, marks.revision, time.monotonic() + SETTLED_S)
                index.follow(ask, marks.revision, recent)
        except EngineError as error:
            if index.problem != str(error):
                log.warning("%s", error)
            index.pause(str(error))

    def ship(self, *, everything: bool = False) -> bool:
        """Send what the engine has not yet, of the space that serves; False where another process
        does that now.

        Args:
            everything: compare all ids, rather than send what came after the watermark.

        Raises:
            EngineError: it fails; what was sent is not sent again.
        """
        with self._database.one_at_a_time(self._model.id) as mine:
            if mine:
                with self._database.read() as session:
                    self._ship(session, everything)
            return mine

    def state(self) -> EngineState:
        """How far the engine is."""
        address = self._engine.address
        with self._database.read() as session:
            seen = standing(session, self._model)
            name = self._name(active_space(session, self._model))
            try:
                marks = self._engine.marks(name)
            except EngineError as error:
                return EngineState(address, str(error), of_revision=seen.revision)
            if marks is None:
                return EngineState(address, of_revision=seen.revision)
            pending = len(removed_since(session, self._model, marks.erased))
            return EngineState(address, None, marks.revision, seen.revision, pending)

    def verify(self, session: Session, loaded: LoadedIndex, *, sample: int = 100) -> Verdict:
        """The engine compared with what the session sees, and the share of the true ten nearest
        that are among its candidates for ten; reads every embedding once.

        Raises:
            EngineError: it cannot be asked.
        """
        if not isinstance(loaded.index, EngineIndex):
            raise EngineError(
                "an index of this machine serves, not the engine; run: emotion-search index rebuild"
            )
        if loaded.index.trouble is not None:
            raise EngineError(loaded.index.trouble)
        known, neighbours = neighbours_of(session, self._model, loaded, sample)
        name, missing, surplus = self._name(loaded.space), 0, 0
        for ids, there in self._windows(name, np.sort(known)):
            missing += len(np.setdiff1d(ids, there))
            surplus += len(np.setdiff1d(there, ids))
        found = 0
        true, _ = neighbours.ranked()
        true = true[:, :10]
        for query, nearest in zip(neighbours.queries, true, strict=True):
            found += int(np.isin(nearest, loaded.index.candidates(query, 11).ids).sum())
        recall = found / true.size if true.size else 1.0
        return Verdict(len(known), missing, surplus, 0, len(true), recall)

    def drop(self) -> None:
        """Remove all that the engine has of the model."""
        self._engine.drop(self._alias)

    def _ask(
        self, name: str, mark: int, settles: float, query: Vectors, limit: int
    ) -> tuple[Ids, Cosines]:
        """See ``external.Ask``. After it was wiped, another process may fill a collection anew,
        which answers all the same."""
        settled = time.monotonic() > settles
        named = self._engine.search(name, query, limit, settled=settled)
        if self._engine.marks_noted(name).revision < mark:
            raise EngineError(f"the engine at {self._engine.address} is not filled again yet")
        return named

    def _name(self, space: ArchiveSpace) -> str:
        return f"{self._alias}_{space.fingerprint[:16]}"

    def _ship(self, session: Session, everything: bool) -> None:
        seen, space = standing(session, self._model), active_space(session, self._model)
        name = self._name(space)
        marks = self._engine.marks(name)
        removed = last_removal(session, self._model.id)
        if marks is None or marks.revision > seen.revision:
            log.warning("the engine gets all clips of the archive; this is done once")
            self._engine.create(name, self._model.dimension)
            marks = Marks(0, removed)
        agrees = bool(marks.revision) and self._agrees(session, space, name, marks)
        swept = everything or not agrees
        if swept:
            self._sweep(session, space, name)
        else:
            for ids, vectors in stream(session, self._model, marks.revision):
                self._send(session, space, name, ids, vectors)
        gone = removed_since(session, self._model, marks.erased)
        erased = self._erase(name, gone)
        if swept or len(gone):
            self._serve(name, removed)
        new = Marks(seen.revision, removed if erased else marks.erased)
        if new != marks:
            self._engine.mark(name, new)

    def _serve(self, name: str, removed: int) -> None:
        """Let a collection serve; the last one stays for servers that still search it, if nothing
        is in it that was removed."""
        kept, last = {name}, self._engine.serving(self._alias)
        if last is not None and last != name:
            marks = self._engine.marks(last)
            if marks is not None and marks.erased >= removed:
                kept.add(last)
        self._engine.serve(name, self._alias, kept)

    def _send(
        self, session: Session, space: ArchiveSpace, name: str, ids: Ids, vectors: Vectors
    ) -> None:
        if self.stop.is_set():
            raise EngineError("the engine was not sent everything, for the program ends")
        self._engine.upsert(name, ids, space.turn(session, ids, vectors))

    def _agrees(self, session: Session, space: ArchiveSpace, name: str, marks: Marks) -> bool:
        """Whether the engine has the last vectors that it should have; a collection in which they
        are others, as after the database or the engine went back, is made anew."""
        last = latest_ids(session, self._model, marks.revision)
        ids, stored = embeddings_by_id(session, self._model, last)
        true = space.turn(session, ids, stored)[np.argsort(ids)]
        there, kept = self._engine.vectors(name, last)
        if len(there) != len(ids):
            return False
        if np.allclose(kept[np.argsort(there)], true, atol=_ALIKE):
            return True
        log.warning("the engine has other vectors than the database; it gets all clips anew")
        self._engine.create(name, self._model.dimension)
        return False

    def _sweep(self, session: Session, space: ArchiveSpace, name: str) -> None:
        """Send the clips that the engine lacks, delete those that it should not have."""
        wanted = embedded_ids(session, self._model, ClipFilter())
        for ids, there in self._windows(name, wanted):
            surplus, missing = np.setdiff1d(there, ids), np.setdiff1d(ids, there)
            if len(surplus):
                self._engine.delete(name, surplus)
            if len(missing):
                self._send(session, space, name, *embeddings_by_id(session, self._model, missing))
        self._engine.settle(name)

    def _windows(self, name: str, wanted: Ids) -> Iterator[tuple[Ids, Ids]]:
        """Ids, ascending, some at a time, and those that the engine has in their place."""
        bounds = [-sys.maxsize, *wanted[_WINDOW::_WINDOW].tolist(), sys.maxsize]
        spans = [*pairwise(bounds)][::-1]
        while spans:
            low, high = spans.pop()
            there = self._engine.between(name, low, high)
            there = np.unique(there[(there >= low) & (there < high)])
            if len(there) >= MOST:  # there may be more
                middle = max(int(np.median(there)), low + 1)
                spans += [(middle, high), (low, middle)]
                continue
            begin, end = np.searchsorted(wanted, [low, high])
            yield wanted[begin:end], there

    def _erase(self, name: str, gone: Ids) -> bool:
        """Delete clips that were removed; whether they are gone then."""
        if not len(gone):
            return True
        self._engine.delete(name, gone)
        left = len(self._engine.vectors(name, gone)[0])
        if left:
            log.warning("%d clips are erased here and pending in the engine", left)
        return not left

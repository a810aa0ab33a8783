"""Keeps an index as fresh as the database, in memory and on disk, while searches go on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from index.build import FLAT_UP_TO, IndexKind, StoppedError, build, is_outgrown
from index.cache import IndexCache
from index.database import Database
from index.embeddings import embeddings_by_id, stream
from index.errors import EmotionSearchError, StorageFullError
from index.models import ModelInfo, standing
from index.schema import Embedding, Tombstone
from index.space import Space
from index.spaces import active_space
from index.turns import Turns
from index.vectors import VectorIndex

log = logging.getLogger(__name__)

_COMPARED = 200  # last clips of a loaded index that are compared with the database
_SAVE_AFTER = 1000  # changed clips after which the index is saved, or a twentieth of all


@dataclass
class Held:
    """An index, the revision that it stands at, and the space that it is in."""

    index: VectorIndex
    revision: int
    version: int
    space: Space


@dataclass(frozen=True)
class IndexState:
    """How many clips an index holds, and when (Unix time) it was last up to date; None if it never
    was."""

    clips: int
    fresh_at: float | None


class IndexKeeper:
    """The index of one model's embeddings. Safe for use from several threads.

    Args:
        cache: where it is saved.
        asked: which kind of index.
        background: make large indexes anew on a thread while the last one serves; else only where
            there is none, and on ``save``.
    """

    def __init__(
        self,
        database: Database,
        model: ModelInfo,
        cache: IndexCache,
        *,
        asked: IndexKind = "auto",
        background: bool = False,
    ) -> None:
        self._database = database
        self._model = model
        self._cache = cache
        self._asked = asked
        self._background = background
        self._turns = Turns()
        self._held: Held | None = None
        self._unsaved = 0
        self._stop = threading.Event()
        self._worker: threading.Thread | None = None
        self._fresh_at: float | None = None

    @contextmanager
    def at(self, session: Session) -> Iterator[Held]:
        """The index, at least as fresh as the session's snapshot (which begins here, if it has not
        begun); it does not change while it is held."""
        revision, version = standing(session, self._model.id)
        if self._held is not None and self._held.revision > revision and self._went_back():
            log.warning("the database stands at an earlier revision; building the index anew")
            with self._turns.writing():
                self._held = None
        while True:
            with self._turns.reading():
                held = self._held
                if held is not None and self._fits(held, revision, version):
                    self._fresh_at = time.time()
                    yield held
                    break
            with self._turns.writing():
                self._catch_up(session)
        self._look_after()

    def state(self) -> IndexState:
        """The index as it stands, without a look into the database."""
        held = self._held
        return IndexState(held.index.count if held is not None else 0, self._fresh_at)

    def save(self) -> None:
        """Bring the index up to date, make it anew if it is outgrown, and save it if it is not
        saved as it is."""
        with self._database.read() as session:
            with self.at(session) as held:
                outgrown = is_outgrown(held.index, self._asked)
            if outgrown and not self._background:
                with self._turns.writing():
                    self._replace(session)
        self._write()

    def rebuild(self) -> None:
        """Make the index anew from the database, and save it."""
        with self._database.read() as session:
            standing(session, self._model.id)
            with self._turns.writing():
                self._replace(session)
        self._write()

    def is_building(self) -> bool:
        """Whether a new index is being made in the background."""
        return self._worker is not None and self._worker.is_alive()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until what is done in the background is done, or for so many seconds."""
        if self._worker is not None:
            self._worker.join(timeout)

    def close(self) -> None:
        """Break off what is done in the background."""
        self._stop.set()
        self.wait()

    def _fits(self, held: Held, revision: int, version: int) -> bool:
        """Whether a search may use it: another space may serve on while its index is made."""
        return held.revision >= revision and (held.version == version or self.is_building())

    def _went_back(self) -> bool:
        """Whether the database itself, not just a snapshot, is older than the index."""
        with self._database.read() as session:
            now = standing(session, self._model.id)[0]
        held = self._held
        return held is not None and held.revision > now

    def _catch_up(self, session: Session) -> None:
        """Bring the index to the session's snapshot. The caller writes."""
        revision, version = standing(session, self._model.id)
        held = self._held
        if held is not None and held.version != version:
            if self._background and held.index.count > FLAT_UP_TO:
                self._work()
            else:
                held = None
        if held is None:
            held = self._loaded(session, revision)
        if held is None:
            self._replace(session)
            return
        if held.revision < revision:
            self._apply(session, held.index, held.space, held.revision, revision)
            held.revision = revision
        self._held = held

    def _loaded(self, session: Session, revision: int) -> Held | None:
        """The saved index, brought to this revision; None where there is none fit for use."""
        version, space = active_space(session, self._model)
        index, at = self._cache.load(space.fingerprint) or (None, 0)
        if index is None or at > revision:  # ahead: the database was restored from a backup
            return None
        self._apply(session, index, space, at, revision)
        if not self._agrees(session, index, space):
            log.warning("the saved index does not match the database; building it anew")
            return None
        return Held(index, revision, version, space)

    def _replace(self, session: Session) -> None:
        """Make the index anew. The caller writes."""
        revision = standing(session, self._model.id)[0]
        version, space = active_space(session, self._model)
        index = build(session, self._model, space, self._asked)
        self._held = Held(index, revision, version, space)
        self._unsaved = max(index.count, 1)

    def _look_after(self) -> None:
        """After a search: save what has changed much, and make anew what is outgrown."""
        held = self._held
        if held is None:
            return
        if self._background and not self.is_building() and is_outgrown(held.index, self._asked):
            self._work()
        if self._unsaved >= max(_SAVE_AFTER, held.index.count // 20):
            self._write()

    def _work(self) -> None:
        if not self.is_building():
            self._worker = threading.Thread(target=self._renew, name="index", daemon=True)
            self._worker.start()

    def _renew(self) -> None:
        """Make a new index beside the one that serves, bring it up to date, let it serve."""
        try:
            with self._database.read() as session:
                revision = standing(session, self._model.id)[0]
                version, space = active_space(session, self._model)
                index = build(session, self._model, space, self._asked, self._stop)
            with self._database.read() as session, self._turns.writing():
                now = standing(session, self._model.id)[0]
                self._apply(session, index, space, revision, now)
                self._held = Held(index, now, version, space)
                self._unsaved = max(index.count, 1)
        except StoppedError:
            return
        except EmotionSearchError as error:
            log.warning("the index could not be made anew (%s); the last one serves on", error)
            return
        self._write()

    def _agrees(self, session: Session, index: VectorIndex, space: Space) -> bool:
        """Whether a loaded index holds what the database does: as many clips, and the same
        vectors at the last revisions. A database restored from a backup, and written to since,
        may have reached the index's revision by another way."""
        embedded = select(func.count()).where(Embedding.model_id == self._model.id)
        if index.count != (session.scalar(embedded) or 0):
            return False
        last = np.fromiter(
            session.scalars(
                select(Embedding.clip_id)
                .where(Embedding.model_id == self._model.id)
                .order_by(Embedding.revision.desc(), Embedding.clip_id.desc())
                .limit(_COMPARED)
            ),
            dtype=np.int64,
        )
        if not np.isin(last, index.ids()).all():
            return False
        ids, stored = embeddings_by_id(session, self._model, last)
        turned = space.apply(stored) if len(stored) else stored
        off = 8 * index.spread + 1e-5
        for one, vector in zip(ids, turned, strict=True):
            found = index.candidates(vector, 1, rank=1, allowed=np.array([one]))
            if len(found.ids) != 1 or abs(found.estimates[0] - 1) > off:
                return False
        return True

    def _apply(
        self, session: Session, index: VectorIndex, space: Space, since: int, revision: int
    ) -> None:
        """Add and remove what was committed after ``since``; done twice it is the same as once."""
        if since == revision:
            return
        for ids, vectors in stream(session, self._model, since):
            index.add(ids, space.apply(vectors))
            self._unsaved += len(ids)
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

    def _write(self) -> None:
        """Save the index if it is not saved as it is."""
        with self._turns.reading():
            if not self._unsaved or self._held is None:
                return
            unsaved, self._unsaved = self._unsaved, 0
            try:
                held = self._held
                self._cache.save(held.index, held.revision, held.space.fingerprint)
            except StorageFullError as error:  # only a cache: searches go on without it
                log.warning("%s", error)
                self._unsaved = min(unsaved, _SAVE_AFTER - 1)

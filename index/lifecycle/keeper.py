"""Index keeper: loads, updates, rebuilds and saves the index of a model while searches go on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from emotion_search.index.database.columns import Columns
from emotion_search.index.database.connection import Database
from emotion_search.index.database.embeddings import count_embedded
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.spaces import Standing, active_space, standing
from emotion_search.index.errors import EmotionSearchError, EngineError, StorageFullError
from emotion_search.index.lifecycle.build import StoppedError, build
from emotion_search.index.lifecycle.catch_up import (
    IndexState,
    LoadedIndex,
    agrees,
    bring_forward,
    shares_past,
)
from emotion_search.index.lifecycle.rwlock import ReadWriteLock
from emotion_search.index.lifecycle.saved import IndexCache
from emotion_search.index.vectors.kinds import IndexKind, is_large, is_outgrown

if TYPE_CHECKING:  # it imports FAISS
    from emotion_search.index.lifecycle.shipping import Shipping

log = logging.getLogger(__name__)

_SAVE_AFTER = 1000  # changed clips after which the index is saved, or a twentieth of all
_AGAIN_S = 60.0  # before what failed is tried again
_QUICK_S, _REST = 0.2, 10  # a save that takes longer is followed by so many times its time
_TRIES = 3  # at saving, while other processes publish indexes of their own


class IndexKeeper:
    """The index of one model's embeddings. Safe for use from several threads.

    Args:
        cache: where it is saved.
        asked: which kind of index.
        shipping: to the engine, for an index of that kind.
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
        shipping: Shipping | None = None,
    ) -> None:
        self._database = database
        self._model = model
        self._cache = cache
        self._asked = asked
        self._background = background
        self.shipping = shipping
        self._courier: threading.Thread | None = None  # to the engine
        self._lock = ReadWriteLock()
        self._current: LoadedIndex | None = None
        self._unsaved = 0  # clips that were changed since
        self._due = False  # something is saved that is to go, or unsaved that takes space
        self._database_rolled_back = False  # the database, and what is saved is of its other past
        self._saving = threading.Lock()
        self._save_from = 0.0  # on the monotonic clock, as the next
        self._renew_from = 0.0
        self._stop = threading.Event()
        self._worker: threading.Thread | None = None
        self._fresh_at: float | None = None

    @contextmanager
    def snapshot(self) -> Iterator[tuple[Session, LoadedIndex, Standing]]:
        """A session, and the index as the session sees the archive; it does not change within the
        context."""
        with self._database.read() as session, self.at(session) as (current, seen):
            if current.stands_at(seen):
                yield session, current, seen
                return
        while True:  # it is ahead of the session: look while nobody can bring it forward
            with self._lock.writing(), self._database.read() as session:
                seen = standing(session, self._model)
                self._catch_up(session, seen)
                exact = self._current
                if exact is not None and exact.stands_at(seen):
                    yield session, exact, seen
                    return

    @contextmanager
    def at(self, session: Session) -> Iterator[tuple[LoadedIndex, Standing]]:
        """The index, at least as fresh as the session's snapshot (which begins here, if it has not
        begun), and where that stands; it does not change within the context."""
        current = self._current
        known = current.revisions if current is not None else (0, 0)
        seen = standing(session, self._model)
        if current is not None and _ahead(known, seen) and _ahead(known, self._latest()):
            log.warning("the database stands at an earlier revision; building the index anew")
            self._database_rolled_back = self._due = True
            self._drop(current)
        while True:
            with self._lock.reading():
                current = self._current
                if current is not None and self._fits(current, seen):
                    self._fresh_at = time.monotonic()
                    yield current, seen
                    break
            with self._lock.writing():
                self._catch_up(session, seen)
        self._maintain()

    def state(self) -> IndexState:
        """The index as it stands, without a look into the database."""
        current = self._current
        if current is None:
            return IndexState(0, self._fresh_at)
        trouble = getattr(current.index, "trouble", None)  # an engine's
        return IndexState(current.index.count, self._fresh_at, trouble)

    def save(self) -> None:
        """Bring the index up to date, make it anew if it is outgrown, and save it if it is not
        saved as it is."""
        for _ in range(_TRIES):
            with self._database.read() as session:
                with self.at(session) as (current, _):
                    outgrown = is_outgrown(current.index, self._asked)
                if outgrown and not self._background:
                    with self._lock.writing():
                        self._replace(session)
            if self._write():
                break
        self._ship()

    def rebuild(self) -> None:
        """Make the index anew from the database, and save it.

        Raises:
            StorageFullError: it serves, and cannot be saved; a notice says why.
            EngineError: the engine does not have all clips yet.
        """
        with self._database.read() as session, self._lock.writing():
            self._replace(session)
        self.save()
        if self._unsaved:
            raise StorageFullError("the index was made anew, but is not saved")
        if (trouble := self.state().trouble) is not None:
            raise EngineError(trouble)

    def is_building(self) -> bool:
        """Whether a new index is being made in the background."""
        return self._worker is not None and self._worker.is_alive()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until what is done in the background is done, or for so many seconds."""
        if self._worker is not None:
            self._worker.join(timeout)

    def close(self) -> None:
        """Break off what is done in the background; save what is due."""
        self._stop.set()
        if self.shipping is not None:
            self.shipping.stop.set()
        if self._courier is not None:
            self._courier.join()
        self.wait()
        if self._due:
            self._write()
        current = self._current
        if current is not None and current.index.rows is not None:
            current.index.rows.drop()

    def _fits(self, current: LoadedIndex, seen: Standing) -> bool:
        """Whether a search may use it: another space may serve on until its index is made."""
        later = self.is_building() or time.monotonic() < self._renew_from
        return current.is_at_least(seen) and (current.space.version == seen.space or later)

    def _latest(self) -> Standing:
        """Where the database itself stands, of which a session may see an earlier snapshot."""
        with self._database.read() as session:
            return standing(session, self._model)

    def _catch_up(self, session: Session, seen: Standing) -> None:
        """Bring the index to the session's snapshot. The caller writes."""
        current = self._current
        embedded = current is not None and seen.revision != current.revision
        if current is not None and embedded and not shares_past(session, self._model, current):
            log.warning("another database has taken the place of the last; building the index anew")
            self._database_rolled_back = self._due = True
            current = None
        if current is not None and current.space.version != seen.space:
            if self._background and is_large(current.index.count):
                self._start_rebuild()
            else:
                current = None
        if current is None:
            current = self._load_saved(session, seen)
        if current is None:
            self._replace(session)
            return
        self._advance(session, current, seen)
        self._serve(current)

    def _serve(self, current: LoadedIndex | None) -> None:
        """Let this index take the place of the last. The caller writes."""
        last, self._current = self._current, current
        if current is not None and current is not last and self.shipping is not None:
            self.shipping.attach(current)
        if last is not None and last.index.rows is not None and last is not current:
            last.index.rows.drop()

    def _drop(self, current: LoadedIndex) -> None:
        """Serve this index no longer; the next search takes the saved one, or makes one."""
        with self._lock.writing():
            if self._current is current:
                self._serve(None)

    def _load_saved(self, session: Session, seen: Standing) -> LoadedIndex | None:
        """The saved index, at this revision at least; None where there is none fit for use."""
        space = active_space(session, self._model)
        saved = self._cache.load(self._model, space.fingerprint)
        if saved is None or (saved.index.kind == "engine") > (self._asked == "engine"):
            return None
        columns = saved.columns or Columns.read(session, self._model, seen.changes)
        loaded = LoadedIndex(saved.index, saved.revision, space, columns)
        if _ahead(loaded.revisions, seen):  # of another process, which saw more
            with self._database.read() as later:
                seen = standing(later, self._model)
                if not _ahead(loaded.revisions, seen):
                    return self._checked(later, loaded, seen, saved.columns)
            log.warning("the database is older than the saved index; building it anew")
            self._database_rolled_back = self._due = True
            return None
        return self._checked(session, loaded, seen, saved.columns)

    def _checked(
        self, session: Session, loaded: LoadedIndex, seen: Standing, saved: Columns | None
    ) -> LoadedIndex | None:
        """The index, brought to where the session stands, if it holds what the database does.
        Columns that had to be read anew are saved after the search."""
        self._unsaved = 0
        if agrees(session, self._model, loaded):
            self._advance(session, loaded, seen)
            count = count_embedded(session, self._model)
            if loaded.index.count == loaded.columns.count == count:
                if loaded.columns is not saved:
                    self._unsaved, self._due = max(self._unsaved, 1), True
                return loaded
        log.warning("the saved index does not match the database; building it anew")
        return None

    def _replace(self, session: Session) -> None:
        """Make the index anew. The caller writes."""
        self._install(self._made(session))

    def _made(self, session: Session, stop: threading.Event | None = None) -> LoadedIndex:
        """A new index of what the session sees."""
        seen = standing(session, self._model)
        space = active_space(session, self._model)
        columns = Columns.read(session, self._model, seen.changes)
        index = build(session, space, columns, self._asked, self._cache.row_writer, stop)
        self._send()
        return LoadedIndex(index, seen.revision, space, columns)

    def _install(self, made: LoadedIndex) -> None:
        """Let a new index serve; its vectors are not to lie about unsaved. The caller writes."""
        self._serve(made)
        self._unsaved = max(made.index.count, 1)
        self._due |= made.index.rows is not None

    def _maintain(self) -> None:
        """After a search: save what has changed much, and make anew what is outgrown."""
        current = self._current
        if current is None:
            return
        if self._background and is_outgrown(current.index, self._asked):
            self._start_rebuild()
        if self.shipping is not None and self._background and self.shipping.is_due(current):
            self._courier = threading.Thread(target=self._ship, name="engine", daemon=True)
            self._courier.start()
        much = self._unsaved >= max(_SAVE_AFTER, current.index.count // 20)
        if (self._due or much) and time.monotonic() >= self._save_from:
            self._write()

    def _send(self) -> None:
        """Send the engine what it has not yet; where it fails a notice says so."""
        if self.shipping is not None:
            try:
                self.shipping.ship()
            except EmotionSearchError as error:
                log.warning("%s", error)

    def _ship(self) -> None:
        """Send the engine what it has not yet, and let the index know."""
        self._send()
        with self._lock.writing():
            if self._current is not None and self.shipping is not None:
                self.shipping.attach(self._current)

    def _start_rebuild(self) -> None:
        if not self.is_building() and time.monotonic() >= self._renew_from:
            self._worker = threading.Thread(target=self._renew, name="index", daemon=True)
            self._worker.start()

    def _renew(self) -> None:
        """Make a new index beside the one that serves, bring it up to date, let it serve."""
        done = False
        try:
            done = self._make_beside()
        except StoppedError:
            pass
        except (EmotionSearchError, OSError) as error:
            log.warning("the index could not be made anew (%s); the last one serves on", error)
        finally:
            if not done:
                self._renew_from = time.monotonic() + _AGAIN_S
        if done:
            self._write()

    def _make_beside(self) -> bool:
        with self._database.read() as session:
            made = self._made(session, self._stop)
        try:
            with self._database.read() as session, self._lock.writing():
                self._advance(session, made, standing(session, self._model))
                self._install(made)
        except BaseException:
            if made.index.rows is not None:
                made.index.rows.drop()
            raise
        return True

    def _advance(self, session: Session, loaded: LoadedIndex, seen: Standing) -> None:
        """Bring an index forward to where the session stands."""
        if not loaded.is_at_least(seen):
            changed, removed = bring_forward(session, self._model, loaded, seen)
            self._unsaved += changed
            self._due |= removed

    def _write(self) -> bool:
        """Save the index if it is not saved as it is. False where it serves no longer, for another
        process published one of its own."""
        with self._saving:
            with self._lock.reading():
                current = self._current
                if current is None or not self._unsaved:
                    return current is not None
                unsaved, self._unsaved, self._due = self._unsaved, 0, False
                begun = time.monotonic()
                try:
                    serves = self._cache.save(
                        current.index,
                        current.columns,
                        current.revision,
                        current.space.fingerprint,
                        over_newer=self._database_rolled_back,
                    )
                except StorageFullError as error:  # only a cache: searches go on without it
                    log.warning("%s", error)
                    self._unsaved, self._due = unsaved, True
                    self._save_from = time.monotonic() + _AGAIN_S
                    return True
                self._database_rolled_back = False
                took = time.monotonic() - begun
                self._save_from = time.monotonic() + (_REST * took if took > _QUICK_S else 0)
            if not serves:
                self._drop(current)
            return serves


def _ahead(known: tuple[int, int], seen: Standing) -> bool:
    return known[0] > seen.revision or known[1] > seen.changes

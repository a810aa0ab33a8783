"""Work that processes share: one of them lists it in slices, all of them take slices on lease.

Any number of processes, on any number of machines with the same database, run one command. Who dies
loses its lease, and another goes on where it was.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from emotion_search.engine.library.library import Library
from emotion_search.index.database import slices
from emotion_search.index.errors import DatabaseError, EmotionSearchError

log = logging.getLogger(__name__)

MOST_DEATHS = 5
"""Workers that may die over a slice before it is given up."""
_POLL_S, _TICK_S = 1.0, 0.5  # between looks for a slice that is free, and for a wish to stop

Note = Callable[[slices.Progress], None]
"""Called with how far a slice is."""


class SharedWork(ABC):
    """One worker.

    Args:
        stop: once set, what is in hand is committed, and the rest left to others.
    """

    def __init__(self, library: Library, stop: threading.Event | None) -> None:
        self._library, self._database = library, library.database
        self._stop = stop or threading.Event()
        self.worker = slices.worker_name()
        self._listed = False

    @abstractmethod
    def _add_slices(self, run_id: int, last: str | None) -> bool:
        """Put what comes after ``last`` into slices; whether all is in some now: not if the user
        wants to stop, or another lists."""

    @abstractmethod
    def _work(self, claimed: slices.Claimed) -> None:
        """Work on a slice; see ``_under_lease``."""

    def _work_off(self, run_id: int | None, of_run: int | None) -> None:
        """List a run, or none, and take slices of a run, or of any ingest, until none is left."""
        while not self._stop.is_set():
            if run_id is not None and not self._listed:
                self._list(run_id)
            with self._database.write_beside() as session:
                claimed = slices.claim_slice(session, self.worker, of_run)
            if claimed is not None:
                self._work(claimed)
                continue
            with self._database.read() as session:
                if not slices.anything_left(session, of_run):
                    break
            self._stop.wait(_POLL_S)

    def _list(self, run_id: int) -> None:
        """List a run, if nobody else does."""
        with self._database.write_beside() as session:
            ours, last, self._listed = slices.claim_listing(session, run_id, self.worker)
        if not ours:
            return
        complete = False
        try:
            complete = self._add_slices(run_id, last)
        finally:
            with self._database.write_beside() as session:
                slices.end_listing(session, run_id, self.worker, complete=complete)
        self._listed = complete

    def _under_lease(
        self,
        claimed: slices.Claimed,
        work: Callable[[Note, threading.Event], tuple[slices.Progress, bool]],
    ) -> None:
        """Call ``work`` while the lease of a slice is kept: with what to call with its progress,
        and an event that is set when the user wants to stop, or the slice was lost to another
        worker. It gives how far the slice is then, and whether it was stopped before its end."""
        with self._kept(claimed) as (note, stop):
            try:
                progress, stopped = work(note, stop)
            except EmotionSearchError:  # such as of the database: no fault of what is worked on
                self._release(claimed)
                raise
        if stopped:
            with self._database.write_beside() as session:
                slices.renew(session, claimed.id, self.worker, progress)
            self._release(claimed)
            return
        with self._database.write_beside() as session:
            slices.finish_slice(session, claimed.id, self.worker, progress)

    def _release(self, claimed: slices.Claimed) -> None:
        with self._database.write_beside() as session:
            slices.release_slice(session, claimed.id, self.worker)

    @contextmanager
    def _kept(self, claimed: slices.Claimed) -> Iterator[tuple[Note, threading.Event]]:
        stop, ended, latest = threading.Event(), threading.Event(), [claimed.before]

        def note(progress: slices.Progress) -> None:
            latest[0] = progress

        def keep() -> None:
            waited = 0.0
            while not ended.wait(_TICK_S):
                if self._stop.is_set():
                    stop.set()
                waited += _TICK_S
                if waited < slices.LEASE_S / 4:
                    continue
                waited = 0.0
                try:
                    with self._database.write_beside() as session:
                        mine = slices.renew(session, claimed.id, self.worker, latest[0])
                except DatabaseError as error:
                    log.warning("the lease of slice %d is not renewed: %s", claimed.id, error)
                    continue
                if not mine:
                    stop.set()

        keeper = threading.Thread(target=keep, name="lease", daemon=True)
        keeper.start()
        try:
            yield note, stop
        finally:
            ended.set()
            keeper.join()

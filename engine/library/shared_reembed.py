"""Workers that share a re-embedding: recordings are listed into slices, taken on lease."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from emotion_search.engine.embedders.registry import absolute
from emotion_search.engine.ingest.reembed import Reembedding, Refill, model_to_fill, unfilled_pages
from emotion_search.engine.library.library import Library
from emotion_search.engine.library.shared_work import MOST_DEATHS, Note, SharedWork
from emotion_search.index.database import slices
from emotion_search.index.database.models import ModelInfo


class SharedReembed(SharedWork):
    """One worker; ``run`` works until nothing is left to do for any.

    Args:
        name: of the model.
        progress: called with what this worker did so far; clips missing are those of the beginning.
        stop: once set, what is in hand is committed, and the rest left to others.

    Raises:
        NotFoundError: the archive is empty.
        ModelUnavailableError: the model cannot be loaded.
    """

    def __init__(
        self,
        library: Library,
        name: str,
        *,
        progress: Callable[[Reembedding], None] = lambda _: None,
        stop: threading.Event | None = None,
    ) -> None:
        super().__init__(library, stop)
        self._progress = progress
        settings, database = library.settings, library.database
        embedder, self._model = model_to_fill(database, settings, absolute(name))
        self._refill = partial(
            Refill, database, embedder, self._model, library.decoders, settings.decoders
        )
        self._whole = self._refill()

    def run(self) -> tuple[Reembedding, ModelInfo]:
        """Take slices until none is left; what this worker did, and the model.

        Raises:
            DatabaseError, StorageFullError: the slice in hand is left to others.
        """
        whole, model = self._whole, self._model
        whole.count()
        with self._database.write() as session:
            key, named = f"reembed {model.fingerprint[:50]}", f"reembed under {model.name}"
            run_id = slices.open_run(session, key, named, {}, slices.REEMBED)
        self._work_off(run_id, run_id)
        whole.report.stopped = self._stop.is_set()
        whole.count()
        self._progress(whole.report)
        return whole.report, model

    def _add_slices(self, run_id: int, last: str | None) -> bool:
        for found in unfilled_pages(self._database, self._model, int(last or 0)):
            with self._database.write_beside() as session:
                if not slices.add_slice(session, run_id, self.worker, found, 0, str(found[-1])):
                    return False
            if self._stop.is_set():
                return False
        return True

    def _work(self, claimed: slices.Claimed) -> None:
        if claimed.attempts > MOST_DEATHS:
            done = claimed.before
            with self._database.write_beside() as session:
                slices.finish_slice(session, claimed.id, self.worker, done)
            named = f"recordings {claimed.files[0]} to {claimed.files[-1]}"
            why = f"given up: {MOST_DEATHS} workers died over them"
            self._whole.report.failed.append((named, why, len(claimed.files)))
            return
        part, before, whole = self._refill(), claimed.before, self._whole.report
        clips, failed = whole.clips, whole.failed

        def far() -> slices.Progress:
            now = part.report
            return slices.Progress(
                done=now.recordings,
                failed=len(now.failed),
                recordings=before.recordings + now.recordings - len(now.failed),
                clips=before.clips + now.clips,
                seconds=before.seconds + now.seconds,
            )

        def work(note: Note, stop: threading.Event) -> tuple[slices.Progress, bool]:
            def progress(now: Reembedding) -> None:
                note(far())
                whole.clips, whole.failed = clips + now.clips, failed + now.failed
                self._progress(whole)

            part.progress, part.stopped = progress, stop.is_set
            part.run(claimed.files)
            return far(), part.report.stopped

        self._under_lease(claimed, work)

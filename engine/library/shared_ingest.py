"""Workers that share one ingest: files are listed into slices, which workers take on lease.

Any number of processes, on any number of machines with the same database, run one command. One of
them lists; all of them take slices. Who dies loses its lease, and another goes on where it was.
"""

from __future__ import annotations

import itertools
import logging
import os
import platform
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from emotion_search.engine.files.scan import FoundFile
from emotion_search.engine.ingest.lookup import Looked, look_up
from emotion_search.engine.ingest.options import IngestOptions
from emotion_search.engine.ingest.report import IngestReport
from emotion_search.engine.library.library import Library
from emotion_search.index.database import slices
from emotion_search.index.database.files import add_failure, known_files, silent_files
from emotion_search.index.database.recordings import Annotations
from emotion_search.index.errors import DatabaseError, EmotionSearchError

log = logging.getLogger(__name__)

SLICE_FILES, SLICE_BYTES = 200, 1 << 28
"""Files, and bytes of them, after which a slice is full."""
_POLL_S, _TICK_S = 1.0, 0.5  # between looks for a slice that is free, and for a wish to stop
_MOST = 5  # workers that may die over a slice
GIVEN_UP = f"was given up: {_MOST} workers died over it, or over a file beside it"

_FILES, _OPTIONS = TypeAdapter(list[FoundFile]), TypeAdapter(IngestOptions)


@dataclass(frozen=True)
class Wanted:
    """What an ingest takes in, and how.

    Attributes:
        key: of the command, so that the same command joins a run that is under way.
        named: for people.
        files: gives them anew with each call, in the same order while nothing changes.
        options: ``completed``.
        failures: called, by who lists, once all of ``files`` were looked at.
    """

    key: str
    named: str
    files: Callable[[], Iterable[FoundFile]]
    options: IngestOptions
    failures: Callable[[], None] = lambda: None


class SharedIngest:
    """One worker; ``run`` works until nothing is left to do for any.

    Args:
        wanted: what is to be taken in; None to help with what others have begun.
        progress: called with how many files, and clips, this worker has dealt with.
        stop: once set, what is in hand is committed, and the rest left to others.

    Attributes:
        report: what this worker did.
    """

    def __init__(
        self,
        library: Library,
        wanted: Wanted | None,
        *,
        progress: Callable[[int, int], None] = lambda *_: None,
        stop: threading.Event | None = None,
    ) -> None:
        self._library, self._database = library, library.database
        self._wanted, self._progress = wanted, progress
        self._stop = stop or threading.Event()
        self.worker = f"{platform.node()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self.report = IngestReport()
        self._listed = wanted is None

    def run(self) -> IngestReport:
        """Take slices until none is left; what this worker did.

        Raises:
            ModelMismatchError, ModelUnavailableError, DatabaseError, StorageFullError: the slice in
                hand is left to others.
        """
        run_id = None if self._wanted is None else self._open(self._wanted)
        while not self._stop.is_set():
            if run_id is not None and not self._listed:
                self._list(run_id)
            with self._database.write_beside() as session:
                claimed = slices.claim_slice(session, self.worker)
            if claimed is not None:
                self._work(claimed)
                continue
            with self._database.read() as session:
                if not slices.anything_left(session):
                    break
            self._stop.wait(_POLL_S)
        self.report.stopped = self._stop.is_set()
        model = self._library.model()
        if model is not None and self.report.files:
            self._library.after_ingest(model, self.report, save_index=True)
        return self.report

    def list_all(self) -> None:
        """Put all wanted files into slices, or wait until another worker has.

        Raises:
            ModelMismatchError, ModelUnavailableError, DatabaseError, StorageFullError: see ``run``.
        """
        assert self._wanted is not None
        run_id = self._open(self._wanted)
        while not self._stop.is_set():
            self._list(run_id)
            if self._listed:
                break
            self._stop.wait(_POLL_S)

    def _open(self, wanted: Wanted) -> int:
        """The run that is to be worked on."""
        self._library.own_model()  # those who help need not know which
        options = _OPTIONS.dump_python(wanted.options, mode="json")
        with self._database.write() as session:
            return slices.open_run(session, wanted.key, wanted.named, options)

    def _list(self, run_id: int) -> None:
        """List the files of the run, if nobody else does."""
        assert self._wanted is not None
        with self._database.write_beside() as session:
            ours, last, self._listed = slices.claim_listing(session, run_id, self.worker)
        if not ours:
            return
        complete = False
        try:
            complete = self._add_slices(run_id, last)
            self._wanted.failures()
        finally:
            with self._database.write_beside() as session:
                slices.end_listing(session, run_id, self.worker, complete=complete)
        self._listed = complete

    def _add_slices(self, run_id: int, last: str | None) -> bool:
        """Whether all files are in slices now; not if the user wants to stop, or another lists."""
        assert self._wanted is not None
        options = self._wanted.options
        refused: list[tuple[str, str]] = []
        files = _after(self._wanted.files, last)
        for chunk in look_up(
            self._database, files, options, lambda file, why: refused.append((file.path, why))
        ):
            self._refuse(refused)
            new = [looked.file for looked in chunk if _is_work(looked, options)]
            pieces = list(_pieces(new)) or [[]]
            known = len(chunk) - len(new)
            with self._database.write_beside() as session:
                for piece in pieces:
                    rows = _FILES.dump_python(piece, mode="json", exclude_defaults=True)
                    end = chunk[-1].file.path
                    if not slices.add_slice(session, run_id, self.worker, rows, known, end):
                        return False
                    known = 0
            if self._stop.is_set():
                return False
        self._refuse(refused)
        return True

    def _refuse(self, refused: list[tuple[str, str]]) -> None:
        """Note files that no worker could use; leaves the list empty."""
        if refused:
            with self._database.write() as session:
                for path, why in refused:
                    add_failure(session, path, why)
            self.report.failed += refused
            refused.clear()

    def _work(self, claimed: slices.Claimed) -> None:
        files = _FILES.validate_python(claimed.files)
        if claimed.attempts > _MOST:
            self._give_up(claimed, files)
            return
        options = replace(_OPTIONS.validate_python(claimed.options), save_index=False)
        with self._kept(claimed) as (note, stop):
            try:
                report = self._library.ingest(files, options, progress=note, stop=stop)
            except EmotionSearchError:  # such as of the database: no fault of the files
                with self._database.write_beside() as session:
                    slices.release_slice(session, claimed.id, self.worker)
                raise
        report.failed += [
            (path, f"has no clip from {span.start:g} to {span.end:g} s; does it end before?")
            for path, span in report.lost
        ]
        with self._database.write_beside() as session:
            if report.stopped:
                slices.release_slice(session, claimed.id, self.worker)
            else:
                slices.finish_slice(session, claimed.id, self.worker, _progress(claimed, report))
        self.report += report

    @contextmanager
    def _kept(
        self, claimed: slices.Claimed
    ) -> Iterator[tuple[Callable[[IngestReport], None], threading.Event]]:
        """Within, the lease of a slice is kept: what to call with reports, and an event that is set
        when the user wants to stop, or the slice was lost to another worker."""
        stop, ended, latest = threading.Event(), threading.Event(), [IngestReport()]

        def note(report: IngestReport) -> None:
            latest[0] = report
            self._progress(self.report.files + report.files, self.report.clips + report.clips)

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
                        mine = slices.renew(
                            session, claimed.id, self.worker, _progress(claimed, latest[0])
                        )
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

    def _give_up(self, claimed: slices.Claimed, files: Sequence[FoundFile]) -> None:
        """Note what of a slice is not in the archive as failed, and be done with it."""
        paths = [file.path for file in files]
        with self._database.write() as session:
            there = {*known_files(session, paths), *silent_files(session, paths)}
            failed = [(path, GIVEN_UP) for path in paths if path not in there]
            done = replace(claimed.before, done=len(files), failed=len(failed))
            slices.finish_slice(session, claimed.id, self.worker, done)
        self._refuse(failed)


def _progress(claimed: slices.Claimed, report: IngestReport) -> slices.Progress:
    before = claimed.before
    return slices.Progress(
        done=report.files,
        failed=len(report.failed),
        recordings=before.recordings + report.recordings,
        clips=before.clips + report.clips,
        seconds=before.seconds + report.duration,
    )


def _after(files: Callable[[], Iterable[FoundFile]], last: str | None) -> Iterator[FoundFile]:
    """The files that come after the path ``last``; all of them where that is there no more."""
    if last is not None:
        found = itertools.dropwhile(lambda file: file.path != last, files())
        if next(found, None) is not None:
            yield from found
            return
    yield from files()


def _is_work(looked: Looked, options: IngestOptions) -> bool:
    """Whether a worker has anything to do with a file."""
    if options.rescan:
        return True
    if looked.recording_id is not None:
        anew = looked.otherwise and options.recut
        return anew or looked.file.annotations != Annotations()
    return options.retry or not looked.silent


def _pieces(files: Sequence[FoundFile]) -> Iterator[list[FoundFile]]:
    piece: list[FoundFile] = []
    size = 0
    for file in files:
        piece.append(file)
        size += file.facts.size
        if len(piece) >= SLICE_FILES or size >= SLICE_BYTES:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece

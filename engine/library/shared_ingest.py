"""Workers that share one ingest: files are listed into slices, which workers take on lease."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from emotion_search.engine.files.scan import FoundFile
from emotion_search.engine.ingest.lookup import Looked, look_up
from emotion_search.engine.ingest.options import IngestOptions
from emotion_search.engine.ingest.report import IngestReport
from emotion_search.engine.library.library import Library
from emotion_search.engine.library.shared_work import MOST_DEATHS, Note, SharedWork
from emotion_search.index.database import slices
from emotion_search.index.database.files import add_failure, known_files, silent_files
from emotion_search.index.database.recordings import Annotations

SLICE_FILES, SLICE_BYTES = 200, 1 << 28
"""Files, and bytes of them, after which a slice is full."""
GIVEN_UP = f"was given up: {MOST_DEATHS} workers died over it, or over a file beside it"

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


class SharedIngest(SharedWork):
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
        super().__init__(library, stop)
        self._wanted, self._progress = wanted, progress
        self.report = IngestReport()

    def run(self) -> IngestReport:
        """Take slices until none is left; what this worker did.

        Raises:
            ModelMismatchError, ModelUnavailableError, DatabaseError, StorageFullError: the slice in
                hand is left to others.
        """
        run_id = None if self._wanted is None else self._open(self._wanted)
        self._work_off(run_id, None)
        self.report.stopped = self._stop.is_set()
        model = self._library.model()
        if model is not None and self.report.files:
            self._library.after_ingest(model, self.report, save_index=True)
        return self.report

    def list_all(self) -> int:
        """Put all wanted files into slices, or wait until another worker has; the run's number.

        Raises:
            ModelMismatchError, ModelUnavailableError, DatabaseError, StorageFullError: see ``run``.
        """
        assert self._wanted is not None
        run_id = self._open(self._wanted)
        self._list(run_id)
        while not self._listed and not self._stop.wait(1.0):
            self._list(run_id)
        return run_id

    def _open(self, wanted: Wanted) -> int:
        """The run that is to be worked on."""
        self._library.own_model()  # those who help need not know which
        options = _OPTIONS.dump_python(wanted.options, mode="json")
        with self._database.write() as session:
            return slices.open_run(session, wanted.key, wanted.named, options)

    def _add_slices(self, run_id: int, last: str | None) -> bool:
        assert self._wanted is not None
        complete = self._add_files(run_id, last, self._wanted)
        self._wanted.failures()
        return complete

    def _add_files(self, run_id: int, last: str | None, wanted: Wanted) -> bool:
        options = wanted.options
        refused: list[tuple[str, str]] = []
        files = _after(wanted.files, last)
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
        with self._database.read() as session:
            paths = [file.path for file in files]
            claimed = replace(claimed, before=slices.added_since(session, paths, claimed.since))
        if claimed.attempts > MOST_DEATHS:
            self._give_up(claimed, files)
            return
        options = replace(_OPTIONS.validate_python(claimed.options), save_index=False)
        report = IngestReport()

        def work(note: Note, stop: threading.Event) -> tuple[slices.Progress, bool]:
            nonlocal report

            def progress(report: IngestReport) -> None:
                note(_progress(claimed, report))
                self._progress(self.report.files + report.files, self.report.clips + report.clips)

            report = self._library.ingest(files, options, progress=progress, stop=stop)
            report.failed += [
                (path, f"has no clip from {span.start:g} to {span.end:g} s; does it end before?")
                for path, span in report.lost
            ]
            return _progress(claimed, report), report.stopped

        self._under_lease(claimed, work)
        self.report += report

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
        return anew or looked.failed or looked.file.annotations != Annotations()
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

"""An ingest that waits where its database goes away, and goes on once it is back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from emotion_search.engine.commands.common import notice
from emotion_search.index.errors import DatabaseUnreachableError

if TYPE_CHECKING:
    from emotion_search.engine.files.scan import FoundFile
    from emotion_search.engine.ingest.options import IngestOptions
    from emotion_search.engine.ingest.report import IngestReport
    from emotion_search.engine.library.library import Library

_LONGEST_S = 300.0
_POLL_S = 2.0  # between checks whether it is back


def ingest_patiently(
    library: Library,
    files: Iterable[FoundFile],
    options: IngestOptions,
    *,
    progress: Callable[[IngestReport], None],
    stop: threading.Event,
) -> IngestReport:
    """``Library.ingest``, gone through again from the first file each time that the database could
    not be reached and is back within five minutes; what was committed is known then.

    Raises:
        DatabaseUnreachableError: it is not back in time.
    """
    from emotion_search.engine.ingest.report import IngestReport

    before = IngestReport()
    while True:
        last = IngestReport()

        def update(report: IngestReport) -> None:
            nonlocal last
            last = report
            progress(report.after(before))  # noqa: B023 - called within this round

        limit = None if options.limit is None else options.limit - before.added
        try:
            if limit is not None and limit <= 0:
                return before
            again = replace(options, limit=limit)
            report = library.ingest(files, again, progress=update, stop=stop)
            return report.after(before)
        except DatabaseUnreachableError as error:
            before = last.after(before)
            if not _is_back(library, error, stop):
                return replace(before, stopped=True)


def _is_back(library: Library, error: DatabaseUnreachableError, stop: threading.Event) -> bool:
    """Wait until the database is back; False if ``stop`` is set meanwhile."""
    what = str(error).partition(";")[0]
    notice(f"{what}; waiting for it up to {_LONGEST_S / 60:.0f} minutes")
    until = time.monotonic() + _LONGEST_S
    while not stop.wait(_POLL_S):
        try:
            library.failures(limit=1)
        except DatabaseUnreachableError:
            if time.monotonic() > until:
                raise
        else:
            notice("the database is back; going on")
            return True
    return False

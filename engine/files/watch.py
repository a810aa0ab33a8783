"""Folder watching: new audio files, handed on once they are completely written."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from watchfiles import Change, watch

from emotion_search.engine.audio.file import EXTENSIONS
from emotion_search.engine.files.scan import AnnotationsOf, Found, FoundFile, look, walk
from emotion_search.index.database.recordings import Annotations

log = logging.getLogger(__name__)

_POLL_MS = 500

Changes = set[tuple[Change, str]]


class Watch:
    """Audio files that appear or change below ``folders`` from the moment this is made.

    What a scan of the folders would leave out (hidden files and folders, other extensions) is left
    out here too. A folder that appears is gone through, for it may have arrived with its files.

    Args:
        quiet: seconds for which size and time of change of a file have to stay the same before it
            is handed on.
        stop: once set, iteration ends.
        annotations_of: gives the annotations of each file that is handed on; none where left out.
    """

    def __init__(
        self,
        folders: Sequence[str],
        *,
        quiet: float = 2.0,
        stop: threading.Event,
        annotations_of: AnnotationsOf = lambda _: Annotations(),
    ) -> None:
        self._roots = [os.path.abspath(folder) for folder in folders]  # noqa: PTH100
        self._quiet, self._stop, self._annotations_of = quiet, stop, annotations_of
        self._changes = self._watched()
        self._seen = next(self._changes, set())  # it watches from here on

    def __iter__(self) -> Iterator[Found]:
        """Files that are whole, and what cannot even be looked at, as soon as there are any."""
        waiting: dict[str, tuple[FoundFile, float]] = {}
        while not self._stop.is_set():
            now, ready = time.monotonic(), Found()
            for path in self._arrived(ready) | waiting.keys():
                seen = look(path, ready, self._annotations_of) if os.path.lexists(path) else None
                if seen is None:  # gone again, or no file that could be taken
                    waiting.pop(path, None)
                elif path not in waiting or waiting[path][0] != seen:
                    waiting[path] = (seen, now)
            whole = [file for file, since in waiting.values() if now - since >= self._quiet]
            for file in whole:
                del waiting[file.path]
            ready.files = sorted(whole, key=lambda file: file.path)
            if ready.files or ready.unusable:
                yield ready
            self._seen = next(self._changes, set())

    def _arrived(self, found: Found) -> set[str]:
        """Paths of the audio files that the latest changes are about."""
        arrived: set[str] = set()
        for change, path in self._seen:
            if change == Change.deleted or self._hidden(path):
                continue
            if os.path.isdir(path):  # noqa: PTH112
                link = os.path.islink(path) and path not in self._roots  # noqa: PTH114
                if change == Change.added and not link:
                    arrived.update(walk(path, found))
            elif os.path.splitext(path)[1].lower() in EXTENSIONS:  # noqa: PTH122
                arrived.add(path)
        return arrived

    def _hidden(self, path: str) -> bool:
        """Whether a scan of each of the folders would leave it out."""
        below = [Path(path).relative_to(root) for root in self._roots if _within(path, root)]
        return bool(below) and all(any(part.startswith(".") for part in one.parts) for one in below)

    def _watched(self) -> Iterator[Changes]:
        seen: Changes = set()
        there = self._folders()
        while not self._stop.is_set():
            before, there = there, self._folders()
            if there != before:
                _log_changes(before, there)
                seen = self._everything()
            if not there:
                self._stop.wait(_POLL_MS / 1000)
                yield seen
                seen = set()
                continue
            changes = watch(
                *there,
                watch_filter=None,
                stop_event=self._stop,
                rust_timeout=_POLL_MS,
                yield_on_timeout=True,
                raise_interrupt=False,
                ignore_permission_denied=True,
            )
            try:
                yield seen | next(changes, set())  # it watches from here on
                seen = set()
                for some in changes:
                    yield some
                    if self._folders() != there:  # what watches them has lost them
                        seen = self._everything()
                        break
            except (RuntimeError, FileNotFoundError) as error:
                # A name that is not UTF-8 ends it, or a folder that went just now; what it had seen
                # is lost: look at everything.
                log.debug("watched anew: %s", error)
                seen = self._everything()

    def _folders(self) -> dict[str, tuple[int, int]]:
        """Those of the folders that are there, and which ones they are."""
        found = {}
        for root in self._roots:
            with contextlib.suppress(OSError):
                status = os.stat(root)  # noqa: PTH116
                if stat.S_ISDIR(status.st_mode):
                    found[root] = (status.st_dev, status.st_ino)
        return found

    def _everything(self) -> Changes:
        """All folders, to be gone through: what happens until they are watched anew is not
        reported."""
        return {(Change.added, root) for root in self._roots}


def _log_changes(before: Mapping[str, object], now: Mapping[str, object]) -> None:
    for root in before.keys() - now.keys():
        log.warning("%s is gone; it is watched again once it is back", root)
    for root in now.keys() - before.keys():
        log.warning("%s is back", root)


def _within(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)

"""Files that arrive in folders, handed on once they are whole."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from watchfiles import Change, watch

from engine.audio import EXTENSIONS
from engine.scan import facts
from index.files import FileFacts

_POLL_MS = 500


def arrivals(
    folders: Sequence[str], *, quiet: float, stop: threading.Event
) -> Iterator[list[FileFacts]]:
    """Audio files that appear or change below ``folders`` from now on, until ``stop`` is set.

    A file is handed on once its size and time of change have stayed the same for ``quiet`` seconds.
    """
    waiting: dict[str, tuple[FileFacts, float]] = {}
    changes = watch(
        *folders,
        watch_filter=_audio,
        stop_event=stop,
        rust_timeout=_POLL_MS,
        yield_on_timeout=True,
        raise_interrupt=False,
        ignore_permission_denied=True,
    )
    for changed in changes:
        now = time.monotonic()
        for path in {os.path.abspath(path) for _, path in changed} | waiting.keys():  # noqa: PTH100
            try:
                seen = facts(Path(path))
            except OSError:  # gone again
                waiting.pop(path, None)
                continue
            before = waiting.get(path)
            if before is None or before[0] != seen:
                waiting[path] = (seen, now)
        whole = [file for file, since in waiting.values() if now - since >= quiet]
        for file in whole:
            del waiting[file.path]
        if whole:
            yield sorted(whole, key=lambda file: file.path)


def _audio(change: Change, path: str) -> bool:
    name = Path(path)
    hidden = any(part.startswith(".") for part in name.parts[-2:])
    return change != Change.deleted and name.suffix.lower() in EXTENSIONS and not hidden

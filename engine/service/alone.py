"""Crash isolation: an upload that may kill the process is taken in by a process of its own."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from emotion_search.engine.ingest.report import IngestReport
from emotion_search.engine.library.library import Library
from emotion_search.engine.service.uploads import take_in
from emotion_search.engine.settings import Settings
from emotion_search.index.errors import EmotionSearchError, ModelUnavailableError

_LOOK_S = 0.2  # between looks at whether it is to stop
_BEGUN = "begun"


class ProcessDiedError(EmotionSearchError):
    """The process that took a file in ended in the midst of it."""


def take_in_alone(
    settings: Settings,
    file: Path,
    *,
    progress: Callable[[IngestReport], None],
    stop: threading.Event,
    **how: Any,
) -> tuple[int, bool]:
    """``take_in`` in a process of its own, with a model of its own, which ends with this one.

    Raises:
        ProcessDiedError: the process ended while the file was decoded and embedded.
        ModelUnavailableError: it ended before, so that the file had no part in it.
        EmotionSearchError, OSError: as ``take_in``.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, settings, file, how), daemon=True)
    process.start()
    theirs.close()
    begun = asked = False
    try:
        while True:
            while not ours.poll(_LOOK_S):
                if stop.is_set() and not asked:
                    asked = True
                    ours.send("stop")
            answer = ours.recv()
            if isinstance(answer, Exception):
                raise answer
            if isinstance(answer, tuple):
                return answer
            if answer == _BEGUN:
                begun = True
            else:
                progress(answer)
    except (EOFError, ConnectionError) as error:
        process.join()
        kind = ProcessDiedError if begun else ModelUnavailableError
        when = "while it took the file in" if begun else "before it began"
        raise kind(f"a process of its own ended {when} (exit code {process.exitcode})") from error
    finally:
        process.kill()
        process.join()
        ours.close()


def _work(pipe: Connection, settings: Settings, file: Path, how: dict[str, Any]) -> None:
    """Runs in the other process; sends reports, then what came of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which then stops us
    with contextlib.suppress(OSError):  # where memory runs out, this process goes first
        Path("/proc/self/oom_score_adj").write_text("1000")
    stop = threading.Event()
    threading.Thread(target=_heed, args=(pipe, stop), daemon=True).start()
    try:
        with Library.open(settings) as library:
            library.embedder()
            pipe.send(_BEGUN)
            pipe.send(take_in(library, file, progress=pipe.send, stop=stop, **how))
    except (EmotionSearchError, OSError) as error:
        pipe.send(error)
    except Exception as error:  # noqa: BLE001 - not every exception can be sent
        pipe.send(RuntimeError(f"{type(error).__name__}: {error}"))


def _heed(pipe: Connection, stop: threading.Event) -> None:
    """Stop when the server says so; end when it is gone."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            pipe.recv()
            stop.set()
    os._exit(1)

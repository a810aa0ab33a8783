"""Work in a process of its own: uploads that may kill the server, and what takes minutes."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from emotion_search.engine.library.library import Library
from emotion_search.engine.settings import Settings
from emotion_search.index.errors import EmotionSearchError, ModelUnavailableError

_POLL_S = 0.2  # between checks whether it is to stop
BEGUN = "begun"
"""What work reports once it has all that it needs, so that it is to blame if the process ends."""

T = TypeVar("T")
Progress = Callable[[Any], None]


class ProcessDiedError(EmotionSearchError):
    """The process that did some work ended in the midst of it."""


class StoppedError(EmotionSearchError):
    """The work was stopped before it was done."""


@dataclass(frozen=True)
class _Done:
    result: Any


def do_alone(
    settings: Settings,
    work: Callable[[Library, Progress, threading.Event], T],
    *,
    progress: Progress,
    stop: threading.Event,
    patience: float = float("inf"),
) -> T:
    """What ``work`` gives, which is called in a process of its own that ends with this one, with
    the library, a function that passes on what it is given to ``progress``, and an event that is
    set once it is to stop.

    Args:
        patience: seconds after which it is killed then.

    Raises:
        ProcessDiedError: the process ended after ``BEGUN``.
        ModelUnavailableError: it ended before.
        StoppedError: it was killed.
        EmotionSearchError, OSError: as ``work``.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, settings, work), daemon=True)
    process.start()
    theirs.close()
    begun = False
    asked_at: float | None = None
    try:
        while True:
            while not ours.poll(_POLL_S):
                if stop.is_set() and asked_at is None:
                    asked_at = time.monotonic()
                    ours.send("stop")
                if asked_at is not None and time.monotonic() - asked_at >= patience:
                    raise StoppedError("it did not stop in time")
            answer = ours.recv()
            if isinstance(answer, Exception):
                raise answer
            if isinstance(answer, _Done):
                return answer.result  # type: ignore[no-any-return]
            if answer == BEGUN:
                begun = True
            else:
                progress(answer)
    except (EOFError, ConnectionError) as error:
        process.join()
        kind = ProcessDiedError if begun else ModelUnavailableError
        when = "in the midst of its work" if begun else "before it began"
        raise kind(f"a process of its own ended {when} (exit code {process.exitcode})") from error
    finally:
        process.kill()
        process.join()
        ours.close()


def _work(pipe: Connection, settings: Settings, work: Callable[..., object]) -> None:
    """Runs in the other process; sends reports, then what came of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which then stops us
    with contextlib.suppress(OSError):  # where memory runs out, this process goes first
        Path("/proc/self/oom_score_adj").write_text("1000")
    stop = threading.Event()
    threading.Thread(target=_heed, args=(pipe, stop), daemon=True).start()
    try:
        with Library.open(settings) as library:
            pipe.send(_Done(work(library, pipe.send, stop)))
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

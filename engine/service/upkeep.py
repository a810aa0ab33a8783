"""Periodic tasks of a server, on a thread of their own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from emotion_search.index.errors import EmotionSearchError

log = logging.getLogger(__name__)


class Upkeep:
    """Calls functions every so many seconds until it is stopped; one that fails is called again
    when it is due.

    Args:
        every: seconds from one call to the next, of each.
    """

    def __init__(self, every: dict[Callable[[], object], float]) -> None:
        self._every = every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)

    def start(self) -> None:
        """Begin; the first calls come after their seconds have passed."""
        self._thread.start()

    def stop(self) -> None:
        """End, once a call in hand has ended."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        due = {call: time.monotonic() + seconds for call, seconds in self._every.items()}
        while not self._stop.wait(max(0.0, min(due.values()) - time.monotonic())):
            call = min(due, key=lambda one: due[one])
            try:
                call()
            except (EmotionSearchError, OSError) as error:
                log.warning("%s", error)
            except Exception:  # of a damaged row, say: the other calls go on, and so does this
                log.exception("upkeep failed")
            due[call] = time.monotonic() + self._every[call]

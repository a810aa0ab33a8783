"""Erasing what is beyond its age, unless the clock by which that is judged has jumped."""

from __future__ import annotations

import logging
import time

from emotion_search.engine.library.library import Library

log = logging.getLogger(__name__)

_JUMP_S = 300.0  # that a system's clock and one that only goes forward may come apart meanwhile


class Retention:
    """Calls ``Library.forget_expired`` unless the clock jumped since the last call: what a
    wrong clock erases is not brought back once it is set right."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._apart = time.time() - time.monotonic()

    def apply(self) -> None:
        """Erase what is to be erased by now."""
        before, self._apart = self._apart, time.time() - time.monotonic()
        if abs(self._apart - before) > _JUMP_S:
            log.warning(
                "the system's clock jumped by %+.0f s: nothing is erased for its age this time",
                self._apart - before,
            )
            return
        self._library.forget_expired()

"""The archive's revision for those who wait for another: asked for once for all of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from emotion_search.index.errors import DatabaseError

log = logging.getLogger(__name__)

_POLL_S = 1.0


class Pulse:
    """The last revision that was seen, while anybody listens; of one event loop.

    Args:
        read: the revision that the archive has now, as an opaque text.

    Attributes:
        listeners: how many there are.
        latest: the revision; None until the first look.
    """

    def __init__(self, read: Callable[[], Awaitable[str]]) -> None:
        self._read = read
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self.listeners = 0
        self.latest: str | None = None

    async def __aenter__(self) -> Pulse:
        """Listen."""
        self.listeners += 1
        if self._task is None:
            self._task = asyncio.create_task(self._poll())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Listen no more; the last one ends the looking."""
        self.listeners -= 1
        if not self.listeners and self._task is not None:
            self._task.cancel()
            self._task = self.latest = None

    async def other_than(self, known: str | None, *, patience: float) -> str | None:
        """The revision once it is another than ``known``, or as it stands after ``patience`` s."""
        if self.latest in (None, known):
            changed = self._changed
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), patience)
        return self.latest

    async def _poll(self) -> None:
        while True:
            try:
                now = await self._read()
            except DatabaseError as error:  # it may come back
                log.warning("%s", error)
            else:
                if now != self.latest:
                    self.latest = now
                    self._changed.set()
                    self._changed = asyncio.Event()
            await asyncio.sleep(_POLL_S)

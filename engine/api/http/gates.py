"""Limits on concurrency: how many requests are worked on, and may wait; beyond that, 429."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import ParamSpec, TypeVar

import anyio
import anyio.to_thread

from emotion_search.engine.service.jobs import TooBusyError

P = ParamSpec("P")
T = TypeVar("T")


class Gate:
    """Threads for requests of one kind, so that other kinds never wait for them.

    Args:
        name: what the requests are, for messages and metrics.
        workers: how many are worked on at a time.
        most: how many may wait.
    """

    def __init__(self, name: str, *, workers: int, most: int) -> None:
        self.name = name
        self.workers = workers
        self._most = most
        self._limiter: anyio.CapacityLimiter | None = None
        self.inside = 0

    @property
    def waiting(self) -> int:
        """How many wait for a worker."""
        return max(0, self.inside - self.workers)

    def refuse_if_full(self) -> None:
        """Raise TooBusyError if no more may wait."""
        if self.inside >= self.workers + self._most:
            raise TooBusyError(f"too many {self.name} at once; try again in a moment")

    @asynccontextmanager
    async def entered(self) -> AsyncIterator[None]:
        """Within, a request counts: as one that is worked on, or that waits.

        Raises:
            TooBusyError: too many wait already.
        """
        self.refuse_if_full()
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    async def run(self, work: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        """What ``work`` returns, on one of the threads.

        Raises:
            TooBusyError: too many wait already.
        """
        if self._limiter is None:  # made here: it belongs to the event loop
            self._limiter = anyio.CapacityLimiter(self.workers)
        async with self.entered():
            return await anyio.to_thread.run_sync(
                partial(work, *args, **options), limiter=self._limiter
            )

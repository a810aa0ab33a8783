"""Limits on concurrency: how many requests are worked on, and may wait; beyond that, 429."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import partial
from typing import ParamSpec, TypeVar

import anyio
import anyio.to_thread

from emotion_search.engine.service.jobs import TooBusyError

owner: ContextVar[str] = ContextVar("owner", default="")
"""The key that the request in hand was sent with; empty for none."""

P = ParamSpec("P")
T = TypeVar("T")


class Gate:
    """Threads for requests of one kind, so that other kinds never wait for them.

    Args:
        name: what the requests are, for messages and metrics.
        workers: how many are worked on at a time.
        most: how many may wait.

    Requests with one key take half of the places at most, so that it shuts out nobody.
    """

    def __init__(self, name: str, *, workers: int, most: int) -> None:
        self.name = name
        self.workers = workers
        self._most = most
        self._limiter: anyio.CapacityLimiter | None = None
        self.inside = 0
        self._of_owner: Counter[str] = Counter()

    @property
    def waiting(self) -> int:
        """How many wait for a worker."""
        return max(0, self.inside - self.workers)

    def refuse_if_full(self) -> None:
        """Raise TooBusyError if no more may wait, or no more with the same key."""
        places = self.workers + self._most
        if self.inside >= places:
            raise TooBusyError(f"too many {self.name} at once; try again in a moment")
        if owner.get() and self._of_owner[owner.get()] >= places / 2:
            raise TooBusyError(f"too many {self.name} with one key at once; try again in a moment")

    @asynccontextmanager
    async def entered(self) -> AsyncIterator[None]:
        """Within, a request counts: as one that is worked on, or that waits.

        Raises:
            TooBusyError: too many wait already.
        """
        self.refuse_if_full()
        who = owner.get()
        self.inside += 1
        self._of_owner[who] += 1
        try:
            yield
        finally:
            self.inside -= 1
            self._of_owner[who] -= 1
            if not self._of_owner[who]:
                del self._of_owner[who]

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

"""FastAPI dependencies of routes: the library, the jobs, the gates."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from emotion_search.engine.api.http.gates import Gate
from emotion_search.engine.library.library import Library
from emotion_search.engine.service.alerts import Alerts
from emotion_search.engine.service.jobs import Jobs
from emotion_search.engine.service.pulse import Pulse
from emotion_search.engine.service.webhooks import Webhooks

T = TypeVar("T")

_FEW, _MANY = 4, 1000
_WORKERS, _MOST_WAITING = 8, 64  # requests of a kind that are worked on, and that wait


def _state(name: str, kind: type[T]) -> Callable[[Request], Awaitable[T]]:
    async def get(request: Request) -> T:  # async: it is no work for a thread
        value = getattr(request.app.state, name)
        assert isinstance(value, kind)
        return value

    return get


@dataclass(frozen=True)
class Gates:
    """Where requests of each kind wait for their turn."""

    queries: Gate
    uploads: Gate
    pictures: Gate
    signs: Gate
    arriving: Gate

    @classmethod
    def usual(cls) -> Gates:
        """The gates of a service."""
        workers, most = _WORKERS, _MOST_WAITING
        return cls(
            queries=Gate("searches", workers=workers, most=most),
            uploads=Gate("uploads", workers=workers, most=most),
            # Maps, trends, audio: seconds of work, of which lists and searches must not notice.
            pictures=Gate("maps, trends and stretches of audio", workers=_FEW, most=most),
            # Keys, signs of life: nothing else may keep them waiting.
            signs=Gate("signs of life", workers=_FEW, most=_MANY),
            arriving=Gate("uploads on their way", workers=2 * (workers + most), most=0),
        )

    def __iter__(self) -> Iterator[Gate]:
        return iter((self.queries, self.uploads, self.pictures, self.signs, self.arriving))


LibraryDep = Annotated[Library, Depends(_state("library", Library))]
JobsDep = Annotated[Jobs, Depends(_state("jobs", Jobs))]
AlertsDep = Annotated[Alerts, Depends(_state("alerts", Alerts))]
WebhooksDep = Annotated[Webhooks, Depends(_state("webhooks", Webhooks))]
PulseDep = Annotated[Pulse, Depends(_state("pulse", Pulse))]
GatesDep = Annotated[Gates, Depends(_state("gates", Gates))]


in_thread = run_in_threadpool
"""Runs blocking work off the event loop."""

"""The server process (uvicorn): its socket, its log, and how it ends."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from contextlib import AsyncExitStack
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess

import uvicorn
from fastapi import FastAPI

from emotion_search.engine.api.app import GRACE_S, create_app
from emotion_search.engine.api.http.access import OpenTo
from emotion_search.engine.api.http.connections import Connection, overdue
from emotion_search.engine.api.http.logs import configure
from emotion_search.engine.api.http.metrics import COUNTERS
from emotion_search.engine.settings import Settings
from emotion_search.index.errors import EmotionSearchError, UnusableError

log = logging.getLogger(__name__)

_MOST_CONNECTIONS = 900  # below the usual limit on open files
_BACKLOG = 2048  # connections that wait to be taken
_START_S = 60.0  # a worker that ends by itself, with an error, within so long could not start
_TICKS = 10  # of uvicorn's, a second
_ENDING = 0.1  # share of their usual time that connections have while the server ends


class Server(uvicorn.Server):
    """uvicorn, which lets go of connections that cost more than they are worth, and of those who
    wait for what will not be begun when it ends."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app, self._life = app, AsyncExitStack()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin: with the app, whose errors are the caller's."""
        await self._life.enter_async_context(self._app.router.lifespan_context(self._app))
        log.info("startup complete")
        await super().startup(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        if counter % _TICKS == 0:
            self._let_go()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End: what is in flight is finished, what only waits is answered with 503."""
        if (jobs := getattr(self._app.state, "jobs", None)) is not None:
            await asyncio.to_thread(jobs.end_soon)
        letting_go = asyncio.create_task(self._let_go_while_ending())
        try:
            await super().shutdown(sockets)
        finally:
            letting_go.cancel()
            await self._life.aclose()

    async def _let_go_while_ending(self) -> None:
        while True:
            self._let_go(patience=_ENDING)
            await asyncio.sleep(1 / _TICKS)

    def _let_go(self, patience: float = 1.0) -> None:
        for connection in overdue(self.server_state.connections, patience=patience):
            connection.transport.abort()


def run(settings: Settings, *, host: str, port: int, open_to: OpenTo, workers: int = 1) -> None:
    """Serve until the process is asked to end.

    Args:
        workers: processes that answer, each with a model and a part of the memory of its own; what
            is mapped from files they share.

    Raises:
        UnusableError: the address cannot be listened on.
    """
    try:
        listening = _listen(host, port, workers)
    except OSError as error:
        raise UnusableError(
            f"cannot listen on {host}:{port} ({error.strerror}); choose another --port or --host"
        ) from error
    line = f"serving on http://{_shown(host)}:{listening[0].getsockname()[1]} (Ctrl-C ends it)"
    print(line, file=sys.stderr, flush=True)
    if workers == 1:
        _serve(settings, open_to, listening[0])
    else:
        with tempfile.TemporaryDirectory() as counters:
            os.environ[COUNTERS] = counters  # before a worker loads what counts
            _Workers(settings, open_to, listening).run()


def _listen(host: str, port: int, workers: int) -> list[socket.socket]:
    """A listening socket for each worker, among which Linux shares out the connections.

    On one socket a worker takes all that waits there, so that one of them may have every
    connection. Other systems share out nothing by SO_REUSEPORT.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    alone = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    if workers == 1 or sys.platform != "linux":
        return [alone] * workers
    address = alone.getsockname()[:2]
    alone.close()  # it showed that nobody else listens there
    return [
        socket.create_server(address, family=family, backlog=_BACKLOG, reuse_port=True)
        for _ in range(workers)
    ]


def _serve(settings: Settings, open_to: OpenTo, listening: socket.socket) -> None:
    """Serve on a socket, in this process."""
    if multiprocessing.parent_process() is not None:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    configure(settings.log_format)
    app = create_app(settings, open_to=open_to)
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="off",  # ours, which raises where uvicorn would print a traceback
        log_config=None,
        access_log=False,  # our own line has the request's id
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=round(GRACE_S),
    )
    Server(config, app).run(sockets=[listening])


def _work(settings: Settings, open_to: OpenTo, listening: socket.socket) -> None:
    """As ``_serve``, in a process of its own."""
    try:
        _serve(settings, open_to, listening)
    except (EmotionSearchError, OSError) as error:
        log.error("%s", error)
        sys.exit(1)


class _Workers:
    """Processes that serve, a listening socket each; one that is killed is replaced."""

    def __init__(self, settings: Settings, open_to: OpenTo, listening: list[socket.socket]) -> None:
        self._given = settings, open_to
        self._context = multiprocessing.get_context("spawn")
        self._ending = False
        self._began: dict[SpawnProcess, tuple[float, socket.socket]] = {}
        self._unserved = listening

    def run(self) -> None:
        """Until this process is asked to end, and they have.

        Raises:
            EmotionSearchError: one could not start.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._end)
        failed = False
        while not self._ending:
            while self._unserved:
                mine = self._unserved.pop()
                one = self._context.Process(target=_work, args=(*self._given, mine), name="worker")
                one.start()
                self._began[one] = time.monotonic(), mine
            wait([one.sentinel for one in self._began], timeout=0.2)
            for one in [one for one in self._began if not one.is_alive()]:
                began, mine = self._began.pop(one)
                self._unserved.append(mine)
                lived = time.monotonic() - began
                if self._ending:
                    break
                failed = bool(one.exitcode and one.exitcode > 0) and lived < _START_S
                if failed:
                    self._ending = True
                    break
                log.warning("worker %s ended (%s); another takes its place", one.pid, one.exitcode)
        self._end()
        for one in self._began:
            one.join()
        if failed:
            raise EmotionSearchError("a worker of the server could not start; its error is above")

    def _end(self, *_: object) -> None:
        self._ending = True
        for one in list(self._began):
            if one.is_alive():
                one.terminate()


def _end_with_parent() -> None:
    """End where the process that began this worker was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host

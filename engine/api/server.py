"""The server process (uvicorn): its socket, its log, and how it ends."""

from __future__ import annotations

import asyncio
import socket
import sys

import uvicorn
from fastapi import FastAPI

from emotion_search.engine.api.app import GRACE_S, create_app
from emotion_search.engine.api.http.access import OpenTo
from emotion_search.engine.api.http.connections import Connection, overdue
from emotion_search.engine.api.http.logs import configure
from emotion_search.engine.settings import Settings
from emotion_search.index.errors import InvalidInputError

_MOST_CONNECTIONS = 900  # below the usual limit on open files
_TICKS = 10  # of uvicorn's, a second
_ENDING = 0.1  # share of their usual time that connections have while the server ends


class Server(uvicorn.Server):
    """uvicorn, which lets go of connections that cost more than they are worth, and of those who
    wait for what will not be begun when it ends."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

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

    async def _let_go_while_ending(self) -> None:
        while True:
            self._let_go(patience=_ENDING)
            await asyncio.sleep(1 / _TICKS)

    def _let_go(self, patience: float = 1.0) -> None:
        for connection in overdue(self.server_state.connections, patience=patience):
            connection.transport.abort()


def run(settings: Settings, *, host: str, port: int, open_to: OpenTo) -> None:
    """Serve until the process is asked to end.

    Raises:
        InvalidInputError: the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise InvalidInputError(
            f"cannot listen on {host}:{port} ({error.strerror}); choose another --port or --host"
        ) from error
    configure(settings.log_format)
    app = create_app(settings, open_to=open_to)
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        log_config=None,
        access_log=False,  # our own line has the request's id
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=round(GRACE_S),
    )
    line = f"serving on http://{_shown(host)}:{listening.getsockname()[1]} (Ctrl-C ends it)"
    print(line, file=sys.stderr, flush=True)
    Server(config, app).run(sockets=[listening])


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host

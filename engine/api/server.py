"""The process that serves: its socket, its log, and how it ends."""

from __future__ import annotations

import socket
import sys
import time
import weakref
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from engine.api.access import OpenTo
from engine.api.app import create_app
from engine.api.logs import configure
from engine.settings import Settings
from index.errors import InvalidInputError

_MOST_CONNECTIONS = 900  # below the usual limit on open files
_HEADERS_S = 15.0  # in which a connection has to say what it wants
_TICKS = 10  # of uvicorn's, a second


class Server(uvicorn.Server):
    """uvicorn, which lets go of connections that say nothing, and of followers when it ends."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app
        self._silent_since: weakref.WeakKeyDictionary[Any, float] = weakref.WeakKeyDictionary()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end: what is in flight is finished, what could last for ever is told."""
        if (jobs := getattr(self._app.state, "jobs", None)) is not None:
            jobs.end_soon()
        super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        if counter % _TICKS == 0:
            self._close_silent()
        return await super().on_tick(counter)

    def _close_silent(self) -> None:
        """Close connections that take too long over a request's headers."""
        now = time.monotonic()
        for connection in list(self.server_state.connections):
            cycle = getattr(connection, "cycle", None)
            resting = getattr(connection, "timeout_keep_alive_task", None) is not None
            transport = getattr(connection, "transport", None)
            if resting or transport is None or (cycle is not None and not cycle.response_complete):
                self._silent_since.pop(connection, None)
            elif now - self._silent_since.setdefault(connection, now) > _HEADERS_S:
                transport.abort()


def run(settings: Settings, *, host: str, port: int, open_to: OpenTo) -> None:
    """Serve until the process is told to end.

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
        log_config=None,
        access_log=False,  # our own line has the request's id
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=max(1, round(settings.shutdown_grace)),
    )
    told = f"serving on http://{_shown(host)}:{listening.getsockname()[1]} (Ctrl-C ends it)"
    print(told, file=sys.stderr, flush=True)
    Server(config, app).run(sockets=[listening])


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host

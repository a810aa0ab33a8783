"""Middleware around all others: request ids, the access log, metrics, unexpected errors."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import re
import time
import uuid
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emotion_search.engine.api.http.problems import problem

log = logging.getLogger(__name__)

request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")
"""Of the request in hand; empty outside of one."""

_GONE = 499  # as nginx counts those who went away before the answer

# Files that every page asks for: they are counted, and not logged.
_STATIC = frozenset({"/", "/assets/{name:path}", "/assets/plotly.min.js"})

_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")

Observe = Callable[[str, str, int, float], None]
"""Called for each answer: method, route's template, status, seconds."""


class Requests:
    """Middleware that is outside of all others.

    Args:
        observe: called for each answer.
    """

    def __init__(self, app: ASGIApp, observe: Observe) -> None:
        self._app = app
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        its_id = given if _ID.fullmatch(given) else uuid.uuid4().hex
        token = request_id.set(its_id)
        began = time.perf_counter()
        status = 0

        async def marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = its_id
                headers.setdefault("x-content-type-options", "nosniff")
                headers.setdefault("cross-origin-resource-policy", "same-origin")
            await send(message)

        try:
            await self._app(scope, receive, marked)
        except ClientDisconnect:
            status = _GONE  # nobody is left to answer
        except asyncio.CancelledError:
            if not status:  # the server's time to end is over
                answer = problem(503, "ending", "the server has ended; ask again in a moment")
                await answer(scope, receive, marked)
            raise
        except Exception as error:
            log.error("%s %s failed", scope["method"], _route(scope), exc_info=error)
            if status:
                raise  # what was begun cannot be taken back: the connection is cut
            answer = problem(500, "unexpected", "an unexpected error; the server's log tells more")
            await answer(scope, receive, marked)
        finally:
            seconds = time.perf_counter() - began
            route = _route(scope)
            self._observe(scope["method"], route, status, seconds)
            is_file = route in _STATIC or isinstance(scope.get("endpoint"), StaticFiles)
            level = logging.DEBUG if is_file and status < 400 else logging.INFO
            log.log(
                level,
                "%s %s %d %.1f ms",
                scope["method"],
                route,
                status,
                seconds * 1000,
                extra={
                    "method": scope["method"],
                    "route": route,
                    "status": status,
                    "ms": round(seconds * 1000, 1),
                },
            )
            request_id.reset(token)


def _route(scope: Scope) -> str:
    """The template of the route, such as ``/v1/clips/{clip}``; never what a stranger wrote."""
    route = scope.get("route")
    return getattr(route, "path", None) or "(none)"

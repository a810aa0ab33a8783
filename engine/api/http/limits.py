"""Limits on request bodies: their size, and the time that they take to arrive."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emotion_search.engine.api.http.problems import problem

BODY_S = 120.0
"""Seconds in which the body of a request has to arrive, at whatever rate."""
BODY_RATE = 50_000
"""Bytes a second at which a body may take longer: a large file over a line at home."""


class BodyLimit:
    """Middleware that refuses a body of more than ``most`` bytes, declared or not, with 413, and
    one that takes more than ``seconds`` to arrive at less than ``BODY_RATE``, or pauses for a
    quarter of them, with 408."""

    def __init__(self, app: ASGIApp, most: int, seconds: float) -> None:
        self._app = app
        self._most = most
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting what arrives."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        if not declared.isdecimal() or len(declared) > 18 or int(declared) > self._most:
            await problem(413, "too-large", self._detail())(scope, receive, send)
            return
        arrived = 0
        whole = False
        clock = asyncio.get_running_loop().time
        until = clock() + self._seconds

        async def counted() -> Message:
            nonlocal arrived, whole
            if whole:  # what comes now is the end of the connection, which may take its time
                return await receive()
            left = until + arrived / BODY_RATE - clock()
            try:
                message = await asyncio.wait_for(receive(), max(0.0, min(left, self._seconds / 4)))
            except TimeoutError as error:
                raise HTTPException(
                    408,
                    f"the body took more than {self._seconds:g} s at less than"
                    f" {BODY_RATE / 1000:g} kB a second, or paused for too long",
                    headers={"connection": "close"},
                ) from error
            arrived += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if arrived > self._most:
                raise HTTPException(413, self._detail(), headers={"connection": "close"})
            return message

        await self._app(scope, counted, send)

    def _detail(self) -> str:
        return (
            f"a request may have {self._most / 1e6:g} MB at most"
            " (the server's setting EMOTION_SEARCH_MAX_UPLOAD_MB)"
        )

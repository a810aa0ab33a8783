"""HEAD requests: middleware that answers as for GET, without the content (RFC 9110, 9.3.2)."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Heads:
    """Middleware that passes HEAD on as GET and leaves out the content; the scope's ``is_head``
    tells those whose content would not end."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def without_content(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        as_get = {**scope, "method": "GET", "is_head": True}
        try:
            await self._app(as_get, receive, without_content)
        finally:
            scope["route"] = as_get.get("route")  # for the log and the metrics

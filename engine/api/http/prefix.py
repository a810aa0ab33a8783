"""The path below which a proxy has the service: middleware that makes it the root path (ASGI)."""

from __future__ import annotations

import re

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from emotion_search.index.errors import InvalidInputError

_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]{1,100}){1,10}")


def checked(prefix: str) -> str:
    """A root path without a slash at its end; "" for none.

    Raises:
        InvalidInputError: it is none.
    """
    found = prefix.rstrip("/")
    if found and not _PREFIX.fullmatch(found):
        raise InvalidInputError(f"root path {prefix!r}: write it as /emotions or /tools/emotions")
    return found


class Prefix:
    """Middleware that tells the root path: what the header X-Forwarded-Prefix says, else
    ``prefix``. It does not matter whether the proxy takes it off the paths of requests."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app, self._prefix = app, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; the root path itself leads to the page, whose files are named
        relative to it."""
        if scope["type"] == "http":
            sent = Headers(scope=scope).get("x-forwarded-prefix", "").rstrip("/")
            prefix = sent if _PREFIX.fullmatch(sent) else self._prefix
            if prefix and scope["path"] == prefix:
                await RedirectResponse(f"{prefix}/", 308)(scope, receive, send)
                return
            scope = {**scope, "root_path": prefix}
        await self._app(scope, receive, send)

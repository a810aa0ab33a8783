"""Host names and web origins: under which names the service answers, and whose pages may call."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from emotion_search.engine.api.http.loopback import is_loopback
from emotion_search.engine.api.http.problems import problem

_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\s:@/\[\]]+))(?::\d*)?")
_FOREIGN = "pages of other origins may not call this (EMOTION_SEARCH_CORS_ORIGINS)"


def listed(text: str) -> frozenset[str]:
    """The names of a setting with commas between, in lower case."""
    return frozenset(one.strip().lower() for one in text.split(",") if one.strip())


def is_answered(host: str, allowed: frozenset[str]) -> bool:
    """Whether a Host header names this machine, or one of the ``allowed`` names, at any port.

    A page in a neighbour's browser can make its own host name resolve to this machine (DNS
    rebinding), so that no other name is believed.
    """
    found = _HOST.fullmatch(host.lower())
    name = (found[1] or found[2]) if found else ""
    return is_loopback(name) or name in allowed


def refuse_foreign_page(request: Request, allowed: frozenset[str]) -> None:
    """Refuse what a page of another origin sent, unless it is ``allowed`` (``*`` is any).

    Browsers tell by Origin, and by Sec-Fetch-Site (W3C Fetch Metadata) also where they send no
    Origin, as for pictures and forms.

    Raises:
        HTTPException: 403.
    """
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site", "none")
    foreign = site not in ("none", "same-origin")
    if origin is not None:
        foreign = not _is_own(origin, request.headers) and origin.lower() not in allowed
    if foreign and "*" not in allowed:
        raise HTTPException(403, _FOREIGN)


def _is_own(origin: str, headers: Headers) -> bool:
    try:
        return urlsplit(origin).netloc == headers.get("host", "")
    except ValueError:
        return False


class Preflights:
    """Middleware that refuses preflights of pages of other origins (403), but for ``allowed``."""

    def __init__(self, app: ASGIApp, allowed: frozenset[str]) -> None:
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "http" and scope["method"] == "OPTIONS":
            headers = Headers(scope=scope)
            asked = "access-control-request-method" in headers
            if asked and not {"*", headers.get("origin", "").lower()} & self._allowed:
                await problem(403, None, _FOREIGN)(scope, receive, send)
                return
        await self._app(scope, receive, send)

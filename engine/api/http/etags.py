"""ETags of JSON and of embeddings: 304 where the sender has them (RFC 9110, section 13)."""

from __future__ import annotations

import hashlib
from typing import Annotated

from fastapi import Header, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

IfNoneMatch = Annotated[
    str | None, Header(max_length=1000, description="ETags that the sender has already.")
]
TAGGED = ("application/json", "application/x-npy")
"""Media types of answers whose ETag is their hash."""
KEEP = {"cache-control": "private, no-cache"}
"""Browsers may keep it, but have to ask whether it is still so: it may be erased."""


def is_known(if_none_match: str | None, etag: str) -> bool:
    """Whether the sender has what is under this ETag."""
    known = [one.strip().removeprefix("W/") for one in (if_none_match or "").split(",")]
    return "*" in known or etag.removeprefix("W/") in known


def unchanged(etag: str) -> Response:
    """The answer to a sender who has it; what it had may have been compressed."""
    return Response(status_code=304, headers={"etag": etag, "vary": "Accept-Encoding", **KEEP})


class Tagged:
    """Middleware that gives answers to GET of the types ``TAGGED`` their hash as ETag, and answers
    304 to senders who have it already."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        begun: Message | None = None

        async def tagged(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start" and _is_tagged(message):
                begun = message  # until its content is known
                return
            if begun is not None:
                start, begun = begun, None
                if not message.get("more_body"):
                    # Weak, for it may be compressed.
                    etag = f'W/"{hashlib.sha256(message["body"]).hexdigest()[:32]}"'
                    if is_known(Headers(scope=scope).get("if-none-match"), etag):
                        await unchanged(etag)(scope, receive, send)
                        return
                    MutableHeaders(scope=start).update({"etag": etag, **KEEP})
                await send(start)
            await send(message)

        await self._app(scope, receive, tagged)


def _is_tagged(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    return (
        start["status"] == 200 and "etag" not in headers and headers.get("content-type") in TAGGED
    )

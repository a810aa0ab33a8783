"""ETags: If-None-Match, and 304 where the sender has the answer (RFC 9110, section 13)."""

from __future__ import annotations

import hashlib
from typing import Annotated

from fastapi import Header, Response

IfNoneMatch = Annotated[
    str | None, Header(max_length=1000, description="ETags that the sender has already.")
]
KEEP = {"cache-control": "private, no-cache"}
"""Browsers may keep it, but have to ask whether it is still so: it may be erased."""


def is_known(if_none_match: str | None, etag: str) -> bool:
    """Whether the sender has what is under this ETag."""
    known = [one.strip().removeprefix("W/") for one in (if_none_match or "").split(",")]
    return "*" in known or etag.removeprefix("W/") in known


def unchanged(etag: str) -> Response:
    """The answer to a sender who has it."""
    return Response(status_code=304, headers={"etag": etag, **KEEP})


def unless_known(content: bytes, media_type: str, if_none_match: str | None) -> Response:
    """The content under its hash as ETag, or 304."""
    etag = f'W/"{hashlib.sha256(content).hexdigest()[:32]}"'  # weak: it may be compressed
    if is_known(if_none_match, etag):
        return unchanged(etag)
    return Response(content, media_type=media_type, headers={"etag": etag, **KEEP})

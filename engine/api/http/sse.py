"""Server-sent events (WHATWG HTML, section 9.2): their text, their response, their document."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from fastapi.responses import StreamingResponse

BEAT_S = 15.0
"""Seconds between signs of life, for proxies."""
BEAT = ": still there\n\n"
"""A sign of life."""


def event(name: str, data: str, id_: str | None = None) -> str:
    """An event with data of one line."""
    head = "" if id_ is None else f"id: {id_}\n"
    return f"{head}event: {name}\ndata: {data}\n\n"


def stream(events: AsyncIterator[str]) -> StreamingResponse:
    """The events as a response that no proxy keeps back."""
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


def events_of(about: str, *names: str) -> dict[int | str, dict[str, Any]]:
    """What a route answers that sends events of these names."""
    schema = {
        "type": "object",
        "properties": {
            "event": {"type": "string", "enum": list(names)},
            "data": {"type": "string", "contentMediaType": "application/json"},
        },
    }
    return {
        200: {
            "content": {"text/event-stream": {"schema": schema}},
            "description": f"Server-sent events. {about}",
        }
    }

"""Events of the archive: that something in it changed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.responses import StreamingResponse

from emotion_search.engine.api.http.access import Reader
from emotion_search.engine.api.http.deps import JobsDep, PulseDep
from emotion_search.engine.api.http.openapi import answers
from emotion_search.engine.api.http.sse import BEAT, BEAT_S, event, events_of, stream
from emotion_search.engine.service.jobs import Jobs, TooBusyError
from emotion_search.engine.service.pulse import Pulse

router = APIRouter(prefix="/v1", tags=["archive"])

_MOST_LISTENERS = 200
_POLL_S = 1.0  # between checks whether the server ends
_LONGEST_S = 600.0  # after which a listener asks again, with a key that is in force then


@router.get(
    "/events",
    summary="Follow the archive",
    response_class=StreamingResponse,
    responses={
        **events_of(
            "An `archive` event has `revision`, a text that is another one whenever recordings,"
            " clips, labels, predictions or the space changed, by whomever; the first comes"
            " at once, unless `Last-Event-ID` has it. `bye` ends it, after ten minutes or where the"
            " server ends: follow it again.",
            "archive",
            "bye",
        ),
        **answers(429),
    },
)
async def follow(
    request: Request,
    jobs: JobsDep,
    pulse: PulseDep,
    _: Reader,
    last_event_id: Annotated[
        str | None, Header(description="`id` of the last event that was received.")
    ] = None,
) -> StreamingResponse:
    """Server-sent events: the archive's revision each time that it changes, within a second."""
    if pulse.listeners >= _MOST_LISTENERS:
        raise TooBusyError("too many follow the archive at once; ask now and then instead")
    once = request.scope.get("is_head", False)
    return stream(_events(jobs, pulse, last_event_id, 0.0 if once else _LONGEST_S))


async def _events(
    jobs: Jobs, pulse: Pulse, known: str | None, seconds: float
) -> AsyncIterator[str]:
    quiet = 0.0
    async with pulse:
        while seconds > 0 and not jobs.stopping:
            now = await pulse.other_than(known, patience=_POLL_S)
            seconds, quiet = seconds - _POLL_S, quiet + _POLL_S
            if now not in (None, known):
                known, quiet = now, 0.0
                yield event("archive", json.dumps({"revision": now}), now)
            elif quiet >= BEAT_S:
                quiet = 0.0
                yield BEAT
    yield event("bye", json.dumps({"revision": known}))

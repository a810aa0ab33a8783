"""Problem details (RFC 9457): every error translated into one, in this one place."""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from typing import Any

from anyio import to_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match

from emotion_search.engine.files.scan import printable
from emotion_search.engine.service.jobs import EndingError, KeyReusedError, TooBusyError
from emotion_search.engine.service.work import QuarantinedError
from emotion_search.index.database.jobs import NotRetryableError
from emotion_search.index.errors import (
    DOUBTFUL,
    AbsentError,
    AudioError,
    BusyError,
    ConflictError,
    DatabaseBusyError,
    DatabaseError,
    EmotionSearchError,
    EngineError,
    ForgottenError,
    InvalidInputError,
    ModelMismatchError,
    ModelUnavailableError,
    NotFoundError,
    StorageError,
    StorageFullError,
)

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
PREFIX = "urn:emotion-search:problem:"
RETRY_S = 2
"""Seconds after which one who was refused may try again."""

_KINDS: dict[type[EmotionSearchError], tuple[int, str]] = {
    NotFoundError: (404, "not-found"),
    AbsentError: (404, "not-found"),
    NotRetryableError: (409, "not-retryable"),
    ConflictError: (409, "conflict"),
    InvalidInputError: (422, "invalid-input"),
    ForgottenError: (409, "forgotten"),
    AudioError: (422, "unusable-audio"),
    ModelMismatchError: (409, "model-mismatch"),
    ModelUnavailableError: (503, "model-unavailable"),
    BusyError: (503, "busy"),
    EngineError: (503, "engine-unavailable"),
    DatabaseBusyError: (503, "database-busy"),
    DatabaseError: (503, "database-unavailable"),
    StorageError: (503, "storage-unavailable"),
    StorageFullError: (507, "storage-full"),
    QuarantinedError: (500, "quarantined"),
    EndingError: (503, "ending"),
    TooBusyError: (429, "too-busy"),
    KeyReusedError: (422, "idempotency-key-reused"),
}
_STATUSES = {
    400: "bad-request",
    401: "unauthorized",
    403: "forbidden",
    404: "no-such-route",
    405: "method-not-allowed",
    408: "timeout",
    413: "too-large",
    415: "unsupported-media-type",
    416: "range-not-satisfiable",
    429: "too-busy",
}
_PLAIN_DETAILS = {  # their messages name files of the server
    "database-busy": "another writer holds the database; try again",
    "database-unavailable": "the database cannot be used; the server's log tells why",
    "engine-unavailable": "the engine that names candidates fails; the server's log tells why",
    "storage-unavailable": "the bucket of uploads cannot be used; the server's log tells why",
    "storage-full": "the server has no space left; nothing half-written was kept",
}
_INVALID = "invalid-request"
_ALL = {*_KINDS.values(), *_STATUSES.items(), (422, _INVALID), (500, "unexpected")}
KINDS = sorted({kind for _, kind in _ALL})
"""Ends of all types that there are."""


def kinds_of(status: int) -> list[str]:
    """Ends of the types of problems with this status."""
    return sorted(kind for one, kind in _ALL if one == status)


_PATH = re.compile(r"(?<![\w:/.~-])(?:~?/|[A-Za-z]:\\)(?:[^:;,'\"()<>\n]*[/\\])?([^\s:;,'\"()<>]*)")


_OPTION = re.compile(r"(?<![\w-])--(?!model\b)([a-z][a-z-]*)")  # whose model is the server's
_ROUTES = {
    "ingest": "POST /v1/recordings",
    "label": "PUT /v1/clips/CLIP/labels/TASK",
    "suggest": "GET /v1/suggestions",
    "train": "POST /v1/jobs with kind train",
    "classifiers": "GET /v1/classifiers",
    "cluster": "GET /v1/clusterings",
    "reembed": "POST /v1/jobs with kind reembed",
}
"""By command that a message names as the cure: the route that does the same."""
_COMMAND = re.compile(
    rf"emotion-search ({'|'.join(_ROUTES)})(?: FOLDER| --list| --task [^;]*)?(?=$|[;,)]| [a-z])"
)


def problem(
    status: int, kind: str | None, detail: str, headers: dict[str, str] | None = None, **more: Any
) -> JSONResponse:
    """A problem response; ``kind`` is the stable end of its type, None for that of the status."""
    if status in (429, 503):
        headers = {"retry-after": str(RETRY_S), **(headers or {})}
    content = body(status, kind, detail, **more)
    return JSONResponse(content, status, headers=headers, media_type=MEDIA_TYPE)


def body(status: int, kind: str | None, detail: str, **more: Any) -> dict[str, Any]:
    """A problem as plain data."""
    kind = kind or _STATUSES.get(status)
    return {
        "type": f"{PREFIX}{kind}" if kind else "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **more,
    }


def explain(error: Exception) -> dict[str, Any]:
    """An error as ``status``, ``kind`` and ``detail`` of a problem; no path of the server."""
    if isinstance(error, RequestValidationError):
        return {"status": 422, "kind": _INVALID, **faults(error)}
    if isinstance(error, HTTPException):
        return {"status": error.status_code, "kind": None, "detail": str(error.detail)}
    if not isinstance(error, EmotionSearchError):
        return {
            "status": 500,
            "kind": "unexpected",
            "detail": "an unexpected error; the server's log tells more",
        }
    for cls in type(error).__mro__:
        if cls in _KINDS:
            status, kind = _KINDS[cls]
            detail = _PLAIN_DETAILS.get(kind)
            if detail is not None:
                log.warning("%s", error)
            return {"status": status, "kind": kind, "detail": detail or answered(str(error))}
    return {"status": 500, "kind": "unexpected", "detail": answered(str(error))}


def without_paths(text: str) -> str:
    """``text`` with the last part alone of every absolute path in it."""
    return _PATH.sub(r"\1", text)


def answered(text: str) -> str:
    """``text`` without paths of the server, with routes in place of commands that have one and
    with fields in place of options of the command line that are not of a command in it."""
    routed = _COMMAND.sub(lambda one: _ROUTES[one[1]], without_paths(text))
    ours, command, rest = routed.partition("emotion-search ")
    return _OPTION.sub(lambda one: one[1].replace("-", "_"), ours) + command + rest


def install(app: FastAPI) -> None:
    """Make ``app`` answer every error with a problem."""

    @app.exception_handler(EmotionSearchError)
    @app.exception_handler(RequestValidationError)
    async def explained(_: Request, error: Exception) -> JSONResponse:
        return problem(**explain(error))

    async def doubtful(request: Request, error: Exception) -> JSONResponse:
        database = request.app.state.library.database
        if (damage := await to_thread.run_sync(database.damage_behind, error)) is None:
            raise error
        return problem(**explain(damage))

    for kind in DOUBTFUL:
        app.add_exception_handler(kind, doubtful)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers) if error.headers else None
        if error.status_code == 405:
            headers = {"allow": ", ".join(_allowed(app.state.routes, request))}
        return problem(error.status_code, None, str(error.detail), headers)


def _allowed(routes: list[BaseRoute], request: Request) -> list[str]:
    """Methods of all routes that have the request's path."""
    there: set[str] = set()
    for route in routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            there |= getattr(route, "methods", None) or set()
    return sorted(there | ({"HEAD"} if "GET" in there else set()))


def faults(error: RequestValidationError) -> dict[str, Any]:
    """``detail`` and ``errors`` of a request that does not fit."""
    errors = [
        {
            "where": printable(".".join(str(part) for part in one["loc"]))[:500],
            "message": answered(printable(one["msg"].removeprefix("Value error, ")))[:500],
        }
        for one in error.errors()[:20]
    ]
    return {"detail": "; ".join(f"{e['where']}: {e['message']}" for e in errors), "errors": errors}

"""Errors as RFC 9457 problem details, translated in this one place."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from engine.scan import printable
from index.errors import (
    AudioError,
    DatabaseBusyError,
    DatabaseError,
    EmotionSearchError,
    InvalidInputError,
    ModelMismatchError,
    ModelUnavailableError,
    NotFoundError,
    StorageFullError,
)

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

_KINDS: dict[type[EmotionSearchError], tuple[int, str]] = {
    NotFoundError: (404, "not-found"),
    InvalidInputError: (422, "invalid-input"),
    AudioError: (422, "unusable-audio"),
    ModelMismatchError: (409, "model-mismatch"),
    ModelUnavailableError: (503, "model-unavailable"),
    DatabaseBusyError: (503, "database-busy"),
    DatabaseError: (503, "database-unavailable"),
    StorageFullError: (507, "storage-full"),
}


def problem(
    status: int, kind: str | None, detail: str, headers: dict[str, str] | None = None, **more: Any
) -> JSONResponse:
    """A problem response; ``kind`` is the stable end of its type, None for plain HTTP statuses."""
    body = {
        "type": f"urn:emotion-search:problem:{kind}" if kind else "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **more,
    }
    return JSONResponse(body, status, headers=headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make ``app`` answer every error with a problem."""

    @app.exception_handler(EmotionSearchError)
    def ours(_: Request, error: EmotionSearchError) -> JSONResponse:
        for cls in type(error).__mro__:
            if cls in _KINDS:
                status, kind = _KINDS[cls]
                return problem(status, kind, str(error))
        return problem(500, "failed", str(error))

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        errors = [
            {"where": printable(".".join(str(part) for part in one["loc"])), "message": one["msg"]}
            for one in error.errors()
        ]
        detail = "; ".join(f"{one['where']}: {one['message']}" for one in errors)
        return problem(422, "invalid-request", detail, errors=errors)

    @app.exception_handler(HTTPException)
    def http(_: Request, error: HTTPException) -> JSONResponse:
        kind = "too-large" if error.status_code == 413 else None
        headers = dict(error.headers) if error.headers else None
        return problem(error.status_code, kind, str(error.detail), headers)

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return problem(500, "unexpected", "an unexpected error; the server's log tells more")

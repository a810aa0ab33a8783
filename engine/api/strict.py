"""Parameters that no document knows are refused: a mistyped one would else do something else."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError


async def only_known(request: Request) -> None:
    """A dependency that refuses query parameters that the route's operation has not.

    Raises:
        RequestValidationError: names them.
    """
    if not request.url.query:
        return
    path: str = request.scope["route"].path_format
    operation: dict[str, Any] = request.app.openapi()["paths"][path][request.method.lower()]
    known = {one["name"] for one in operation.get("parameters", []) if one["in"] == "query"}
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        raise RequestValidationError(
            [{"loc": ("query", name), "msg": "Extra inputs are not permitted"} for name in unknown]
        )

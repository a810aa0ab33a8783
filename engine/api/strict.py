"""Parameters that no document knows are refused: a mistyped one would else do something else."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError


def require_known(request: Request) -> None:
    """Refuse query parameters that the route's operation has not.

    Raises:
        RequestValidationError: names them.
    """
    if not request.url.query:
        return
    path: str = request.scope["route"].path_format
    operations: dict[str, Any] = request.app.openapi()["paths"].get(path, {})
    if (operation := operations.get(request.method.lower())) is None:
        return  # a page's own
    known = {one["name"] for one in operation.get("parameters", []) if one["in"] == "query"}
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        raise RequestValidationError(
            [{"loc": ("query", name), "msg": "Extra inputs are not permitted"} for name in unknown]
        )

"""Refusal of unknown query parameters, so that a mistyped one is not passed over."""

from __future__ import annotations

from inspect import isclass

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel


def require_known(request: Request) -> None:
    """Refuse query parameters that the request's route has not.

    Raises:
        RequestValidationError: names them.
    """
    if not request.url.query:
        return
    known = query_names(request.scope["route"])
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        raise RequestValidationError(
            [{"loc": ("query", name), "msg": "Extra inputs are not permitted"} for name in unknown]
        )


def query_names(route: APIRoute) -> frozenset[str]:
    """The names of a route's query parameters, those of its models and dependencies among them."""
    return frozenset(_names(route.dependant))


def _names(dependant: Dependant) -> set[str]:
    names: set[str] = set()
    for field in dependant.query_params:
        kind = field.field_info.annotation
        if isclass(kind) and issubclass(kind, BaseModel):
            names |= kind.model_fields.keys()
        else:
            names.add(field.alias)
    return names.union(*map(_names, dependant.dependencies))

"""The OpenAPI document: request bodies, problems, and headers of all answers."""

from __future__ import annotations

import json as json_text
import re
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from emotion_search.engine.api.http import problems
from emotion_search.engine.api.http.etags import TAGGED

_REFERENCE = "#/components/schemas/{model}"
_ATTRIBUTE = re.compile(r"^    ([\w, ]+): (.*?)(?=\n    \w|\Z)", re.DOTALL | re.MULTILINE)
_SCHEMAS = "x-schemas"  # of a body, until they are moved to where the document has them


def json_or_form(
    json: type[BaseModel] | None = None, form: type[BaseModel] | None = None
) -> dict[str, Any]:
    """A request body that is JSON of a model, a form of a model, or either."""
    content: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for media, model in (("application/json", json), ("multipart/form-data", form)):
        if model is not None:
            schema = model.model_json_schema(ref_template=_REFERENCE)
            if model is form:
                for field in schema["properties"].values():
                    _as_in_a_form(field)
            several = {**schema.pop("$defs", {}), model.__name__: schema}
            for one in several.values():
                for field in one.get("properties", {}).values():
                    _without_default(field)
            schemas |= several
            content[media] = {"schema": {"$ref": _REFERENCE.format(model=model.__name__)}}
    return {"required": True, "content": content, _SCHEMAS: schemas}


def _as_in_a_form(field: dict[str, Any]) -> None:
    """A field of a form, where nothing is null and a list is a part for each of its values."""
    if "anyOf" in field:
        (given,) = (one for one in field.pop("anyOf") if one != {"type": "null"})
        field |= given
        if field.get("default", 0) is None:
            field.pop("default")
    if "contentSchema" in field:  # JSON, which a form's part is by itself where it is an object
        about = field["description"]
        model = field.pop("contentSchema")
        field.clear()
        field |= {**model, "description": about}
    if field.get("type") == "array":
        field["description"] = f"{field.get('description', '')} A part for each."


def _without_default(field: dict[str, Any]) -> None:
    """Tell the default in words: clients are generated with fields of a default as required."""
    default = field.pop("default", None)
    if default not in (None, []):
        field["description"] += f" By default `{json_text.dumps(default)}`."


def install(app: FastAPI) -> None:
    """Give ``app`` its document."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


_MEANINGS = {
    400: "The request cannot be read: no JSON, no form, too many files or fields.",
    401: "No key in force was sent.",
    403: "The key's scope does not suffice, or the page is of another origin.",
    404: "There is no such thing, or the archive is empty.",
    408: "The body did not arrive in time.",
    409: "It does not fit the state of things: another model, an erased file, a job that"
    " is not to be retried, a name that is taken.",
    413: "The request is too large.",
    415: "The body is of another media type.",
    416: "The range begins beyond the end.",
    422: "A field is missing, unknown or out of range (`invalid-request`, with `errors`); together"
    " they make no sense, or a part of the form is missing (`invalid-input`); the audio cannot be"
    " used (`unusable-audio`); the idempotency key was sent before with something else.",
    429: "Too much waits already; `Retry-After` says when to try again.",
    500: "An unexpected error; the server's log tells more.",
    503: "The model or the database cannot be used now.",
    507: "The server has no space left; nothing half-written was kept.",
}
_ALWAYS = (401, 403, 500, 503)
_WITH_INPUT = (422,)
_WITH_BODY = (400, 404, 408, 413, 415, 507)
_WITH_EXAMPLES = (409, 429)  # of routes that are asked with audio, or that search
BINARY = {"schema": {"type": "string", "format": "binary"}}
"""Content that is bytes."""

_HEADERS = {
    "X-Request-ID": "That of the request, or one made for it; the server's log has it too.",
    "Retry-After": "Seconds to wait.",
    "Idempotent-Replayed": "`true` where the Idempotency-Key was sent before.",
    "WWW-Authenticate": "`Bearer`.",
    "ETag": "Changes when the content does; send it as `If-None-Match`.",
    "Accept-Ranges": "`bytes`.",
    "Content-Range": "Which bytes these are, and of how many.",
    "Location": "The job, or once it is taken in, the recording.",
}


_SENT = {
    "X-Request-ID": "An id of your own, which the answer and the server's log have then, too.",
    "If-None-Match": "ETags that the sender has already.",
}
UNCHANGED: dict[int | str, dict[str, Any]] = {
    304: {
        "description": "The sender has it already.",
        "headers": {"ETag": {"$ref": "#/components/headers/ETag"}},
    }
}
"""What a route may answer that heeds ``If-None-Match``."""


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Responses of a route that may also answer with these problems."""
    return {one: {"$ref": f"#/components/responses/Problem{one}"} for one in statuses}


def _header(name: str) -> dict[str, Any]:
    """A header of a request, as a parameter."""
    return {"name": name, "in": "header", "description": _SENT[name], "schema": {"type": "string"}}


def headers(*names: str) -> dict[str, Any]:
    """Headers of a response, by their names."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        routes=app.routes,
        tags=app.openapi_tags,
        servers=[{"url": "/", "description": "The server that this document is from."}],
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    kinds = ", ".join(f"`{kind}`" for kind in problems.KINDS)
    schemas["Problem"]["properties"]["type"]["description"] = (
        f"Stable; what programs look at: `{problems.PREFIX}` and one of {kinds}."
    )
    for methods in document["paths"].values():
        for operation in methods.values():
            schemas.update(operation.get("requestBody", {}).pop(_SCHEMAS, {}))
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for schema in schemas.values():
        _describe_fields(schema)
    content = {problems.MEDIA_TYPE: {"schema": {"$ref": _REFERENCE.format(model="Problem")}}}
    components["headers"] = {
        name: {
            "description": about,
            "schema": {"type": "integer" if name == "Retry-After" else "string"},
        }
        for name, about in _HEADERS.items()
    }
    more = {401: ["WWW-Authenticate"], 416: ["Content-Range"]}
    more |= {busy: ["Retry-After"] for busy in (429, 503)}
    components["responses"] = {
        f"Problem{status}": {
            "description": f"{about} Ends of `type`: {_ends(status)}.",
            "content": content,
            "headers": headers("X-Request-ID", *more.get(status, [])),
        }
        for status, about in _MEANINGS.items()
    }
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            _complete(method, path, operation)
    return document


def _describe_fields(schema: dict[str, Any]) -> None:
    """Give each field of a dataclass what its docstring has of it under ``Attributes``."""
    about = schema.get("description", "").replace("``", "`").replace("None", "null")
    about, _, fields = about.partition("\n\nAttributes:\n")
    if fields:
        schema["description"] = about
    for names, text in _ATTRIBUTE.findall(fields):
        sentence = " ".join(text.split())
        for name in names.split(", "):
            schema["properties"][name]["description"] = sentence[0].upper() + sentence[1:]


def _ends(status: int) -> str:
    return ", ".join(f"`{kind}`" for kind in problems.kinds_of(status))


def _complete(method: str, path: str, operation: dict[str, Any]) -> None:
    """Add the problems that every route of its kind may answer with, and the headers of all."""
    responses = operation["responses"]
    operation.setdefault("security", [])  # of a route that needs no key
    statuses = {500}
    if path.startswith("/v1") or path == "/metrics":
        statuses |= {*_ALWAYS}
    if path == "/readyz":
        statuses |= {503}
    if operation.get("parameters") or "requestBody" in operation:
        statuses |= {*_WITH_INPUT}
    if "{" in path:
        statuses.add(404)
    if len(operation.get("requestBody", {}).get("content", ())) > 1:
        # openapi-python-client forgets an import where bodies differ and nothing else is optional.
        operation.setdefault("parameters", []).append(_header("X-Request-ID"))
    if "requestBody" in operation:
        statuses |= {*_WITH_BODY}
        if method == "post":
            statuses |= {*_WITH_EXAMPLES}
    if method == "delete":
        statuses.add(507)
    for status in sorted(statuses):
        there = responses.get(str(status))
        if there is None or "HTTPValidationError" in str(there):
            responses[str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
    if method == "get" and {*TAGGED} & responses["200"].get("content", {}).keys():
        responses["200"]["headers"] = headers("ETag") | responses["200"].get("headers", {})
        responses["304"] = UNCHANGED[304]
        if not any(one["name"] == "if-none-match" for one in operation.get("parameters", [])):
            operation.setdefault("parameters", []).append(_header("If-None-Match"))
    for answer in responses.values():
        if "$ref" not in answer:
            answer["headers"] = {**headers("X-Request-ID"), **answer.get("headers", {})}
    operation["responses"] = dict(sorted(responses.items()))

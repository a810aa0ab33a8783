"""Request bodies, JSON and multipart forms, as pydantic models, with limits.

Routes read them by these functions rather than have FastAPI read them: FastAPI reads a body before
it looks at the key, and without limits.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_origin

from fastapi import Request, UploadFile
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, BeforeValidator, ValidationError, WithJsonSchema
from starlette.datastructures import FormData
from starlette.datastructures import UploadFile as Upload
from starlette.exceptions import HTTPException

from emotion_search.engine.api.http.deps import in_thread
from emotion_search.engine.files.disk import space_needed
from emotion_search.index.errors import InvalidInputError

T = TypeVar("T", bound=BaseModel)

LARGEST_JSON = 4_000_000
"""Bytes of JSON that are read."""
MOST_FILES = 16
"""Most files of a form that takes several."""

_LARGE_JSON = 50_000  # bytes that are worth a thread
_MOST_FIELDS = 200


def _is_file(given: Any) -> Any:
    if not isinstance(given, Upload):
        raise ValueError("must be a file, sent with a file name")
    return given


class Asked(BaseModel, extra="forbid", allow_inf_nan=False):
    """What is asked in a body, a form or a query; unknown fields are refused."""


File = Annotated[
    UploadFile, BeforeValidator(_is_file), WithJsonSchema({"type": "string", "format": "binary"})
]
"""A field of a form that is a file."""


def media_type(request: Request) -> str:
    """The request's content type without parameters."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


async def json_body(request: Request, model: type[T]) -> T:
    """The request's body, which is JSON, as ``model``.

    Raises:
        HTTPException: 400 not JSON, 413 too large, 415 of another media type.
        RequestValidationError: it does not fit.
    """
    if media_type(request) != "application/json":
        raise HTTPException(415, f"send application/json with '{next(iter(model.model_fields))}'")
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > LARGEST_JSON:
            raise HTTPException(413, f"a JSON body may have {LARGEST_JSON} bytes at most")
    if size < _LARGE_JSON:
        return _parsed(b"".join(parts), model)
    return await in_thread(_parsed, b"".join(parts), model)


def _parsed(content: bytes, model: type[T]) -> T:
    try:
        data = json.loads(content, parse_float=_number)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"the body is not JSON ({error})") from error
    return validated(model, data, strict=True)


def _number(text: str) -> int | float:
    """7.0 is an integer in JSON Schema."""
    number = float(text)
    return int(number) if number.is_integer() and abs(number) < 2**63 else number


@asynccontextmanager
async def form_body(request: Request, model: type[T], *, files: int = 1) -> AsyncIterator[T]:
    """The request's form as ``model``; a field that is a list has a part for each value.

    Args:
        files: how many it may have at most.

    Raises:
        HTTPException: 400 not a form, or more files or fields than are taken; 415 of another media
            type.
        InvalidInputError: several parts where one is taken, or no file where one is needed.
        RequestValidationError: it does not fit.
        StorageFullError: no space is left for it.
    """
    if media_type(request) != "multipart/form-data":
        raise HTTPException(415, "send multipart/form-data with a part 'file'")
    with space_needed(Path(tempfile.gettempdir())):
        form = await request.form(max_files=files, max_fields=_MOST_FIELDS)
    try:
        yield validated(model, _fields(form, model))
    finally:
        await form.close()


def _fields(form: FormData, model: type[BaseModel]) -> dict[str, Any]:
    file = model.model_fields["file"]
    if file.is_required() and "file" not in form:
        raise InvalidInputError("the form needs a part 'file' with an audio file")
    fields: dict[str, Any] = {}
    for name in form:
        values = form.getlist(name)
        field = model.model_fields.get(name)
        if field is not None and get_origin(field.annotation) is list:
            fields[name] = values
        elif len(values) == 1:
            fields[name] = values[0]
        else:
            raise InvalidInputError(f"the form has several parts '{name}', of which one is taken")
    return fields


def validated(model: type[T], data: Any, *, strict: bool = False) -> T:
    """``data`` as ``model``.

    Raises:
        RequestValidationError: it does not fit.
    """
    try:
        return model.model_validate(data, strict=strict)
    except ValidationError as error:
        raise RequestValidationError(
            [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
        ) from error


@contextmanager
def spooled(upload: Upload) -> Iterator[Path]:
    """The upload as a temporary file; its name is ours."""
    with tempfile.TemporaryDirectory(prefix="emotion-search-") as folder:
        path = Path(folder, "upload")
        with space_needed(path.parent), path.open("wb") as file:
            shutil.copyfileobj(upload.file, file)
        yield path


def display_name(upload: Upload) -> str:
    """What the sender calls the file: the last part of its name, fit for display."""
    name = (upload.filename or "").replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(filter(str.isprintable, name)).strip()[:200] or "upload"

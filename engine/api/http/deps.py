"""What routes depend on."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from emotion_search.engine.api.http.gates import Gate
from emotion_search.engine.files.disk import space_needed
from emotion_search.engine.library.library import Library
from emotion_search.engine.service.jobs import Jobs
from emotion_search.index.errors import InvalidInputError

T = TypeVar("T", bound=BaseModel)

LARGEST_JSON = 4_000_000
"""Bytes of JSON that are read."""

_LARGE_JSON = 50_000  # bytes that are worth a thread
_MOST_FIELDS = 200
_FEW, _MANY = 4, 1000
_WORKERS, _MOST_WAITING = 8, 64  # requests of a kind that are worked on, and that wait


async def get_library(request: Request) -> Library:
    """The archive that the app serves; like all of these no work for a thread."""
    library = request.app.state.library
    assert isinstance(library, Library)
    return library


LibraryDep = Annotated[Library, Depends(get_library)]


async def get_jobs(request: Request) -> Jobs:
    """The jobs of the archive."""
    jobs = request.app.state.jobs
    assert isinstance(jobs, Jobs)
    return jobs


JobsDep = Annotated[Jobs, Depends(get_jobs)]


@dataclass(frozen=True)
class Gates:
    """Where requests of each kind wait for their turn."""

    queries: Gate
    uploads: Gate
    pictures: Gate
    signs: Gate
    arriving: Gate

    @classmethod
    def usual(cls) -> Gates:
        """The gates of a service."""
        workers, most = _WORKERS, _MOST_WAITING
        return cls(
            queries=Gate("searches", workers=workers, most=most),
            uploads=Gate("uploads", workers=workers, most=most),
            # Maps, trends, audio: seconds of work, of which lists and searches must not notice.
            pictures=Gate("maps, trends and stretches of audio", workers=_FEW, most=most),
            # Keys, signs of life: nothing else may keep them waiting.
            signs=Gate("signs of life", workers=_FEW, most=_MANY),
            arriving=Gate("uploads on their way", workers=2 * (workers + most), most=0),
        )

    def __iter__(self) -> Iterator[Gate]:
        return iter((self.queries, self.uploads, self.pictures, self.signs, self.arriving))


async def get_gates(request: Request) -> Gates:
    """The gates of the service."""
    gates = request.app.state.gates
    assert isinstance(gates, Gates)
    return gates


GatesDep = Annotated[Gates, Depends(get_gates)]


def media_type(request: Request) -> str:
    """The request's content type without parameters."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


async def json_body(request: Request, model: type[T]) -> T:
    """The request's body, which is JSON, as ``model``.

    Raises:
        HTTPException: 400 not JSON, 413 too large.
        RequestValidationError: it does not fit.
    """
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
        told = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"the body is not JSON ({error})") from error
    return validated(model, told)


@asynccontextmanager
async def upload_form(request: Request, most: int = 1) -> AsyncIterator[FormData]:
    """The request's form, with up to ``most`` files.

    Raises:
        HTTPException: 400 not a form, or more files or fields than are taken.
        StorageFullError: no space is left for it.
    """
    with space_needed(Path(tempfile.gettempdir())):
        form = await request.form(max_files=most, max_fields=_MOST_FIELDS)
    try:
        yield form
    finally:
        await form.close()


def files_of(form: FormData, name: str) -> list[UploadFile]:
    """The form's files of this name.

    Raises:
        InvalidInputError: a part of this name is no file.
    """
    found = form.getlist(name)
    if not all(isinstance(one, UploadFile) for one in found):
        raise InvalidInputError(f"the part '{name}' must be a file, sent with a file name")
    return [one for one in found if isinstance(one, UploadFile)]


def form_fields(
    form: FormData, lists: frozenset[str], files: frozenset[str] = frozenset({"file"})
) -> dict[str, Any]:
    """The form's text fields, without ``files``; those named in ``lists`` with all values.

    Raises:
        InvalidInputError: another has several.
    """
    for key in form.keys() - lists - files:
        if len(form.getlist(key)) > 1:
            raise InvalidInputError(f"the form has several parts '{key}', of which one is taken")
    return {
        key: form.getlist(key) if key in lists else form[key] for key in form if key not in files
    }


def validated(model: type[T], data: Any) -> T:
    """``data`` as ``model``.

    Raises:
        RequestValidationError: it does not fit.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise RequestValidationError(
            [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
        ) from error


@contextmanager
def spooled(upload: UploadFile) -> Iterator[Path]:
    """The upload as a temporary file; its name is ours."""
    with tempfile.TemporaryDirectory(prefix="emotion-search-") as folder:
        path = Path(folder, "upload")
        with space_needed(path.parent), path.open("wb") as file:
            shutil.copyfileobj(upload.file, file)
        yield path


def display_name(upload: UploadFile) -> str:
    """What the sender calls the file: the last part of its name, fit for display."""
    name = (upload.filename or "").replace("\\", "/").rsplit("/", 1)[-1]
    shown = "".join(c for c in name if c.isprintable() and not "\ud800" <= c <= "\udfff")
    return shown.strip()[:200] or "upload"


in_thread = run_in_threadpool
"""Runs blocking work off the event loop."""

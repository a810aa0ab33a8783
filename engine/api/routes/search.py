"""Query by example."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException

from engine.api.deps import (
    LibraryDep,
    display_name,
    form_fields,
    in_thread,
    json_body,
    media_type,
    spooled,
    upload_form,
    validated,
)
from engine.api.models import ClipSearch, SearchOptions, SearchOut, hit_out
from engine.library import Library
from index.errors import AudioError

router = APIRouter(prefix="/v1", tags=["search"])

_LISTS = frozenset({"source", "label", "speaker", "channel", "metadata", "predicted", "cluster"})


def _bodies() -> dict[str, Any]:
    """The two kinds of body, for the OpenAPI document."""
    upload = SearchOptions.model_json_schema()
    upload["properties"] = {
        "file": {"type": "string", "format": "binary", "description": "An audio file."},
        **upload["properties"],
    }
    upload |= {"required": ["file"], "title": "UploadSearch"}
    return {
        "required": True,
        "content": {
            "application/json": {"schema": ClipSearch.model_json_schema()},
            "multipart/form-data": {"schema": upload},
        },
    }


@router.post(
    "/search",
    summary="Find clips that sound like an example",
    openapi_extra={"requestBody": _bodies()},
)
async def search(request: Request, library: LibraryDep) -> SearchOut:
    """The example is a clip of the archive (JSON) or an uploaded audio file (a form).

    The example's own clips are never hits; neither is kept. A filter that nothing passes gives an
    empty list.
    """
    kind = media_type(request)
    if kind == "application/json":
        asked = validated(ClipSearch, await json_body(request))
        return await in_thread(_by_clip, library, asked)
    if kind == "multipart/form-data":
        async with upload_form(request) as (form, file):
            options = validated(SearchOptions, form_fields(form, _LISTS))
            return await in_thread(_by_upload, library, options, file)
    raise HTTPException(
        415, "send application/json with a clip, or multipart/form-data with a file"
    )


def _by_clip(library: Library, asked: ClipSearch) -> SearchOut:
    return _answer(library, asked.clip, asked)


def _by_upload(library: Library, options: SearchOptions, file: Any) -> SearchOut:
    with spooled(file) as path:
        try:
            return _answer(library, path, options)
        except AudioError as error:
            raise AudioError(str(error).replace(path.name, display_name(file), 1)) from error


def _answer(library: Library, example: Any, options: SearchOptions) -> SearchOut:
    hits = library.search(
        example,
        limit=options.limit,
        wanted=options.wanted(),
        exclude_same=options.exclude_same,
    )
    model = library.model()
    return SearchOut(hits=[hit_out(hit) for hit in hits], model=model.name if model else "")

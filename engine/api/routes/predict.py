"""What a model hears in a file that is not taken in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from emotion_search.engine.api.http.access import Reader
from emotion_search.engine.api.http.deps import (
    GatesDep,
    LibraryDep,
    display_name,
    files_of,
    form_fields,
    media_type,
    spooled,
    upload_form,
    validated,
)
from emotion_search.engine.api.http.openapi import form_body, json_or_form
from emotion_search.engine.api.wire.clips import model_name
from emotion_search.engine.api.wire.predict import PredictFields, PredictOut, part_fields
from emotion_search.engine.inference.parts import Granularity
from emotion_search.engine.library.library import Library
from emotion_search.index.errors import AudioError, InvalidInputError

router = APIRouter(prefix="/v1", tags=["predict"])

_UPLOAD = form_body(PredictFields, "UploadPredict", files={"file": "An audio file."})


@router.post(
    "/predict",
    summary="Hear which emotion is in a file",
    response_model=PredictOut,
    openapi_extra={"requestBody": json_or_form(form=_UPLOAD)},
)
async def predict(request: Request, library: LibraryDep, gates: GatesDep, _: Reader) -> Any:
    """The scores of the archive's model for an uploaded file (for an empty archive, of the model
    that it would get). The file is not kept."""
    if media_type(request) != "multipart/form-data":
        raise HTTPException(415, "send multipart/form-data with a part 'file'")
    gates.uploads.refuse_if_full()
    async with gates.arriving.entered(), upload_form(request) as form:
        files = files_of(form, "file")
        if not files:
            raise InvalidInputError("the form needs a part 'file' with an audio file")
        how = validated(PredictFields, form_fields(form, frozenset())).how()
        return await gates.uploads.run(_predicted, library, files[0], how)


def _predicted(library: Library, upload: UploadFile, how: Granularity) -> Response:
    """The answer, written here as of a search: ten minutes have thousands of frames."""
    name = display_name(upload)
    with spooled(upload) as path:
        *parts, whole = _said(library, path, name, how)
    told = {
        "file": name,
        "model": model_name(library.embedder().name),
        **part_fields(whole),
        "parts": [part_fields(part) for part in parts],
    }
    return Response(to_json(told), media_type="application/json")


def _said(library: Library, path: Path, name: str, how: Granularity) -> list[Any]:
    longest = library.settings.max_example_minutes * 60
    try:
        return list(library.predict(path, how, longest=longest))
    except AudioError as error:
        raise AudioError(f"{name} {error}") from error

"""Predictions of a model for a file that is not taken in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from emotion_search.engine.api.http.access import Reader
from emotion_search.engine.api.http.bodies import display_name, form_body, spooled
from emotion_search.engine.api.http.deps import GatesDep, LibraryDep
from emotion_search.engine.api.http.openapi import json_or_form
from emotion_search.engine.api.wire.clips import model_name
from emotion_search.engine.api.wire.predict import PredictOut, UploadPredict, part_fields
from emotion_search.engine.library.library import Library
from emotion_search.index.errors import AudioError

router = APIRouter(prefix="/v1", tags=["predict"])


@router.post(
    "/predict",
    summary="Predict which emotion is in a file",
    response_model=PredictOut,
    openapi_extra={"requestBody": json_or_form(form=UploadPredict)},
)
async def predict(request: Request, library: LibraryDep, gates: GatesDep, _: Reader) -> Any:
    """The scores of the archive's model for an uploaded file (for an empty archive, of the model
    that it would get). The file is not kept."""
    gates.uploads.refuse_if_full()
    async with gates.arriving.entered(), form_body(request, UploadPredict) as form:
        return await gates.uploads.run(_predicted, library, form)


def _predicted(library: Library, form: UploadPredict) -> Response:
    """The answer, written here as of a search: ten minutes have thousands of frames."""
    name = display_name(form.file)
    with spooled(form.file) as path:
        *parts, whole = _predictions(library, path, name, form)
    fields = {
        "file": name,
        "model": model_name(library.embedder().name),
        **part_fields(whole),
        "adapted": whole.adapted,
        "notices": whole.notices,
        "parts": [part_fields(part) for part in parts],
    }
    return Response(to_json(fields), media_type="application/json")


def _predictions(library: Library, path: Path, name: str, form: UploadPredict) -> list[Any]:
    longest = library.settings.max_example_minutes * 60
    of = {"speaker": form.speaker, "source": form.source}
    try:
        return list(library.predict(path, form.how(), longest=longest, **of))
    except AudioError as error:
        raise AudioError(f"{name} {error}") from error

"""Recordings: take one in."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from engine.api.deps import (
    LibraryDep,
    display_name,
    form_fields,
    in_thread,
    media_type,
    spooled,
    upload_form,
    validated,
)
from engine.api.models import Moment, RecordingOut, Text, clip_out
from engine.library import Library
from engine.manifest import LONGEST, parse_pairs
from engine.uploads import take_in
from index.filters import EMOTION
from index.recordings import Annotations

router = APIRouter(prefix="/v1/recordings", tags=["recordings"])

_LISTS = frozenset({"metadata"})


class RecordingFields(BaseModel):
    """What is said about an uploaded recording."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    source: Text | None = Field(default=None, min_length=1, max_length=LONGEST)
    label: Text | None = Field(
        default=None, min_length=1, max_length=LONGEST, description="Emotion label of its clips."
    )
    speaker: Text | None = Field(default=None, min_length=1, max_length=LONGEST)
    recorded_at: Moment | None = Field(default=None, description="ISO 8601.")
    metadata: list[Text] = Field(default=[], description="`key=value` pairs.")

    def said(self) -> Annotations:
        """As annotations.

        Raises:
            InvalidInputError: a metadata pair without ``=``.
        """
        return Annotations(
            source=self.source,
            speaker=self.speaker,
            recorded_at=self.recorded_at,
            labels={EMOTION: self.label} if self.label else {},
            metadata=parse_pairs(self.metadata),
        )


def _body() -> dict[str, Any]:
    schema = RecordingFields.model_json_schema()
    schema["properties"] = {
        "file": {"type": "string", "format": "binary", "description": "An audio file."},
        **schema["properties"],
    }
    schema["required"] = ["file"]
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}


@router.post(
    "",
    status_code=201,
    summary="Take in a recording",
    openapi_extra={"requestBody": _body()},
    responses={200: {"model": RecordingOut, "description": "Its bytes were known already."}},
)
async def add_recording(request: Request, response: Response, library: LibraryDep) -> RecordingOut:
    """Stores, embeds and indexes an uploaded audio file; searches find it from now on.

    Bytes that the archive has already are one recording: what is said about it is updated.
    """
    if media_type(request) != "multipart/form-data":
        raise HTTPException(415, "send multipart/form-data with a part 'file'")
    async with upload_form(request) as (form, file):
        fields = validated(RecordingFields, form_fields(form, _LISTS))
        answer = await in_thread(_add, library, fields, file)
    response.status_code = 201 if answer.new else 200
    return answer


def _add(library: Library, fields: RecordingFields, file: UploadFile) -> RecordingOut:
    with spooled(file) as path:
        recording, new = take_in(library, path, name=display_name(file), said=fields.said())
    clips = [clip_out(clip) for clip in library.clips_of(recording)]
    return RecordingOut(recording=recording, new=new, clips=clips)

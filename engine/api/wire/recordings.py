"""Recordings as answers of the API."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from emotion_search.engine.api.wire.clips import ClipOut

if TYPE_CHECKING:
    from emotion_search.index.database.recording_details import RecordingDetails


class RecordingOut(BaseModel):
    """A recording: one audio file."""

    recording: int = Field(description="Id of the recording.", examples=[7])
    file: str = Field(description="Name of its file.")
    sha256: str = Field(description="Of its bytes.")
    source: str | None
    speaker: str | None
    recorded_at: datetime | None
    ingested_at: datetime
    duration: float = Field(description="Seconds.")
    sample_rate: int = Field(description="Hz.")
    channels: int
    cut: str | None = Field(description="How its clips were made.")
    clips: int = Field(description="How many clips it has.")
    labels: dict[str, dict[str, int]] = Field(description="Number of clips by task and label.")
    metadata: dict[str, str]
    share: float | None = Field(
        description="Sorted by `share`: of its clips' time, what passes the filters."
    )
    audio: str = Field(description="Path of its audio.")


class RecordingPage(BaseModel):
    """A page of recordings."""

    data: list[RecordingOut]
    next: int | None = Field(description="`cursor` of the next page; null on the last.")
    total: int = Field(description="How many there are on all pages.")


class TakenIn(BaseModel):
    """A recording taken in."""

    recording: int = Field(description="Id of the recording.")
    new: bool = Field(description="False if the archive had these bytes already.")
    clips: list[ClipOut] = Field(description="Its first 500 clips.")
    job: int = Field(description="Id of the job that took it in.")
    notices: list[str] = Field(default=[], description="What whoever sent it should know.")


class ErasedAll(BaseModel):
    """What was erased of many."""

    erased: list[int] = Field(description="Ids of the recordings that were erased.")
    unknown: list[int] = Field(description="Ids that are no recordings.")


class Erased(BaseModel):
    """What was erased."""

    recording: int
    clips: int = Field(description="How many clips went with it.")


def recording_out(one: RecordingDetails) -> RecordingOut:
    """A recording as the API's answer: no path of the server in it."""
    fields: dict[str, Any] = {**vars(one), "recording": one.id, "file": one.name}
    return RecordingOut.model_validate({**fields, "audio": f"/v1/recordings/{one.id}/audio"})

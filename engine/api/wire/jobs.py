"""Jobs as answers of the API: uploads on their way into the archive."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, get_args

from pydantic import BaseModel, Field

from emotion_search.engine.api.wire.problems import Problem

JobState = Literal["queued", "running", "done", "failed"]


JobKind = Literal["upload", "evaluate", "train", "cluster", "tune", "reembed"]
KINDS: tuple[str, ...] = get_args(JobKind)


class Progress(BaseModel):
    """How far a job is."""

    step: str | None = Field(default=None, description="What it does now; null of an upload.")
    seconds: float = Field(description="Seconds into the recording that are embedded; else clips.")
    of: float | None = Field(description="Of how many; null where that is not known.")
    fraction: float | None = Field(description="0 to 1; null where the length is not known.")


class JobOut(BaseModel):
    """An upload or other work, or what became of it."""

    job: int = Field(description="Id of the job.", examples=[3])
    kind: JobKind = "upload"
    status: JobState
    file: str = Field(description="What the sender called the file; else the kind.")
    size: int = Field(description="Bytes.")
    progress: Progress
    recording: int | None = Field(description="Once done: id of the recording.")
    new: bool | None = Field(description="Once done: false if the archive had these bytes.")
    notices: list[str] = Field(
        default=[], description="Once done: what whoever sent it should know."
    )
    result: dict[str, Any] | None = Field(
        default=None, description="Once done, of what is no upload: what came of it."
    )
    problem: Problem | None = Field(
        description="Once failed: why. While it is put off: what it waits for."
    )
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in ("done", "failed")


class JobPage(BaseModel):
    """A page of jobs, latest first."""

    data: list[JobOut]
    next: int | None = Field(description="`cursor` of the next page; null on the last.")

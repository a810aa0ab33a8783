"""Recordings, and jobs that make them, as they go over the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from emotion_search.engine.api.http.problems import Problem, body
from emotion_search.engine.api.wire.clips import ClipOut, Moment, Text
from emotion_search.engine.audio.channels import parse_channels
from emotion_search.engine.files.values import LONGEST, parse_pairs
from emotion_search.engine.service.uploads import UploadFields
from emotion_search.index.database.filters import EMOTION
from emotion_search.index.database.jobs import Job, JobStatus
from emotion_search.index.database.recording_details import RecordingDetails
from emotion_search.index.database.recordings import Annotations

Said = Annotated[Text, StringConstraints(min_length=1, max_length=LONGEST)]


class RecordingFields(BaseModel):
    """What is said about an uploaded recording."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    source: Said | None = Field(default=None, description="Where it comes from.")
    label: Said | None = Field(default=None, description="Emotion label of its clips.")
    speaker: Said | None = Field(default=None, description="Who speaks.")
    recorded_at: Moment | None = Field(
        default=None, description="ISO 8601, in UTC where no zone is told."
    )
    metadata: list[Text] = Field(default=[], description="`key=value` pairs.")
    labels: list[Text] = Field(
        default=[], description="`task=value` pairs: labels of its clips under other tasks."
    )
    channels: Text = Field(
        default="mix",
        max_length=LONGEST,
        description="Which channels become clips: `mix` for all in one, `split` for each by"
        " itself, or numbers from 0, such as `1` or `agent=0,customer=1`.",
    )

    def upload_fields(self) -> UploadFields:
        """As it is taken in.

        Raises:
            InvalidInputError: a pair without ``=``, no such channels.
        """
        emotion = [f"{EMOTION}={self.label}"] if self.label else []
        annotations = Annotations(
            source=self.source,
            speaker=self.speaker,
            recorded_at=self.recorded_at,
            labels=parse_pairs([*emotion, *self.labels], of="label"),
            metadata=parse_pairs(self.metadata),
        )
        return UploadFields(annotations, parse_channels(self.channels))


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
    audio: str = Field(description="Where it can be heard.")


class RecordingPage(BaseModel):
    """A page of recordings."""

    data: list[RecordingOut]
    next: int | None = Field(description="`cursor` of the next page; null on the last.")


class TakenIn(BaseModel):
    """A recording taken in."""

    recording: int = Field(description="Id of the recording.")
    new: bool = Field(description="False if the archive had these bytes already.")
    clips: list[ClipOut] = Field(description="Its first 500 clips.")
    job: int = Field(description="Id of the job that took it in.")


class Progress(BaseModel):
    """How far a job is."""

    seconds: float = Field(description="Seconds into the recording that are embedded.")
    of: float | None = Field(description="Its length by its header; null where that is not told.")
    fraction: float | None = Field(description="0 to 1; null where the length is not told.")


class JobOut(BaseModel):
    """An upload on its way into the archive, or what became of it."""

    job: int = Field(description="Id of the job.", examples=[3])
    status: JobStatus
    file: str = Field(description="What the sender called the file.")
    size: int = Field(description="Bytes.")
    progress: Progress
    recording: int | None = Field(description="Once done: id of the recording.")
    new: bool | None = Field(description="Once done: false if the archive had these bytes.")
    problem: Problem | None = Field(description="Once failed: why.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobPage(BaseModel):
    """A page of jobs, latest first."""

    data: list[JobOut]
    next: int | None = Field(description="`cursor` of the next page; null on the last.")


class Erased(BaseModel):
    """What was erased."""

    recording: int
    clips: int = Field(description="How many clips went with it.")


def recording_out(one: RecordingDetails) -> RecordingOut:
    """A recording as it goes over the wire: no path of the server in it."""
    told: dict[str, Any] = {**vars(one), "recording": one.id, "file": one.name}
    return RecordingOut.model_validate({**told, "audio": f"/v1/recordings/{one.id}/audio"})


def job_out(job: Job) -> JobOut:
    """A job as it goes over the wire."""
    done, of = job.status == JobStatus.DONE, job.total
    fraction = 1.0 if done else min(1.0, job.seconds / of) if of else None
    return JobOut(
        job=job.id,
        status=job.status,
        file=job.name,
        size=job.size,
        progress=Progress(seconds=job.seconds, of=of, fraction=fraction),
        recording=job.recording_id,
        new=job.is_new,
        problem=Problem.model_validate(body(**job.problem)) if job.problem else None,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
    )

"""What goes over the wire."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from emotion_search.engine.archive.status import Status
from emotion_search.engine.files.values import LONGEST, parse_pairs
from emotion_search.index.database.clips import ClipDetails
from emotion_search.index.database.filters import EMOTION, ClipFilter
from emotion_search.index.database.text import storable

MOST_LISTED = 500
"""Most clips of a page."""


_NUMBER = re.compile(r"\s*[-+]?\d+(\.\d*)?\s*")


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is out of range") from error


def _no_number(given: Any) -> Any:
    if isinstance(given, int | float) or (isinstance(given, str) and _NUMBER.fullmatch(given)):
        raise ValueError("give a moment as ISO 8601, such as 2026-05-01T12:00:00Z")
    return given


Moment = Annotated[datetime, BeforeValidator(_no_number), AfterValidator(_in_utc)]
"""ISO 8601; without a zone it is taken as UTC."""


def _storable(text: str) -> str:
    if not storable(text):
        raise ValueError("contains characters that no archive holds")
    return text


Text = Annotated[str, AfterValidator(_storable)]
"""Text that a database can hold."""


class Filters(BaseModel):
    """Which clips are meant: every field that is given must hold, any one of its values will do."""

    model_config = ConfigDict(extra="forbid")

    source: list[Text] = Field(default=[], description="Source of the recording.")
    label: list[Text] = Field(default=[], description="Label of the clip.")
    speaker: list[Text] = Field(default=[], description="Speaker of the recording.")
    channel: list[Text] = Field(
        default=[], description="Channel of the clip, by its name or its number from 0."
    )
    after: Moment | None = Field(
        default=None, description="Recorded then or later: ISO 8601, in UTC where no zone is told."
    )
    before: Moment | None = Field(default=None, description="Recorded before then, as `after`.")
    metadata: list[Text] = Field(
        default=[], description="`key=value` pairs that the recording must all have."
    )
    emotion: list[Text] = Field(default=[], description="Class that the model scores highest.")
    min_score: float | None = Field(
        default=None, ge=0, le=1, description="Least score of the class scored highest."
    )
    min_duration: float | None = Field(default=None, ge=0, lt=1e9, description="Seconds.")
    max_duration: float | None = Field(default=None, ge=0, lt=1e9, description="Seconds.")
    task: Text = Field(default=EMOTION, description="Task of `label` and `predicted`.")
    predicted: list[Text] = Field(default=[], description="What a classifier calls the clip.")
    min_probability: float = Field(
        default=0.0, ge=0, le=1, description="Least probability of what the classifier says."
    )
    cluster: list[Text] = Field(
        default=[], description="Cluster of a saved clustering, as `NAME:3` or `NAME:noise`."
    )

    def wanted(self) -> ClipFilter:
        """The filter meant.

        Raises:
            InvalidInputError: a metadata pair without ``=``, or a cluster of another form.
        """
        return ClipFilter(
            sources=tuple(self.source),
            labels=tuple(self.label),
            speakers=tuple(self.speaker),
            channels=tuple(self.channel),
            after=self.after,
            before=self.before,
            metadata=parse_pairs(self.metadata),
            emotions=tuple(self.emotion),
            min_score=self.min_score,
            min_duration=self.min_duration,
            max_duration=self.max_duration,
            task=self.task,
            predicted=tuple(self.predicted),
            min_probability=self.min_probability,
            clusters=tuple(self.cluster),
        )


class Paging(BaseModel):
    """Which page of a list is meant."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=100, ge=1, le=MOST_LISTED, description="Most rows of the page.")
    cursor: int = Field(
        default=0, ge=0, lt=2**63, description="`next` of the page before; 0 for the first."
    )


class ClipQuery(Filters, Paging):
    """Parameters of a list of clips."""


class Said(BaseModel):
    """What a classifier says about a clip."""

    value: str
    probability: float


class ClipOut(BaseModel):
    """A clip: a span of a recording."""

    clip: int = Field(description="Id of the clip.", examples=[42])
    recording: int = Field(description="Id of its recording.", examples=[7])
    file: str = Field(description="Name of the recording's file.")
    source: str | None
    label: str | None = Field(description="Emotion label given by a person.")
    start: float = Field(description="Seconds from the recording's start.")
    end: float = Field(description="Seconds from the recording's start.")
    channel: int | None = Field(description="Counted from 0; null for all channels mixed.")
    channel_name: str | None = Field(description="What the channel is called, such as customer.")
    speaker: str | None
    recorded_at: datetime | None
    labels: dict[str, str] = Field(description="Labels by task.")
    metadata: dict[str, str]
    scores: dict[str, float] = Field(description="The model's score by emotion class.")
    predictions: dict[str, Said] = Field(description="What classifiers say, by task.")
    audio: str = Field(description="Where the clip can be heard.")


class ClipPage(BaseModel):
    """A page of clips."""

    data: list[ClipOut]
    next: int | None = Field(description="`cursor` of the next page; null on the last.")


class Count(BaseModel):
    """A name, and how often it occurs."""

    name: str
    count: int


class Counts(BaseModel):
    """Names and how often they occur."""

    data: list[Count]


FailureKind = Literal["failed", "silent"]


class LabelIn(BaseModel):
    """What is said about a clip under a task."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    value: Text = Field(min_length=1, max_length=LONGEST, examples=["anger"])


class ModelOut(BaseModel):
    """An embedding model that is known to the server."""

    name: str
    dimension: int | None = Field(description="Numbers of an embedding; null where not known.")
    about: str
    available: bool = Field(description="Whether it is on the server's disk.")
    active: bool = Field(description="Whether it serves the archive.")


class Models(BaseModel):
    """The embedding models that are known to the server."""

    data: list[ModelOut]


class FailureOut(BaseModel):
    """A file that could not be ingested, or in which nobody speaks."""

    kind: FailureKind = Field(description="`failed`, or `silent` where nobody speaks.")
    file: str = Field(description="Its name, without the folder.")
    reason: str
    attempts: int
    failed_at: datetime


class FailurePage(BaseModel):
    """A page of failures, latest first."""

    data: list[FailureOut]
    next: str | None = Field(description="`cursor` of the next page; null on the last.")


class StatsOut(BaseModel):
    """What the archive holds."""

    recordings: int
    clips: int
    labelled: int = Field(description="Clips with a label under the task `emotion`.")
    failures: int = Field(description="Files that could not be ingested.")
    duration: float = Field(description="Seconds of audio.")
    sources: dict[str, int] = Field(description="Clips by source; `(none)` for those without.")
    labels: dict[str, int] = Field(description="Clips by emotion label.")
    model: str | None = Field(description="Embedding model; null while the archive is empty.")
    dimension: int | None = Field(description="Numbers of an embedding.")
    space: int = Field(description="Version of the space that similarity is taken in.")
    classes: list[str]


class Health(BaseModel):
    """A sign of life."""

    status: Literal["ok"] = "ok"


def clip_fields(clip: ClipDetails) -> dict[str, object]:
    """A clip's fields as they go over the wire: no path of the server among them."""
    return {
        "clip": clip.id,
        "recording": clip.recording_id,
        "file": clip.name,
        "source": clip.source,
        "label": clip.label,
        "start": clip.start,
        "end": clip.end,
        "channel": clip.channel,
        "channel_name": clip.channel_name,
        "speaker": clip.speaker,
        "recorded_at": clip.recorded_at,
        "labels": dict(clip.labels),
        "metadata": dict(clip.metadata),
        "scores": dict(clip.scores),
        "predictions": {
            task: {"value": value, "probability": probability}
            for task, (value, probability) in clip.predictions.items()
        },
        "audio": f"/v1/clips/{clip.id}/audio",
    }


def clip_out(clip: ClipDetails) -> ClipOut:
    """A clip as it goes over the wire."""
    return ClipOut.model_validate(clip_fields(clip))


def stats_out(status: Status) -> StatsOut:
    """What the archive holds, as it goes over the wire."""
    counts, model = status.counts, status.model
    return StatsOut(
        recordings=counts.recordings,
        clips=counts.clips,
        labelled=counts.labelled,
        failures=counts.failures,
        duration=counts.duration,
        sources=dict(counts.sources),
        labels=dict(counts.labels),
        model=model_name(model.name) if model else None,
        dimension=model.dimension if model else None,
        space=status.space.version if status.space else 0,
        classes=list(model.classes) if model else [],
    )


def model_name(name: str) -> str:
    """What a model is called over the wire: of a checkpoint's path the last part alone."""
    return Path(name).name if Path(name).is_absolute() else name

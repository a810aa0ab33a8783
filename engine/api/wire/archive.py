"""Answers about the archive as a whole: counts, labels, models, failures."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, Field

from emotion_search.engine.api.wire.clips import model_name
from emotion_search.engine.transfer.records import status_record

if TYPE_CHECKING:
    from emotion_search.engine.archive.status import Status


class Count(BaseModel):
    """A name, and how often it occurs."""

    name: str
    count: int


class Counts(BaseModel):
    """Names and how often they occur."""

    data: list[Count]

    @classmethod
    def of(cls, counts: Mapping[str, int]) -> Counts:
        """Counts by name, in this order."""
        return cls(data=[Count(name=name, count=count) for name, count in counts.items()])


class ModelOut(BaseModel):
    """An embedding model that is known to the server."""

    name: str
    dimension: int | None = Field(description="Numbers of an embedding; null where not known.")
    about: str
    available: bool = Field(description="Whether it is on the server's disk.")
    active: bool = Field(description="Whether it serves the archive.")
    licence: str | None = Field(description="Of its weights; null where not known to the server.")


class Models(BaseModel):
    """The embedding models that are known to the server."""

    data: list[ModelOut]


FailureKind = Literal["failed", "silent"]


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


class SharedWork(BaseModel):
    """An ingest or another work that several processes share, of all of them together."""

    work: int = Field(description="Its number.")
    kind: str = Field(description="`ingest`, or `reembed`, of which the files are recordings.")
    named: str = Field(description="What is taken in, without folders.")
    finished: bool
    files: int = Field(description="Files that are not known yet, those listed so far.")
    listed: bool = Field(description="Whether `files` are all.")
    known: int = Field(description="Files that the archive had before.")
    done: int = Field(description="Of `files`, those dealt with.")
    failed: int = Field(description="Of these, those that failed; see `/v1/failures`.")
    recordings: int
    clips: int
    seconds: float = Field(description="Of audio, taken in.")
    clips_per_second: float = Field(description="Over the last ten minutes.")
    audio_per_second: float = Field(description="Seconds of audio a second, likewise.")
    workers: int = Field(description="That work on it now.")


class AllSharedWork(BaseModel):
    """Work that processes share, latest first."""

    data: list[SharedWork]


class StatsOut(BaseModel):
    """What the archive holds."""

    recordings: int
    clips: int
    labelled: int = Field(description="Clips with a label under the task `emotion`.")
    failures: int = Field(description="Files that could not be ingested.")
    duration: float = Field(description="Seconds of audio.")
    sources: dict[str, int] = Field(description="Clips by source; `(none)` for those without.")
    labels: dict[str, int] = Field(description="Clips by emotion label.")
    emotions: dict[str, int] = Field(
        description="Clips by the class that the model scores highest."
    )
    undated: int = Field(description="Recordings of which it is not known when they were made.")
    model: str | None = Field(description="Embedding model; null while the archive is empty.")
    dimension: int | None = Field(description="Numbers of an embedding.")
    space: int = Field(description="Version of the space that similarity is taken in.")
    classes: list[str]
    adapted: str | None = Field(
        description="What the model's scores are adapted to: the `mean` of the archive, `baselines`"
        " of speakers, recordings and sources, or null for nothing."
    )
    text: bool = Field(
        default=False,
        description="Whether clips are found by words, too; false until the model is loaded.",
    )
    min_confidence: float = Field(
        description="Least score of a clip's top class; below, the clip counts as uncertain."
    )


class Health(BaseModel):
    """A sign of life."""

    status: Literal["ok"] = "ok"
    engine: Literal["ok", "unavailable"] | None = Field(
        default=None,
        description="The engine that names candidates, where one is set. While it fails, clips are"
        " compared by the server itself.",
    )


def stats_out(status: Status, *, text: bool) -> StatsOut:
    """What the archive holds, and whether its model knows texts, as the API's answer."""
    fields = {**status_record(status), "text": text}
    fields["duration"] = status.counts.duration
    fields["model"] = model_name(status.model.name) if status.model else None
    return StatsOut.model_validate(fields)

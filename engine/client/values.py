"""What the Python client of the HTTP service gives back."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Said:
    """What a classifier says about a clip."""

    value: str
    probability: float


@dataclass(frozen=True)
class Clip:
    """A clip: a span of a recording, in seconds."""

    clip: int
    recording: int
    file: str
    source: str | None
    label: str | None
    start: float
    end: float
    channel: int | None
    channel_name: str | None
    speaker: str | None
    recorded_at: datetime | None
    labels: dict[str, str]
    metadata: dict[str, str]
    scores: dict[str, float]
    predictions: dict[str, Said]
    audio: str


@dataclass(frozen=True)
class Hit(Clip):
    """A clip found: its cosine in the archive's space, and what percentage of random pairs of
    clips is less alike (None while the archive is too small to tell)."""

    similarity: float
    percentile: float | None
    space: int


@dataclass(frozen=True)
class Recording:
    """A recording: one audio file."""

    recording: int
    file: str
    sha256: str
    source: str | None
    speaker: str | None
    recorded_at: datetime | None
    ingested_at: datetime
    duration: float
    sample_rate: int
    channels: int
    cut: str | None
    clips: int
    labels: dict[str, dict[str, int]]
    metadata: dict[str, str]
    audio: str


@dataclass(frozen=True)
class Progress:
    """How far a job is: seconds embedded, of how many, and the fraction, where that is known."""

    seconds: float
    of: float | None
    fraction: float | None


@dataclass(frozen=True)
class Job:
    """An upload on its way into the archive, or what became of it."""

    job: int
    status: str
    file: str
    size: int
    progress: Progress
    recording: int | None
    new: bool | None
    problem: dict[str, Any] | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in ("done", "failed")


@dataclass(frozen=True)
class Count:
    """A name, and how often it occurs."""

    name: str
    count: int


@dataclass(frozen=True)
class Stats:
    """What the archive holds; duration in seconds."""

    recordings: int
    clips: int
    labelled: int
    failures: int
    duration: float
    sources: dict[str, int]
    labels: dict[str, int]
    model: str | None
    dimension: int | None
    space: int
    classes: list[str]


@dataclass(frozen=True)
class Model:
    """An embedding model that the server knows."""

    name: str
    dimension: int | None
    about: str
    available: bool
    active: bool


@dataclass(frozen=True)
class Failure:
    """A file that could not be ingested (``kind`` failed), or in which nobody speaks (silent)."""

    kind: str
    file: str
    reason: str
    attempts: int
    failed_at: datetime


def made(kind: type[T], told: Mapping[str, Any]) -> T:
    """``told`` as a dataclass; what a newer server adds is passed over."""
    hints = typing.get_type_hints(kind)
    values = {
        field.name: _value(hints[field.name], told[field.name])
        for field in dataclasses.fields(kind)  # type: ignore[arg-type]
    }
    return kind(**values)


def _value(hint: Any, value: Any) -> Any:
    if value is None:
        return None
    if typing.get_origin(hint) is dict and dataclasses.is_dataclass(typing.get_args(hint)[1]):
        return {key: made(typing.get_args(hint)[1], one) for key, one in value.items()}
    of = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if datetime in of:
        return datetime.fromisoformat(value)
    for one in of:
        if dataclasses.is_dataclass(one):
            return made(typing.cast("type", one), value)
    return value

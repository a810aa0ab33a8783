"""Clips and hits as answers of the API."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field

from emotion_search.engine.transfer.records import clip_fields

if TYPE_CHECKING:
    from emotion_search.index.database.clips import ClipDetails
    from emotion_search.index.search import Hit


class PredictionOut(BaseModel):
    """A prediction of a classifier for a clip."""

    value: str
    probability: float


class AffectOut(BaseModel):
    """Valence, arousal and dominance of a clip, -1 to 1."""

    valence: float
    arousal: float
    dominance: float
    derived: bool = Field(
        description="Whether they follow from the class scores, by a published table; else they are"
        " the model's own."
    )


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
    emotion: str | None = Field(
        description="The class that the model scores highest; null if it gives no scores."
    )
    confidence: float | None = Field(
        description="Its score; below the `min_confidence` of the statistics, take the clip as"
        " uncertain."
    )
    scores: dict[str, float] = Field(description="The model's score by emotion class.")
    affect: AffectOut | None = Field(
        description="Null where the model gives neither them nor scores."
    )
    predictions: dict[str, PredictionOut] = Field(
        description="Predictions of classifiers, by task."
    )
    audio: str = Field(description="Path of the clip's audio.")


class ClipPage(BaseModel):
    """A page of clips."""

    data: list[ClipOut]
    next: int | str | None = Field(
        description="`cursor` of the next page, a text where `sort` is given; null on the last."
    )


class BaselineOut(BaseModel):
    """A group whose baseline an example takes, and what of it is known."""

    level: Literal["speaker", "recording", "source", "nearest source", "archive"] = Field(
        description="Its speaker within source and channel; its recording, which of an upload is"
        " that itself; its source; the nearest one, of what nobody says where it is from; the whole"
        " archive."
    )
    source: str | None
    speaker: str | None
    recording: int | None
    channel: int | None


class HitOut(ClipOut):
    """A clip found."""

    similarity: float = Field(
        description="Cosine similarity to the query in the archive's space, -1 to 1."
    )
    percentile: float | None = Field(
        description="Percentage of random pairs of clips that are less alike, 0 to 100; null while"
        " the archive is too small to say, and where an example is a text."
    )
    space: int = Field(description="Version of the space; 0 is the plain one.")
    baselines: list[BaselineOut] = Field(
        description="Whose baselines the examples take, each once, the same of every hit; none in"
        " a space without."
    )
    same_speaker: bool | None = Field(
        description="Whether it is of a positive example's speaker; null where that is not known."
    )
    same_source: bool | None = Field(description="Likewise of a positive example's source.")


def clip_body(clip: ClipDetails) -> dict[str, Any]:
    """The fields of ``ClipOut``: no path of the server among them."""
    return {**clip_fields(clip), "audio": f"/v1/clips/{clip.id}/audio"}


def clip_out(clip: ClipDetails) -> ClipOut:
    """A clip as the API's answer."""
    return ClipOut.model_validate(clip_body(clip))


_MEASURED = ("similarity", "percentile", "space", "same_speaker", "same_source")


def hit_body(hit: Hit) -> dict[str, Any]:
    """The fields of ``HitOut``."""
    measured = {name: getattr(hit, name) for name in _MEASURED}
    baselines = [group._asdict() for group in hit.baselines]
    return {**clip_body(hit.clip), **measured, "baselines": baselines}


def model_name(name: str) -> str:
    """A model's public name: of the path of a folder or file the last part alone."""
    kind, colon, path = name.partition(":") if name.startswith(("hf:", "onnx:")) else ("", "", name)
    return kind + colon + Path(path).name if Path(path).is_absolute() else name

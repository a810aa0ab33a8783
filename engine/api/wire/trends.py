"""Trends: query parameters and answers."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, Field

from emotion_search.engine.api.http.bodies import Asked
from emotion_search.engine.api.wire.clips import AffectOut
from emotion_search.engine.api.wire.filters import Alert, Filters
from emotion_search.engine.trends.curve import (
    PENALTIES,
    PENALTY,
    SHORTEST_S,
    SHORTESTS,
    SMOOTH_S,
    SMOOTHINGS,
    Peak,
    Stretch,
    Turn,
)


def _within(limits: tuple[float, float], default: float, about: str) -> Any:
    return Field(default=default, ge=limits[0], le=limits[1], description=about)


class RecordingTrendQuery(Asked):
    """How a recording's trend is taken."""

    smooth: float = _within(SMOOTHINGS, SMOOTH_S, "Seconds of the smoothing kernel.")
    penalty: float = _within(PENALTIES, PENALTY, "Price of a turning point; more finds fewer.")
    shortest: float = _within(SHORTESTS, SHORTEST_S, "Least seconds between turning points.")


class TrendQuery(Filters):
    """Parameters of a trend over the archive."""

    by: Literal["day", "week", "month"] = Field(default="week", description="Periods, in UTC.")
    alert: list[Alert] = Field(default=[], max_length=20, description="Such as `angry>0.3`.")


class PointsOut(BaseModel):
    """Smoothed curves by column; null where nobody speaks near."""

    time: list[float]
    scores: dict[str, list[float | None]]
    valence: list[float | None]
    arousal: list[float | None]


class ChannelTrendOut(BaseModel):
    """The trend of a channel."""

    channel: int | None
    channel_name: str | None
    clips: int
    spoken: float = Field(description="Seconds that lie in some clip.")
    share: dict[str, float] = Field(
        description="Share of time by top class, of clips that are not uncertain."
    )
    uncertain: float = Field(description="Share of time of clips below `min_confidence`.")
    mean: dict[str, float] = Field(description="Mean score by class.")
    valence: float = Field(
        description="Derived from the mean scores by a published table, -1 to 1."
    )
    arousal: float = Field(
        description="Derived from the mean scores by a published table, -1 to 1."
    )
    turning_points: list[Turn]
    stretches: list[Stretch]
    peaks: list[Peak]
    points: PointsOut


class RecordingTrendOut(BaseModel):
    """How emotion moves through a recording."""

    recording: int
    file: str
    duration: float
    model: str
    min_confidence: float = Field(
        description="Least score of a clip's top class; below, the clip counts as uncertain."
    )
    channels: list[ChannelTrendOut]


class UncertainOut(BaseModel):
    """Share of time of clips below `min_confidence`, with its 95 % interval."""

    share: float
    low: float
    high: float


class ShareOut(UncertainOut):
    """Share of time of an emotion and its mean score, each with its 95 % interval."""

    mean: float
    mean_low: float
    mean_high: float


class TotalOut(BaseModel):
    """What was recorded, whenever that was."""

    recordings: int
    clips: int
    seconds: float
    emotions: dict[str, ShareOut]
    uncertain: UncertainOut
    affect: AffectOut = Field(description="Of the mean scores.")


class PeriodOut(TotalOut):
    """A period: ISO date, week or month."""

    period: str
    start: date
    end: date = Field(description="The first day after it.")
    alerts: list[str] = Field(description="Those that it sets off.")


class TrendOut(BaseModel):
    """How shares of emotions move over the archive."""

    data: list[PeriodOut]
    model: str
    total: TotalOut | None = Field(description="All of it, with what is undated; null for none.")
    undated: int = Field(description="Clips in no period: they have no time of recording.")
    min_confidence: float = Field(
        description="Least score of a clip's top class; below, the clip counts as uncertain."
    )
    alarmed: bool = Field(description="Whether some alert is set off.")
    method: str

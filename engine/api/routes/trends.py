"""Trends: of a recording, and over the archive."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from engine.api.access import Reader
from engine.api.deps import LibraryDep
from engine.api.trend_models import (
    RecordingTrendOut,
    RecordingTrendQuery,
    TrendOut,
    TrendQuery,
)
from engine.trends import Options

router = APIRouter(prefix="/v1", tags=["trends"])

RecordingId = Annotated[int, Path(ge=1, lt=2**63, description="Id of the recording.")]


@router.get("/recordings/{recording}/trend", summary="Trend of a recording")
def recording_trend(
    library: LibraryDep,
    recording: RecordingId,
    query: Annotated[RecordingTrendQuery, Query()],
    _: Reader,
) -> RecordingTrendOut:
    """Smoothed scores, turning points, peaks and shares of time of each channel, from the stored
    scores of its clips."""
    trend = library.trend(recording, Options(query.smooth, query.penalty, query.shortest))
    return RecordingTrendOut.model_validate(
        {
            "recording": trend.recording,
            "file": trend.name,
            "duration": trend.duration,
            "model": trend.model,
            "channels": [channel.record() for channel in trend.channels],
        }
    )


@router.get("/trends", summary="Trend over the archive")
def archive_trend(
    library: LibraryDep, query: Annotated[TrendQuery, Query()], _: Reader
) -> TrendOut:
    """Share of each emotion by day, week or month, with intervals, among the clips that pass the
    filters."""
    trend = library.trend_over(query.by, query.wanted(), alerts=query.alert)
    return TrendOut.model_validate(
        {
            "data": list(trend.records()),
            "model": trend.model,
            "undated": trend.undated,
            "alarmed": trend.alarmed,
            "method": trend.method,
        }
    )

"""Trends: of a recording, and over the archive."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from emotion_search.engine.api.http.access import Reader
from emotion_search.engine.api.http.deps import GatesDep, LibraryDep
from emotion_search.engine.api.http.openapi import answers
from emotion_search.engine.api.routes.recordings import RecordingId
from emotion_search.engine.api.wire import trends as wire
from emotion_search.engine.api.wire.clips import model_name
from emotion_search.engine.trends.curve import Options

router = APIRouter(prefix="/v1", tags=["trends"])


@router.get("/recordings/{recording}/trend", summary="Trend of a recording", responses=answers(429))
async def recording_trend(
    library: LibraryDep,
    gates: GatesDep,
    recording: RecordingId,
    query: Annotated[wire.RecordingTrendQuery, Query()],
    _: Reader,
) -> wire.RecordingTrendOut:
    """Smoothed scores, turning points, peaks and shares of time of each channel, from the stored
    scores of its clips."""
    options = Options(query.smooth, query.penalty, query.shortest)
    trend = await gates.pictures.run(library.trend, recording, options)
    return wire.RecordingTrendOut.model_validate(
        {
            **vars(trend),
            "file": trend.name,
            "model": model_name(trend.model),
            "channels": [channel.record() for channel in trend.channels],
        }
    )


@router.get("/trends", summary="Trend over the archive", responses=answers(404, 429))
async def archive_trend(
    library: LibraryDep, gates: GatesDep, query: Annotated[wire.TrendQuery, Query()], _: Reader
) -> wire.TrendOut:
    """Share of each emotion by day, week or month, with intervals, among the clips that pass the
    filters."""
    trend = await gates.pictures.run(
        library.trend_over, query.by, query.wanted(), alerts=query.alert
    )
    return wire.TrendOut.model_validate(
        {
            **vars(trend),
            "data": list(trend.records()),
            "model": model_name(trend.model),
            "total": trend.total.record() if trend.total else None,
            "alarmed": trend.alarmed,
        }
    )

"""Metrics for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from emotion_search.engine.api.http.access import Scraper
from emotion_search.engine.api.http.metrics import Metrics

router = APIRouter(tags=["service"])


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(request: Request, _: Scraper) -> Response:
    """Answers and their times by route, work in hand, the index's size and age, the model's time,
    database, disk and decoders; also while the database is down (`emotion_search_database_up` 0).
    Needs a key of scope `read` where the archive has keys."""
    measured: Metrics = request.app.state.metrics
    return Response(measured.text(), media_type=CONTENT_TYPE_LATEST)

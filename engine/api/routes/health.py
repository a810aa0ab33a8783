"""Signs of life and what the archive holds."""

from __future__ import annotations

from fastapi import APIRouter

from engine.api.deps import LibraryDep
from engine.api.models import Health, StatsOut, stats_out

router = APIRouter()


@router.get("/healthz", tags=["service"], summary="Whether the process lives")
async def healthz() -> Health:
    """Answers as long as the process lives, whatever else is busy."""
    return Health()


@router.get("/readyz", tags=["service"], summary="Whether searches can be answered")
def readyz(library: LibraryDep) -> Health:
    """Answers once the database can be read and the index is up to date; else a 503 problem."""
    library.database.require_schema()
    library.refresh()
    return Health()


@router.get("/v1/stats", tags=["archive"], summary="What the archive holds")
def stats(library: LibraryDep) -> StatsOut:
    """Counts of recordings, clips, labels and failures, and the embedding model."""
    return stats_out(library.status())

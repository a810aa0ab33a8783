"""Signs of life."""

from __future__ import annotations

from fastapi import APIRouter

from engine.api.deps import JobsDep, LibraryDep
from engine.api.models import Health
from engine.jobs import EndingError

router = APIRouter(tags=["service"])


@router.get("/healthz", summary="Whether the process lives")
async def healthz() -> Health:
    """Answers as long as the process lives, whatever else is busy. Needs no key."""
    return Health()


@router.get("/readyz", summary="Whether searches can be answered")
def readyz(library: LibraryDep, jobs: JobsDep) -> Health:
    """Answers once the database can be read and the index is up to date; else a 503 problem, as
    while the server ends. Needs no key."""
    if jobs.stopping:
        raise EndingError("the server is about to end")
    library.database.require_schema()
    library.refresh()
    return Health()

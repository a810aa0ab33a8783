"""Health checks: ``/healthz`` and ``/readyz``."""

from __future__ import annotations

from fastapi import APIRouter

from emotion_search.engine.api.http.deps import GatesDep, JobsDep, LibraryDep
from emotion_search.engine.api.wire.archive import Health
from emotion_search.engine.library.library import Library
from emotion_search.engine.service.jobs import EndingError
from emotion_search.index.errors import ModelUnavailableError

router = APIRouter(tags=["service"])


@router.get("/healthz", summary="Whether the process lives")
async def healthz() -> Health:
    """Answers as long as the process lives, whatever else is busy. Needs no key."""
    return Health()


@router.get("/readyz", summary="Whether searches can be answered")
async def readyz(library: LibraryDep, jobs: JobsDep, gates: GatesDep) -> Health:
    """Answers once the database can be read and the index is up to date; else a 503 problem that
    tells why, as while the model cannot be loaded, or the server ends. Needs no key."""
    if jobs.stopping:
        raise EndingError("the server is about to end")
    await gates.signs.run(_check, library)
    return Health()


def _check(library: Library) -> None:
    library.database.require_schema()
    library.refresh()
    if library.model_problem is not None:  # uploads wait until it can be loaded
        raise ModelUnavailableError(str(library.model_problem))

"""Health checks: ``/healthz`` and ``/readyz``."""

from __future__ import annotations

from fastapi import APIRouter

from emotion_search.engine.api.http.deps import GatesDep, JobsDep, LibraryDep
from emotion_search.engine.api.wire.archive import Health
from emotion_search.engine.library.library import Library
from emotion_search.engine.service.jobs import EndingError
from emotion_search.index.errors import EngineError, ModelUnavailableError
from emotion_search.index.vectors.kinds import is_address
from emotion_search.index.vectors.topk import COMPARABLE

router = APIRouter(tags=["service"])


@router.get("/healthz", summary="Whether the process lives", response_model_exclude_none=True)
async def healthz() -> Health:
    """Answers as long as the process lives, whatever else is busy. Needs no key."""
    return Health()


@router.get("/readyz", summary="Whether searches can be answered", response_model_exclude_none=True)
async def readyz(library: LibraryDep, jobs: JobsDep, gates: GatesDep) -> Health:
    """Answers once the database can be read, the bucket of uploads (where there is one) can be
    listed and the index is up to date; else a 503 problem that says why, as while the model cannot
    be loaded, or the server ends. Needs no key."""
    if jobs.stopping:
        raise EndingError("the server is about to end")
    return await gates.signs.run(_check, library)


def _check(library: Library) -> Health:
    library.database.require_schema()
    library.uploads.require()
    library.refresh()
    if library.model_problem is not None:  # uploads wait until it can be loaded
        raise ModelUnavailableError(str(library.model_problem))
    if not is_address(library.settings.index):
        return Health()
    index = library.index_state()
    if index.trouble is not None and index.clips > COMPARABLE:
        raise EngineError(index.trouble)
    return Health(engine="ok" if index.trouble is None else "unavailable")

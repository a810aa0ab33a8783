"""The app factory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from engine.api import problems
from engine.api.limits import BodyLimit
from engine.api.routes import clips, health, learned, recordings, search
from engine.library import Library
from engine.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """The service over the archive that ``settings`` name; a new archive is made where none is.

    Raises (at start-up):
        DatabaseError: the database cannot be used; names the cure.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with Library.open(settings, create=True) as library:
            library.refresh()
            library.warm_up()
            app.state.library = library
            yield
            library.save_index()

    app = FastAPI(
        title="emotion-search",
        version=version("emotion-search"),
        summary="Search archives of speech by the emotion in the voice.",
        lifespan=lifespan,
        responses={
            "default": {
                "description": "A problem (RFC 9457).",
                "content": {problems.MEDIA_TYPE: {}},
            }
        },
    )
    problems.install(app)
    app.add_middleware(BodyLimit, most=round(settings.max_upload_mb * 1e6))
    for routes in (health, search, clips, recordings, learned):
        app.include_router(routes.router)
    return app

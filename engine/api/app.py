"""The FastAPI app of the service: routes, middleware, start and end."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware

from emotion_search.engine.api.dashboard import router as dashboard
from emotion_search.engine.api.http import openapi as documents
from emotion_search.engine.api.http import problems
from emotion_search.engine.api.http.access import OpenTo
from emotion_search.engine.api.http.bodies import LARGEST_JSON
from emotion_search.engine.api.http.deps import Gates, in_thread
from emotion_search.engine.api.http.etags import Tagged
from emotion_search.engine.api.http.head import Heads
from emotion_search.engine.api.http.limits import BODY_RATE, BODY_S, BodyLimit
from emotion_search.engine.api.http.metrics import Metrics
from emotion_search.engine.api.http.origins import Preflights, listed
from emotion_search.engine.api.http.prefix import Prefix, checked
from emotion_search.engine.api.http.requests import Requests
from emotion_search.engine.api.learn import learn
from emotion_search.engine.api.routes import (
    alerts,
    archive,
    classifiers,
    clips,
    clusters,
    compare,
    evaluation,
    events,
    health,
    jobs,
    metrics,
    predict,
    recordings,
    search,
    trends,
    webhooks,
)
from emotion_search.engine.api.wire.filters import Filters
from emotion_search.engine.library.library import Library
from emotion_search.engine.service.alerts import CHECK_S, Alerts
from emotion_search.engine.service.jobs import Jobs
from emotion_search.engine.service.keys import KeyRing
from emotion_search.engine.service.pulse import Pulse
from emotion_search.engine.service.retention import Retention
from emotion_search.engine.service.upkeep import Upkeep
from emotion_search.engine.service.uploads import remove_orphans
from emotion_search.engine.service.watch import Watch
from emotion_search.engine.service.webhooks import DELIVER_S, Webhooks
from emotion_search.engine.settings import Settings
from emotion_search.index.errors import EmotionSearchError

log = logging.getLogger(__name__)

_ROUTES = (
    health,
    metrics,
    search,
    compare,
    predict,
    trends,
    alerts,
    webhooks,
    recordings,
    jobs,
    clips,
    archive,
    events,
    clusters,
    classifiers,
    evaluation,
)
GRACE_S = 30.0
"""Seconds that work in flight has when the service ends."""

_MOST_QUEUED = 200  # uploads that may be unfinished before others are refused
_TIDY_S, _ORPHANS_S = 60.0, 600.0  # how often jobs and scores, and kept uploads, are looked after
_LEFT_S = 20.0  # jobs that other servers left
_EXPIRED_S = 3600.0  # and recordings that are old enough to be erased

_DESCRIPTION = """
Query by example: give a clip, a stretch of a recording, a vector or an audio file, and get the
clips whose voices sound most like it, with similarity and percentile.

Lists are paged: pass `next` as `cursor` until it is null. Errors are
[problem details](https://www.rfc-editor.org/rfc/rfc9457) with a stable `type`. Every answer has an
`X-Request-ID`, that of the request if it sent one of up to 64 letters, digits and `._:-`. Where
the archive has keys, send one as `Authorization: Bearer KEY`: scope `read` searches, lists and
plays, `write` also uploads and labels, `admin` also erases.
"""
_TAGS = [
    {"name": "search", "description": "Clips that sound like examples."},
    {"name": "recordings", "description": "Audio files of the archive."},
    {"name": "jobs", "description": "Uploads on their way into the archive."},
    {"name": "clips", "description": "Spans of recordings: what is embedded and found."},
    {"name": "archive", "description": "What the archive holds."},
    {"name": "predict", "description": "Predictions of the model for files that are not kept."},
    {"name": "trends", "description": "How emotion moves through a recording, or over weeks."},
    {"name": "alerts", "description": "Rules about emotions, and webhooks that tell of them."},
    {"name": "learned", "description": "Maps, clusters, classifiers, what to label next."},
    {"name": "service", "description": "Whether and how the service works."},
]


def _limits(settings: Settings) -> str:
    return f"""
This server takes requests of up to {settings.max_upload_mb:g} MB (JSON: {LARGEST_JSON / 1e6:g} MB),
recordings of up to {settings.max_upload_minutes:g} minutes, and files to search by or to predict of
up to {settings.max_example_minutes:g} minutes; whatever FFmpeg reads: WAV, FLAC, MP3,
Ogg, Opus, M4A, WebM, MP4 and more. A body has to arrive within {BODY_S:g} s or at
{BODY_RATE / 1000:g} kB a second, without pausing for {BODY_S / 4:g} s. Web pages of other origins
are refused unless the server's setting `EMOTION_SEARCH_CORS_ORIGINS` names them.
"""


def create_app(settings: Settings, *, open_to: OpenTo = "loopback") -> FastAPI:
    """The service over the archive that ``settings`` name; a new archive is made where none is.

    Args:
        open_to: who may call it while the archive has no keys.

    Raises (at start-up):
        DatabaseError: the database cannot be used; names the cure.
    """
    gates = Gates.usual()
    measured = Metrics(gates)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with Library.open(settings, create=True, background=True) as library:
            library.refresh()
            library.warm_up()
            app.state.library = library
            app.state.keys = KeyRing(library.database)
            app.state.jobs = Jobs(
                library,
                explain=problems.explain,
                learn=learn,
                at_once=settings.jobs,
                most=_MOST_QUEUED,
                longest=settings.max_upload_minutes * 60,
            )
            app.state.jobs.start()
            app.state.alerts = Alerts(library, lambda given: Filters.model_validate(given).wanted())
            app.state.webhooks = Webhooks(library, listed(settings.webhook_hosts))
            app.state.pulse = Pulse(lambda: gates.signs.run(library.revision))
            leaving = threading.Event()
            upkeep = Upkeep(
                {
                    app.state.jobs.tidy: _TIDY_S,
                    partial(library.rescore, stop=leaving): _TIDY_S,
                    partial(remove_orphans, library): _EXPIRED_S
                    if settings.uploads
                    else _ORPHANS_S,
                    library.database.empty_log: _ORPHANS_S,  # of what was erased while it was read
                    Retention(library).apply: _EXPIRED_S,
                    app.state.webhooks.tidy: _EXPIRED_S,
                }
            )
            upkeep.start()
            news = Upkeep(
                {
                    app.state.alerts.check: CHECK_S,
                    app.state.webhooks.deliver: DELIVER_S,
                    app.state.jobs.take_left: _LEFT_S,
                }
            )
            news.start()
            watch = Watch(library)
            watch.start()
            measured.watch(library, app.state.jobs, watch)
            try:
                yield
            finally:
                leaving.set()
                await in_thread(upkeep.stop)
                await in_thread(watch.stop)
                await in_thread(news.stop)
                await in_thread(app.state.jobs.stop, GRACE_S)
                await in_thread(app.state.webhooks.stop)
                try:
                    library.save_index()
                except EmotionSearchError as error:  # it is a cache: the next start makes it up
                    log.warning("%s", error)

    app = FastAPIOffline(  # its pages at /docs and /redoc come from this machine
        title="emotion-search",
        version=version("emotion-search"),
        summary="Search archives of speech by the emotion in the voice.",
        description=_DESCRIPTION + _limits(settings),
        openapi_tags=_TAGS,
        lifespan=lifespan,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.gates = gates
    app.state.metrics = measured
    app.state.open_to = open_to
    app.state.cors_origins = listed(settings.cors_origins)
    app.state.allowed_hosts = listed(settings.allowed_hosts)
    problems.install(app)
    documents.install(app)
    app.add_middleware(Tagged)
    app.add_middleware(BodyLimit, most=round(settings.max_upload_mb * 1e6), seconds=BODY_S)
    app.add_middleware(
        GZipMiddleware,
        minimum_size=1000,
        compresslevel=5,
        exclude_content_types=(*DEFAULT_EXCLUDED_CONTENT_TYPES, "application/x-npy"),
    )
    if app.state.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(app.state.cors_origins),
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=[
                "authorization",
                "content-type",
                "idempotency-key",
                "if-none-match",
                "prefer",
                "range",
                "x-request-id",
            ],
            expose_headers=[
                "etag",
                "location",
                "retry-after",
                "x-request-id",
                "content-range",
                "idempotent-replayed",
            ],
        )
    app.add_middleware(Preflights, allowed=app.state.cors_origins)
    app.add_middleware(Heads)
    app.add_middleware(Requests, observe=measured.observe)
    app.add_middleware(Prefix, prefix=checked(settings.root_path))
    for routes in _ROUTES:
        app.include_router(routes.router)
    app.include_router(dashboard.router)  # last: it has the paths that nothing else has
    app.state.routes = [route for routes in (*_ROUTES, dashboard) for route in routes.router.routes]
    return app

"""Routes of the dashboard at ``/``: its files need no key, what they ask of the API does."""

from __future__ import annotations

import gzip
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.exceptions import HTTPException

from emotion_search.engine.api.dashboard.analysis import UploadAnalyse, analysis
from emotion_search.engine.api.dashboard.assets import Asset, assets, plotly
from emotion_search.engine.api.dashboard.peaks import peaks_of
from emotion_search.engine.api.dashboard.turns import turned_most
from emotion_search.engine.api.http.access import Reader
from emotion_search.engine.api.http.bodies import display_name, form_body, spooled
from emotion_search.engine.api.http.deps import GatesDep, LibraryDep
from emotion_search.engine.api.http.etags import is_known
from emotion_search.engine.library.library import Library

router = APIRouter(include_in_schema=False)

_POLICY = {
    "default-src": "'none'",
    "base-uri": "'none'",
    "connect-src": "'self'",
    "font-src": "'self'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "frame-src": "'self'",
    "img-src": "'self' blob:",
    "manifest-src": "'self'",
    "media-src": "blob:",
    "script-src": "'self'",
    "style-src": "'self'",
}
# plotly.js compiles its WebGL code at run time and writes styles. The frame that it runs in is
# sandboxed: an origin of its own, without the page's key, without a network.
_MAP_POLICY = {
    **_POLICY,
    "connect-src": "'none'",
    "frame-ancestors": "'self'",
    "frame-src": "'none'",
    "img-src": "data: blob:",
    "media-src": "'none'",
    "sandbox": "allow-scripts",
    "script-src": "'self' 'unsafe-eval'",
    "style-src": "'self' 'unsafe-inline'",
}
_PERMISSIONS = "camera=(), geolocation=(), microphone=(self), payment=(), usb=()"


@router.get("/")
def page(request: Request) -> Response:
    """The one page; which view it shows is named after the ``#`` of its address."""
    return _sent(request, assets()["index.html"], _POLICY)


@router.get("/assets/plotly.min.js")
def plotly_js(request: Request) -> Response:
    """plotly.js, which only the map asks for."""
    return _sent(request, plotly(), _MAP_POLICY, age=86_400)


@router.get("/assets/{name:path}")
def asset(request: Request, name: str) -> Response:
    """One of the dashboard's files."""
    found = assets().get(name)
    if found is None:
        raise HTTPException(404, "the dashboard has no such file")
    return _sent(request, found, _MAP_POLICY if name.startswith("map/") else _POLICY)


@router.get("/dashboard/recordings/{recording}/peaks")
async def peaks(
    library: LibraryDep,
    gates: GatesDep,
    recording: Annotated[int, Path(ge=1, lt=2**63)],
    _: Reader,
    channel: Annotated[int | None, Query(ge=0, lt=64)] = None,
) -> dict[str, Any]:
    """The outline of the sound of a recording, or of one of its channels: ``{"peaks": [0..255,
    ...]}`` in equal parts."""
    return {"peaks": await gates.uploads.run(peaks_of, library, recording, channel)}


@router.get("/dashboard/turns")
async def turns(library: LibraryDep, gates: GatesDep, _: Reader) -> dict[str, Any]:
    """Recordings whose emotion turned most; see ``turned_most``."""
    return await gates.pictures.run(turned_most, library)


@router.post("/dashboard/analyse")
async def analyse(
    request: Request, library: LibraryDep, gates: GatesDep, _: Reader
) -> dict[str, Any]:
    """The model's analysis of an uploaded file, which is not kept; see ``analysis``."""
    gates.uploads.refuse_if_full()
    async with gates.arriving.entered(), form_body(request, UploadAnalyse) as form:
        return await gates.uploads.run(_analysed, library, form)


def _analysed(library: Library, form: UploadAnalyse) -> dict[str, Any]:
    with spooled(form.file) as path:
        return analysis(library, path, display_name(form.file), form.window)


def _sent(request: Request, asset: Asset, policy: dict[str, str], age: int = 0) -> Response:
    headers = {
        "cache-control": f"public, max-age={age}" if age else "no-cache",
        "content-security-policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "cross-origin-opener-policy": "same-origin",
        # The map's frame is no origin's, so what it loads is for all.
        "cross-origin-resource-policy": "cross-origin" if policy is _MAP_POLICY else "same-origin",
        "etag": asset.etag,
        "permissions-policy": _PERMISSIONS,
        "referrer-policy": "no-referrer",
    }
    if is_known(request.headers.get("if-none-match"), asset.etag):
        return Response(status_code=304, headers=headers)
    content = asset.content
    if asset.packed:
        headers["vary"] = "accept-encoding"
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
        else:
            content = gzip.decompress(content)
    return Response(content, media_type=asset.media_type, headers=headers)

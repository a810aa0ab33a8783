"""The dashboard's static files, kept in memory: no part of a request is used as a path."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable

_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True)
class Asset:
    """A file as it is sent.

    Attributes:
        content: its bytes; those of gzip if ``packed``.
        etag: weak, as proxies may compress it.
    """

    content: bytes
    media_type: str
    etag: str
    packed: bool = False


@cache
def assets() -> dict[str, Asset]:
    """All files by name, such as ``js/app.js``, which is the one way to them."""
    return dict(_found(files("emotion_search.engine.api.dashboard") / "static", ""))


@cache
def plotly() -> Asset:
    """plotly.js out of the package of that name, compressed once and for all."""
    content = (files("plotly") / "package_data" / "plotly.min.js").read_bytes()
    packed = gzip.compress(content, 6, mtime=0)
    return Asset(packed, _TYPES["js"], f'W/"plotly-{version("plotly")}"', packed=True)


def _found(folder: Traversable, prefix: str) -> list[tuple[str, Asset]]:
    found = []
    for entry in folder.iterdir():
        name = prefix + entry.name
        if entry.is_dir():
            found += _found(entry, f"{name}/")
        elif (media_type := _TYPES.get(entry.name.rpartition(".")[2])) is not None:
            content = entry.read_bytes()
            etag = f'W/"{hashlib.sha256(content).hexdigest()[:32]}"'
            found.append((name, Asset(content, media_type, etag)))
    return found

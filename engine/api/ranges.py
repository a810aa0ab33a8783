"""Audio as bytes in memory, and one HTTP range of them (RFC 9110, section 14)."""

from __future__ import annotations

import io
import re

import soundfile
from fastapi import Request, Response

from engine.api.problems import problem
from engine.audio import Samples

_ONE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})$")


def wav(samples: Samples, rate: int) -> bytes:
    """Samples (float32, (n,)) at ``rate`` Hz as a file of 16-bit WAV."""
    content = io.BytesIO()
    soundfile.write(content, samples, rate, format="WAV", subtype="PCM_16")
    return content.getvalue()


def ranged(request: Request, content: bytes, *, media_type: str, etag: str) -> Response:
    """The whole (200), the part asked for (206), or a 416 problem if it begins beyond the end.

    A header that is not one range of bytes is ignored, as is one whose ``If-Range`` names another
    version.
    """
    size = len(content)
    headers = {
        "accept-ranges": "bytes",
        "etag": etag,
        "cache-control": "private, max-age=3600",
    }
    found = _ONE.match(request.headers.get("range", "").strip())
    if request.headers.get("if-range", etag) != etag or not found or not any(found.groups()):
        return Response(content, media_type=media_type, headers=headers)
    first, last = found.groups()
    start = int(first) if first else max(0, size - int(last))
    stop = min(int(last) + 1, size) if first and last else size
    if first and last and int(last) < start:
        return Response(content, media_type=media_type, headers=headers)
    if start >= size:
        return problem(
            416, None, f"the audio has {size} bytes", {"content-range": f"bytes */{size}"}
        )
    headers["content-range"] = f"bytes {start}-{stop - 1}/{size}"
    return Response(content[start:stop], 206, media_type=media_type, headers=headers)

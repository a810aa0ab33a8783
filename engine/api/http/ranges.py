"""HTTP range requests (RFC 9110, section 14) for audio in memory."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import Header, Response

from emotion_search.engine.api.http.etags import KEEP
from emotion_search.engine.api.http.openapi import BINARY, UNCHANGED, answers, headers
from emotion_search.engine.api.http.problems import problem

Range = Annotated[
    str | None, Header(alias="Range", description="One range of bytes, as `bytes=0-999`.")
]
IfRange = Annotated[
    str | None, Header(alias="If-Range", description="Only if this is still the ETag.")
]
_SENT = headers("ETag", "Accept-Ranges")
AUDIO: dict[int | str, dict[str, Any]] = {
    200: {"content": {"audio/wav": BINARY}, "headers": _SENT},
    206: {
        "content": {"audio/wav": BINARY},
        "description": "The range asked for.",
        "headers": {**_SENT, **headers("Content-Range")},
    },
    **UNCHANGED,
    **answers(416, 429),
}
"""What routes answer that give audio."""

_ONE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})$")


def ranged(content: bytes, asked: str | None, if_range: str | None, *, etag: str) -> Response:
    """The whole (200), the part asked for (206), or a 416 problem if it begins beyond the end.

    A header that is not one range of bytes is ignored, as is one whose ``If-Range`` names another
    version.
    """
    size = len(content)
    sent = {"accept-ranges": "bytes", "etag": etag, **KEEP}
    found = _ONE.match((asked or "").strip())
    if (if_range or etag) != etag or not found or not any(found.groups()):
        return Response(content, media_type="audio/wav", headers=sent)
    first, last = found.groups()
    start = int(first) if first else max(0, size - int(last))
    stop = min(int(last) + 1, size) if first and last else size
    if first and last and int(last) < start:
        return Response(content, media_type="audio/wav", headers=sent)
    if start >= size:
        return problem(
            416, None, f"the audio has {size} bytes", {"content-range": f"bytes */{size}"}
        )
    sent["content-range"] = f"bytes {start}-{stop - 1}/{size}"
    return Response(content[start:stop], 206, media_type="audio/wav", headers=sent)

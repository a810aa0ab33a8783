"""Clips: list, read, hear."""

from __future__ import annotations

import io
from typing import Annotated

import soundfile
from fastapi import APIRouter, Path, Query, Request, Response

from engine.api.deps import LibraryDep
from engine.api.models import ClipOut, ClipPage, ClipQuery, clip_out
from engine.api.ranges import ranged

router = APIRouter(prefix="/v1/clips", tags=["clips"])

ClipId = Annotated[int, Path(ge=1, lt=2**63, description="Id of the clip.")]


@router.get("", summary="List clips")
def list_clips(library: LibraryDep, query: Annotated[ClipQuery, Query()]) -> ClipPage:
    """Clips that pass the filters, by ascending id, a page at a time."""
    clips = library.clips(query.wanted(), limit=query.limit + 1, after_id=query.cursor)
    page = clips[: query.limit]
    return ClipPage(
        data=[clip_out(clip) for clip in page],
        next=page[-1].id if len(clips) > len(page) else None,
    )


@router.get("/{clip}", summary="Read a clip")
def read_clip(library: LibraryDep, clip: ClipId) -> ClipOut:
    """One clip, with labels, metadata and scores."""
    return clip_out(library.clip(clip))


@router.get(
    "/{clip}/audio",
    summary="Hear a clip",
    response_class=Response,
    responses={
        200: {"content": {"audio/wav": {}}},
        206: {"content": {"audio/wav": {}}, "description": "The range asked for."},
    },
)
def clip_audio(request: Request, library: LibraryDep, clip: ClipId) -> Response:
    """Exactly the clip's span as 16-bit WAV at its own sample rate; one HTTP range is served."""
    samples, rate, details = library.clip_audio(clip)
    content = io.BytesIO()
    soundfile.write(content, samples, rate, format="WAV", subtype="PCM_16")
    etag = f'"{details.sha256[:32]}-{clip}"'
    return ranged(request, content.getvalue(), media_type="audio/wav", etag=etag)

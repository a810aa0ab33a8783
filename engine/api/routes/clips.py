"""Clips: list, read, hear, take the embedding, label."""

from __future__ import annotations

import io
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Path, Query, Request, Response
from starlette.exceptions import HTTPException

from emotion_search.engine.api.http.access import Reader, Writer
from emotion_search.engine.api.http.deps import (
    GatesDep,
    LibraryDep,
    in_thread,
    json_body,
    media_type,
)
from emotion_search.engine.api.http.etags import IfNoneMatch, is_known, unchanged, unless_known
from emotion_search.engine.api.http.openapi import BINARY, UNCHANGED, headers, json_or_form
from emotion_search.engine.api.http.ranges import HEARD, IfRange, Range, ranged, wav
from emotion_search.engine.api.wire.clips import (
    ClipOut,
    ClipPage,
    ClipQuery,
    LabelIn,
    Text,
    clip_out,
)
from emotion_search.engine.files.values import LONGEST, check_text
from emotion_search.index.database.clips import owner_of, vectors_of
from emotion_search.index.database.models import active_model
from emotion_search.index.errors import NotFoundError

router = APIRouter(prefix="/v1/clips", tags=["clips"])

ClipId = Annotated[int, Path(ge=1, lt=2**63, description="Id of the clip.")]
Task = Annotated[
    Text, Path(min_length=1, max_length=LONGEST, description="Task, such as `emotion`.")
]
_TAGGED = headers("ETag")
_UNCHANGED: dict[int | str, dict[str, object]] = {
    200: {"headers": _TAGGED},
    **UNCHANGED,
}


@router.get("", summary="List clips")
def list_clips(library: LibraryDep, query: Annotated[ClipQuery, Query()], _: Reader) -> ClipPage:
    """Clips that pass the filters, by ascending id, a page at a time."""
    clips = library.clips(query.wanted(), limit=query.limit + 1, after_id=query.cursor)
    page = clips[: query.limit]
    return ClipPage(
        data=[clip_out(clip) for clip in page],
        next=page[-1].id if len(clips) > len(page) else None,
    )


@router.get("/{clip}", summary="Read a clip", response_model=ClipOut, responses=_UNCHANGED)
def read_clip(
    library: LibraryDep, clip: ClipId, _: Reader, if_none_match: IfNoneMatch = None
) -> Response:
    """One clip, with labels, metadata and scores. Its ETag changes with any of them."""
    content = clip_out(library.clip(clip)).model_dump_json().encode()
    return unless_known(content, "application/json", if_none_match)


@router.get(
    "/{clip}/audio",
    summary="Hear a clip",
    response_class=Response,
    responses={**_UNCHANGED, **HEARD},
)
async def clip_audio(
    library: LibraryDep,
    gates: GatesDep,
    clip: ClipId,
    _: Reader,
    if_none_match: IfNoneMatch = None,
    range_: Range = None,
    if_range: IfRange = None,
) -> Response:
    """Exactly the clip's span as 16-bit WAV at its own sample rate; one HTTP range is served."""
    etag = f'"{(await in_thread(library.clip, clip)).sha256[:32]}-{clip}"'
    if is_known(if_none_match, etag):
        return unchanged(etag)
    samples, rate, _details = await gates.pictures.run(library.clip_audio, clip)
    return ranged(wav(samples, rate), range_, if_range, media_type="audio/wav", etag=etag)


@router.get(
    "/{clip}/embedding",
    summary="Take a clip's embedding",
    response_class=Response,
    responses={
        **_UNCHANGED,
        200: {"content": {"application/x-npy": BINARY}, "headers": _TAGGED},
    },
)
def clip_embedding(
    library: LibraryDep, clip: ClipId, _: Reader, if_none_match: IfNoneMatch = None
) -> Response:
    """The stored embedding as a NumPy file: float32, (dimension,), not in any space."""
    with library.database.read() as session:
        model = active_model(session)
        if model is None:
            raise NotFoundError(f"no clip {clip} in this archive")
        owner_of(session, clip)  # a clip that is not there is told as such
        (vector,) = vectors_of(session, model, [clip])
    content = io.BytesIO()
    np.save(content, vector)
    return unless_known(content.getvalue(), "application/x-npy", if_none_match)


@router.put(
    "/{clip}/labels/{task:path}",
    summary="Label a clip",
    openapi_extra={"requestBody": json_or_form(LabelIn)},
)
async def label(
    request: Request, library: LibraryDep, clip: ClipId, task: Task, _: Writer
) -> ClipOut:
    """Says what is heard in a clip, under a task; what was said under it before is replaced."""
    if media_type(request) != "application/json":
        raise HTTPException(415, "send application/json with 'value'")
    said = await json_body(request, LabelIn)  # read here: only once the key is known to be good
    value = check_text("value", said.value)
    return await in_thread(_labelled, library, clip, check_text("task", task), value)


@router.delete("/{clip}/labels/{task:path}", summary="Take a label away")
def unlabel(library: LibraryDep, clip: ClipId, task: Task, _: Writer) -> ClipOut:
    """Takes away what was said under the task; it is no fault if nothing was."""
    return _labelled(library, clip, check_text("task", task), None)


def _labelled(library: LibraryDep, clip: int, task: str, value: str | None) -> ClipOut:
    if library.label([(clip, task, value)]):
        raise NotFoundError(f"no clip {clip} in this archive")
    return clip_out(library.clip(clip))

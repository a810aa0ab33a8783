"""Clips: list, read, play, take the embedding, label."""

from __future__ import annotations

import io
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Path, Query, Request, Response

from emotion_search.engine.api.http.access import Reader, Writer
from emotion_search.engine.api.http.bodies import json_body
from emotion_search.engine.api.http.deps import GatesDep, LibraryDep, in_thread
from emotion_search.engine.api.http.etags import IfNoneMatch, is_known, unchanged
from emotion_search.engine.api.http.openapi import BINARY, answers, json_or_form
from emotion_search.engine.api.http.ranges import AUDIO, IfRange, Range, ranged
from emotion_search.engine.api.wire.annotations import LabelIn
from emotion_search.engine.api.wire.clips import ClipOut, ClipPage, clip_out
from emotion_search.engine.api.wire.filters import SortedQuery, Text, page_of
from emotion_search.engine.audio.samples import wav
from emotion_search.engine.files.values import LONGEST, check_text
from emotion_search.index.errors import NotFoundError

router = APIRouter(prefix="/v1/clips", tags=["clips"])

ClipId = Annotated[int, Path(ge=1, lt=2**63, description="Id of the clip.")]
Task = Annotated[
    Text, Path(min_length=1, max_length=LONGEST, description="Task, such as `emotion`.")
]


@router.get("", summary="List clips", responses=answers(404))
def list_clips(library: LibraryDep, query: Annotated[SortedQuery, Query()], _: Reader) -> ClipPage:
    """Clips that pass the filters, by ascending id or as `sort` says, a page at a time.

    Sorted, ties go by id, so that no clip is left out or comes twice.
    """
    if query.sort is not None:
        found = library.sorted_clips(
            query.sort,
            query.wanted(),
            ascending=query.order == "asc",
            limit=query.limit,
            after=query.cursor,
        )
        return ClipPage(data=[clip_out(one.clip) for one in found.clips], next=found.next)
    clips = library.clips(query.wanted(), limit=query.limit + 1, after_id=query.after_id())
    page, following = page_of(clips, query.limit)
    return ClipPage(data=[clip_out(clip) for clip in page], next=following)


@router.get("/{clip}", summary="Read a clip")
def read_clip(library: LibraryDep, clip: ClipId, _: Reader) -> ClipOut:
    """One clip, with labels, metadata and scores. Its ETag changes with any of them."""
    return clip_out(library.clip(clip))


@router.get("/{clip}/audio", summary="Play a clip", response_class=Response, responses=AUDIO)
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
    return ranged(wav(samples, rate), range_, if_range, etag=etag)


@router.get(
    "/{clip}/embedding",
    summary="Take a clip's embedding",
    response_class=Response,
    responses={200: {"content": {"application/x-npy": BINARY}}},
)
def clip_embedding(library: LibraryDep, clip: ClipId, _: Reader) -> Response:
    """The stored embedding as a NumPy file: float32, (dimension,), not in any space."""
    content = io.BytesIO()
    np.save(content, library.embedding(clip))
    return Response(content.getvalue(), media_type="application/x-npy")


@router.put(
    "/{clip}/labels/{task:path}",
    summary="Label a clip",
    openapi_extra={"requestBody": json_or_form(LabelIn)},
)
async def label(
    request: Request, library: LibraryDep, clip: ClipId, task: Task, _: Writer
) -> ClipOut:
    """Labels a clip under a task; its label of before under that task is replaced."""
    value = check_text("value", (await json_body(request, LabelIn)).value)
    return await in_thread(_labelled, library, clip, check_text("task", task), value)


@router.delete("/{clip}/labels/{task:path}", summary="Take a label away")
def unlabel(library: LibraryDep, clip: ClipId, task: Task, _: Writer) -> ClipOut:
    """Takes away the label under the task; it is no fault if there was none."""
    return _labelled(library, clip, check_text("task", task), None)


def _labelled(library: LibraryDep, clip: int, task: str, value: str | None) -> ClipOut:
    if library.label([(clip, task, value)]):
        raise NotFoundError(f"no clip {clip} in this archive")
    return clip_out(library.clip(clip))

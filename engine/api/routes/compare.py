"""Comparison of clips and files, each with each."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated

from fastapi import APIRouter, Query, Request

from emotion_search.engine.api.http.access import Reader
from emotion_search.engine.api.http.bodies import MOST_FILES, display_name, form_body, spooled
from emotion_search.engine.api.http.deps import GatesDep, LibraryDep
from emotion_search.engine.api.http.openapi import answers, json_or_form
from emotion_search.engine.api.wire import compare as wire
from emotion_search.engine.library.compare import compare_in
from emotion_search.engine.library.library import Library
from emotion_search.engine.query.examples import FileExample
from emotion_search.index.errors import AudioError

router = APIRouter(prefix="/v1", tags=["search"])


@router.get("/compare", summary="Compare clips", responses=answers(404, 429))
async def compare_clips(
    library: LibraryDep, gates: GatesDep, query: Annotated[wire.CompareQuery, Query()], _: Reader
) -> wire.CompareOut:
    """How alike clips are, each to each, with their emotions."""
    return wire.compare_out(await gates.queries.run(compare_in, library, query.clip), query.clip)


@router.post(
    "/compare",
    summary="Compare files with clips and each other",
    openapi_extra={"requestBody": json_or_form(form=wire.UploadCompare)},
)
async def compare_files(
    request: Request, library: LibraryDep, gates: GatesDep, _: Reader
) -> wire.CompareOut:
    """How alike uploaded files and clips are, each to each, with their emotions. Files are not
    kept; one that cannot be used is named, and the others are compared."""
    gates.uploads.refuse_if_full()
    async with (
        gates.arriving.entered(),
        form_body(request, wire.UploadCompare, files=MOST_FILES) as form,
    ):
        return await gates.uploads.run(_compared, library, form)


def _compared(library: Library, form: wire.UploadCompare) -> wire.CompareOut:
    with ExitStack() as stack:
        files = [
            FileExample(stack.enter_context(spooled(one)), display_name(one)) for one in form.file
        ]
        longest = library.settings.max_example_minutes * 60
        found = compare_in(library, [*form.clip, *files], longest=longest)
    if len(found.things) < 2:
        why = "; ".join(reason for _, reason in found.unusable) or "give two at least"
        raise AudioError(f"fewer than two of them can be compared: {why}")
    return wire.compare_out(found, form.clip)

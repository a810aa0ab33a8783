"""Query by example: clips like clips, stretches, vectors or files."""

from __future__ import annotations

import contextlib
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from emotion_search.engine.api.http import problems
from emotion_search.engine.api.http.access import Reader
from emotion_search.engine.api.http.bodies import (
    MOST_FILES,
    display_name,
    form_body,
    json_body,
    media_type,
    spooled,
)
from emotion_search.engine.api.http.deps import GatesDep, LibraryDep
from emotion_search.engine.api.http.openapi import json_or_form
from emotion_search.engine.api.wire import search as wire
from emotion_search.engine.api.wire.clips import hit_body, model_name
from emotion_search.engine.api.wire.problems import Problem
from emotion_search.engine.library.library import Library
from emotion_search.engine.query.examples import FileExample
from emotion_search.engine.query.query import Query, answer
from emotion_search.index.errors import EmotionSearchError, InvalidInputError

router = APIRouter(prefix="/v1", tags=["search"])


@router.post(
    "/search",
    summary="Find clips that sound like examples",
    response_model=wire.SearchOut,
    openapi_extra={"requestBody": json_or_form(wire.SearchIn, wire.UploadSearch)},
)
async def search(request: Request, library: LibraryDep, gates: GatesDep, _: Reader) -> Any:
    """Examples are clips, stretches of recordings and vectors (JSON), or uploaded audio files (a
    form with parts `file` and `negative_file`, and either fields or `query`).

    The query is the mean direction of the positive examples, less a quarter of that of the
    negative ones. The examples' own clips are never hits; uploads are not kept, and one whose bytes
    the archive has stands for that recording. A filter that nothing passes gives an empty list.
    """
    kind = media_type(request)
    if kind == "application/json":
        asked = await json_body(request, wire.SearchIn)
        query = asked.with_examples(*asked.examples())
        return await gates.queries.run(_answer, library, query)
    if kind == "multipart/form-data":
        gates.uploads.refuse_if_full()  # before the files are sent, where that can be known
        async with (
            gates.arriving.entered(),
            form_body(request, wire.UploadSearch, files=MOST_FILES) as form,
        ):
            return await gates.uploads.run(_by_files, library, form)
    raise HTTPException(
        415, "send application/json with examples, or multipart/form-data with a file"
    )


@router.post(
    "/search/batch",
    summary="Answer several searches at once",
    response_model=wire.BatchOut,
    openapi_extra={"requestBody": json_or_form(wire.BatchIn)},
)
async def search_batch(request: Request, library: LibraryDep, gates: GatesDep, _: Reader) -> Any:
    """Up to 50 searches, each as `/v1/search` takes it as JSON; one that cannot be answered has its
    own problem and does not spoil the others."""
    asked = await json_body(request, wire.BatchIn)
    return await gates.queries.run(_answers, library, asked)


def _by_files(library: Library, form: wire.UploadSearch) -> Response:
    asked = form.query
    beside = form.model_fields_set - {"query", "file", "negative_file"}
    if asked and beside:
        raise InvalidInputError(f"give '{min(beside)}' inside of 'query', not beside it")
    positive, negative = asked.examples() if asked else ([], [])
    if not (form.file or form.negative_file or positive):
        raise InvalidInputError("the form needs a part 'file' with an audio file")
    with contextlib.ExitStack() as stack:

        def example(file: UploadFile) -> FileExample:
            return FileExample(stack.enter_context(spooled(file)), display_name(file))

        positive += map(example, form.file)
        negative += map(example, form.negative_file)
        return _answer(library, (asked or form).with_examples(positive, negative))


def _answer(library: Library, query: Query) -> Response:
    """The answer as JSON, written on the worker's thread and checked against nothing: it is the
    route that is called most, and tests hold it to its model."""
    return Response(to_json(_found(library, query)), media_type="application/json")


def _found(library: Library, query: Query) -> dict[str, Any]:
    found = answer(library, query, longest=library.settings.max_example_minutes * 60)
    return {"hits": [hit_body(hit) for hit in found.hits], "model": model_name(found.model.name)}


def _answers(library: Library, asked: wire.BatchIn) -> wire.BatchOut:
    results = []
    for one in asked.queries:
        try:
            found = wire.SearchOut.model_validate(
                _found(library, one.with_examples(*one.examples()))
            )
            results.append(wire.BatchResult(answer=found))
        except EmotionSearchError as error:
            fault = problems.body(**problems.explain(error))
            results.append(wire.BatchResult(problem=Problem.model_validate(fault)))
    return wire.BatchOut(results=results)

"""Query by example."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic_core import to_json
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from emotion_search.engine.api.http import problems
from emotion_search.engine.api.http.access import Reader
from emotion_search.engine.api.http.deps import (
    LARGEST_JSON,
    GatesDep,
    LibraryDep,
    display_name,
    files_of,
    form_fields,
    json_body,
    media_type,
    spooled,
    upload_form,
    validated,
)
from emotion_search.engine.api.http.openapi import MOST_FILES, form_body, json_or_form
from emotion_search.engine.api.wire.clips import hit_body, model_name
from emotion_search.engine.api.wire.problems import Problem
from emotion_search.engine.api.wire.search import (
    BatchIn,
    BatchOut,
    BatchResult,
    JsonSearch,
    SearchIn,
    SearchOptions,
    SearchOut,
)
from emotion_search.engine.library.library import Library
from emotion_search.engine.query.examples import FileExample
from emotion_search.engine.query.query import Query, answer
from emotion_search.index.errors import EmotionSearchError, InvalidInputError

router = APIRouter(prefix="/v1", tags=["search"])

_LISTS = frozenset(
    {"source", "label", "speaker", "channel", "metadata", "emotion", "predicted", "cluster"}
)
_FILES = frozenset({"file", "negative_file"})
_UPLOAD = form_body(
    SearchOptions,
    "UploadSearch",
    files={
        "file": "Audio files that hits should sound like.",
        "negative_file": "Audio files that they should not sound like.",
    },
    texts={"query": "Instead of the other fields: the object that a JSON search takes."},
)


@router.post(
    "/search",
    summary="Find clips that sound like examples",
    response_model=SearchOut,
    openapi_extra={"requestBody": json_or_form(JsonSearch, _UPLOAD)},
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
        asked = await json_body(request, JsonSearch)
        query = asked.query(*asked.examples())
        return await gates.queries.run(_answer, library, query)
    if kind == "multipart/form-data":
        gates.uploads.refuse_if_full()  # before the files are sent, where that can be known
        async with gates.arriving.entered(), upload_form(request, MOST_FILES) as form:
            options, asked_form = _options(form)
            files = files_of(form, "file"), files_of(form, "negative_file")
            if not any(files) and not asked_form.positive and asked_form.clip is None:
                raise InvalidInputError("the form needs a part 'file' with an audio file")
            return await gates.uploads.run(_by_files, library, options, asked_form, *files)
    raise HTTPException(
        415, "send application/json with examples, or multipart/form-data with a file"
    )


@router.post(
    "/search/batch",
    summary="Answer several searches at once",
    response_model=BatchOut,
    openapi_extra={"requestBody": json_or_form(BatchIn)},
)
async def search_batch(request: Request, library: LibraryDep, gates: GatesDep, _: Reader) -> Any:
    """Up to 50 searches, each as `/v1/search` takes it as JSON; one that fails has its own problem
    and does not spoil the others."""
    if media_type(request) != "application/json":
        raise HTTPException(415, "send application/json with 'queries'")
    asked = await json_body(request, BatchIn)
    return await gates.queries.run(_answers, library, asked)


def _options(form: FormData) -> tuple[SearchOptions, SearchIn]:
    """The form's fields, or what its ``query`` says."""
    fields = form_fields(form, _LISTS, _FILES)
    if "query" not in fields:
        return validated(SearchOptions, fields), SearchIn()
    if len(fields) > 1:
        other = min(fields.keys() - {"query"})
        raise InvalidInputError(f"give '{other}' inside of 'query', not beside it")
    text = fields["query"]
    if isinstance(text, UploadFile):  # as browsers send a Blob
        text = text.file.read(LARGEST_JSON)
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"the part 'query' is not JSON ({error})") from error
    asked = validated(SearchIn, told)
    return asked, asked


def _by_files(
    library: Library,
    options: SearchOptions,
    asked: SearchIn,
    files: list[UploadFile],
    against: list[UploadFile],
) -> Response:
    positive, negative = asked.examples()
    with contextlib.ExitStack() as stack:

        def example(file: UploadFile) -> FileExample:
            return FileExample(stack.enter_context(spooled(file)), display_name(file))

        positive += map(example, files)
        negative += map(example, against)
        return _answer(library, options.query(positive, negative))


def _answer(library: Library, query: Query) -> Response:
    """The answer as JSON, written on the worker's thread and checked against nothing: it is the
    route that is called most, and tests hold it to its model."""
    return Response(to_json(_told(library, query)), media_type="application/json")


def _told(library: Library, query: Query) -> dict[str, Any]:
    found = answer(library, query, longest=library.settings.max_example_minutes * 60)
    return {
        "hits": [hit_body(hit) for hit in found.hits],
        "model": model_name(found.model.name),
    }


def _answers(library: Library, asked: BatchIn) -> BatchOut:
    results = []
    for given in asked.queries:
        try:
            one = validated(JsonSearch, given)
            told = SearchOut.model_validate(_told(library, one.query(*one.examples())))
            results.append(BatchResult(answer=told))
        except (EmotionSearchError, RequestValidationError) as error:
            fault = problems.body(**problems.explain(error))
            results.append(BatchResult(problem=Problem.model_validate(fault)))
    return BatchOut(results=results)

"""Classifiers, and suggestions of what to label."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from emotion_search.engine.api.http.access import Reader
from emotion_search.engine.api.http.deps import GatesDep, LibraryDep
from emotion_search.engine.api.http.openapi import answers
from emotion_search.engine.api.wire import classifiers as wire
from emotion_search.engine.api.wire.clips import clip_body
from emotion_search.engine.classify.suggest import NothingToSuggestError

router = APIRouter(prefix="/v1", tags=["learned"])


@router.get(
    "/suggestions",
    summary="Clips most worth labelling next",
    response_model=wire.Suggestions,
    responses=answers(404, 429),
)
async def suggestions(
    library: LibraryDep, gates: GatesDep, query: Annotated[wire.SuggestQuery, Query()], _: Reader
) -> wire.Suggestions:
    """Unlabelled clips: with a classifier of the task, drawn the likelier the more it doubts them,
    the most doubtful first; without one yet, clips typical of parts of the archive. None where all
    that pass the filters are labelled."""
    wanted = query.wanted()
    try:
        found = await gates.pictures.run(
            library.suggest, wanted.task, limit=query.limit, wanted=wanted
        )
    except NothingToSuggestError:  # the end of a labeller's work is no fault
        found = []
    return wire.Suggestions(
        data=[
            wire.SuggestionOut.model_validate({**vars(one), **clip_body(one.clip)}) for one in found
        ]
    )


@router.get("/classifiers", summary="List the classifiers")
def list_classifiers(library: LibraryDep, _: Reader) -> wire.Classifiers:
    """All of them, by task and version."""
    return wire.Classifiers(data=[wire.classifier_out(one) for one in library.classifiers()])

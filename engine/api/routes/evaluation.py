"""Evaluation of retrieval on labelled clips."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from emotion_search.engine.api.http.access import Reader
from emotion_search.engine.api.http.deps import GatesDep, LibraryDep
from emotion_search.engine.api.http.openapi import answers
from emotion_search.engine.api.wire.evaluation import EvaluationOut, EvaluationQuery, evaluated

router = APIRouter(prefix="/v1", tags=["learned"])


@router.get(
    "/evaluation", summary="How good retrieval is on labelled clips", responses=answers(404, 429)
)
async def evaluation(
    library: LibraryDep, gates: GatesDep, query: Annotated[EvaluationQuery, Query()], _: Reader
) -> EvaluationOut:
    """Query by example of labelled clips among those of other speakers: mAP, precision and recall
    beside chance; triplets with confounds and whose the nearest clips are; the model's own class
    scores; classifiers on speakers that they were not trained on. Takes seconds, of many clips
    minutes."""
    return await gates.pictures.run(evaluated, library, query)

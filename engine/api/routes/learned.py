"""What was learned from the archive: maps, clusterings, classifiers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from emotion_search.engine.api.http.access import Reader
from emotion_search.engine.api.http.deps import GatesDep, LibraryDep
from emotion_search.engine.api.http.openapi import answers
from emotion_search.engine.api.wire.clips import clip_fields
from emotion_search.engine.api.wire.evaluation import EvaluationOut, EvaluationQuery, evaluation_out
from emotion_search.engine.api.wire.learned import (
    Classifiers,
    ClusteringDetails,
    Clusterings,
    MapOut,
    MapQuery,
    Point,
    SuggestionOut,
    Suggestions,
    SuggestQuery,
    classifier_out,
    clustering_details,
    clustering_out,
)
from emotion_search.engine.classify.suggest import NothingToSuggestError
from emotion_search.engine.files.values import LONGEST
from emotion_search.engine.library.library import Library
from emotion_search.index.database.text import clean

router = APIRouter(prefix="/v1", tags=["learned"])

Name = Annotated[str, Path(max_length=LONGEST, description="Name of the clustering.")]


@router.get("/map", summary="Clips as points in a plane", responses=answers(404, 429))
async def read_map(
    library: LibraryDep, gates: GatesDep, query: Annotated[MapQuery, Query()], _: Reader
) -> MapOut:
    """The clips that pass the filters, or a sample of them, projected by PCA or UMAP.

    Points are kept until clips come or go; labels, predictions and clusters are always fresh.
    """
    return await gates.pictures.run(_map, library, query)


def _map(library: Library, query: MapQuery) -> MapOut:
    made = library.map(
        method=query.method,
        limit=query.limit,
        task=query.task,
        clustering=None if query.clustering is None else clean("clustering", query.clustering),
        wanted=query.wanted(),
    )
    known = made.known
    rows = enumerate(zip(made.ids.tolist(), made.xy.tolist(), strict=True))
    return MapOut(
        points=[
            Point(
                clip=clip,
                x=x,
                y=y,
                label=known.label.of(row),
                predicted=known.predicted.of(row),
                emotion=known.emotion.of(row),
                source=known.source.of(row),
                speaker=known.speaker.of(row),
                cluster=made.cluster.of(row) if made.cluster else None,
            )
            for row, (clip, (x, y)) in rows
        ],
        clips=made.clips,
        method=made.method,
        explained=made.explained,
        revision=made.revision,
        space=made.space_version,
    )


@router.get("/clusterings", summary="List the saved clusterings")
def list_clusterings(library: LibraryDep, _: Reader) -> Clusterings:
    """All of them, by name."""
    return Clusterings(data=[clustering_out(one) for one in library.clusterings()])


@router.get("/clusterings/{name:path}", summary="Read a clustering")
def read_clustering(library: LibraryDep, name: Name, _: Reader) -> ClusteringDetails:
    """One of them, with what each of its clusters holds."""
    return clustering_details(library.clustering(clean("name", name)))


@router.get(
    "/suggestions",
    summary="Clips most worth labelling next",
    response_model=Suggestions,
    responses=answers(404, 429),
)
async def suggestions(
    library: LibraryDep, gates: GatesDep, query: Annotated[SuggestQuery, Query()], _: Reader
) -> Suggestions:
    """Unlabelled clips, best first: those that the task's classifier doubts most, none like
    another; without a classifier yet, clips typical of parts of the archive. None where all that
    pass the filters are labelled."""
    try:
        found = await gates.pictures.run(
            library.suggest, query.task, limit=query.limit, wanted=query.wanted()
        )
    except NothingToSuggestError:  # the end of a labeller's work is no fault
        found = []
    return Suggestions(
        data=[
            SuggestionOut.model_validate(
                {
                    **clip_fields(one.clip),
                    "value": one.value,
                    "probability": one.probability,
                    "uncertainty": one.uncertainty,
                    "why": one.why,
                }
            )
            for one in found
        ]
    )


@router.get(
    "/evaluation", summary="How good retrieval is on labelled clips", responses=answers(404, 429)
)
async def evaluation(
    library: LibraryDep, gates: GatesDep, query: Annotated[EvaluationQuery, Query()], _: Reader
) -> EvaluationOut:
    """Query by example of labelled clips among those of other speakers: mAP, precision and recall
    beside chance, and classifiers on speakers they did not hear. Takes seconds, of many clips
    minutes."""
    return await gates.pictures.run(_evaluated, library, query)


def _evaluated(library: Library, query: EvaluationQuery) -> EvaluationOut:
    from emotion_search.engine.quality.evaluate import (
        evaluate,  # scikit-learn and torch come with it
    )

    data, space = library.labelled(query.task)
    return evaluation_out(evaluate(data, space, gallery=query.gallery()))


@router.get("/classifiers", summary="List the classifiers")
def list_classifiers(library: LibraryDep, _: Reader) -> Classifiers:
    """All of them, by task and version."""
    return Classifiers(data=[classifier_out(one) for one in library.classifiers()])

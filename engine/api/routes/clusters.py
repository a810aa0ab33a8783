"""Maps and saved clusterings."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from emotion_search.engine.api.http.access import Reader
from emotion_search.engine.api.http.deps import GatesDep, LibraryDep
from emotion_search.engine.api.http.openapi import answers
from emotion_search.engine.api.wire import clusters as wire
from emotion_search.engine.files.values import LONGEST
from emotion_search.engine.library.library import Library
from emotion_search.index.database.text import clean

router = APIRouter(prefix="/v1", tags=["learned"])

Name = Annotated[str, Path(max_length=LONGEST, description="Name of the clustering.")]


@router.get("/map", summary="Clips as points in a plane", responses=answers(404, 429))
async def read_map(
    library: LibraryDep, gates: GatesDep, query: Annotated[wire.MapQuery, Query()], _: Reader
) -> wire.MapOut:
    """The clips that pass the filters, or a sample of them, projected by PCA or UMAP.

    Points are kept until clips come or go; labels, predictions and clusters are always fresh.
    """
    return await gates.pictures.run(_map, library, query)


def _map(library: Library, query: wire.MapQuery) -> wire.MapOut:
    wanted = query.wanted()
    made = library.map(
        method=query.method,
        limit=query.limit,
        task=wanted.task,
        clustering=None if query.clustering is None else clean("clustering", query.clustering),
        wanted=wanted,
    )
    points = list(made.records())
    return wire.MapOut.model_validate({**vars(made), "points": points, "space": made.space_version})


@router.get("/clusterings", summary="List the saved clusterings")
def list_clusterings(library: LibraryDep, _: Reader) -> wire.Clusterings:
    """All of them, by name."""
    return wire.Clusterings(data=[wire.clustering_out(one) for one in library.clusterings()])


@router.get("/clusterings/{name:path}", summary="Read a clustering")
def read_clustering(library: LibraryDep, name: Name, _: Reader) -> wire.ClusteringDetails:
    """One of them, with what each of its clusters holds."""
    return wire.clustering_details(library.clustering(clean("name", name)))

"""Maps and clusterings: their query parameters and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from emotion_search.engine.api.wire.clips import model_name
from emotion_search.engine.api.wire.filters import Filters, Text
from emotion_search.index.database.clusterings import ClusteringInfo

MOST_POINTS = 20_000
"""Most points of a map in one answer."""


class MapQuery(Filters):
    """Parameters of a map."""

    limit: int = Field(
        default=2000,
        ge=3,
        le=MOST_POINTS,
        description="Most points; of more clips, a random sample, always the same.",
    )
    method: Literal["pca", "umap"] = Field(
        default="pca", description="The plane of most variance, or of neighbours (much slower)."
    )
    clustering: Text | None = Field(
        default=None, description="Name of a saved clustering, whose cluster each point then has."
    )


class Point(BaseModel):
    """A clip in the plane."""

    clip: int
    x: float
    y: float
    label: str | None = Field(description="Given by a person under the task.")
    predicted: str | None = Field(description="Predicted by a classifier under the task.")
    emotion: str | None = Field(description="The likeliest class by the embedding model's scores.")
    source: str | None
    speaker: str | None
    cluster: str | None = Field(description="Its number, or `noise`; null if none was asked for.")


class MapOut(BaseModel):
    """Clips as points in a plane."""

    points: list[Point] = Field(description="By ascending clip.")
    clips: int = Field(description="How many clips pass; the points are a sample of them.")
    method: Literal["pca", "umap"]
    explained: tuple[float, float] | None = Field(
        description="Share of the variance that each axis holds, of PCA."
    )
    revision: int = Field(description="Of the archive; the same points come while it stays.")
    space: int = Field(description="Version of the space that the embeddings were taken in.")


class ExcessOut(BaseModel):
    """A value that a cluster has more of than all clips have."""

    value: str
    clips: int
    share: float = Field(description="Of the cluster's clips of which it is known, 0 to 1.")
    lift: float = Field(description="That share over the share among all clips.")
    p: float = Field(description="Chance of as many in a random draw (hypergeometric).")


class ClusterOut(BaseModel):
    """What a cluster holds."""

    cluster: int = Field(description="Its number, by size; -1 for the clips that are in none.")
    size: int
    share: float
    typical: list[int] = Field(description="Clips nearest to its centre.")
    cohesion: float = Field(description="Mean cosine of its clips to its centre.")
    labels: list[ExcessOut]
    predicted: list[ExcessOut]
    emotions: list[ExcessOut]
    sources: list[ExcessOut]
    speakers: int
    speaker_share: float | None = Field(description="Part of the most frequent known speaker.")


class ClusteringOut(BaseModel):
    """A saved clustering."""

    name: str
    method: str
    k: int = Field(description="Clusters; noise is not counted.")
    clips: int
    model: str
    space: int
    created_at: datetime
    parameters: dict[str, Any]


class ClusteringDetails(ClusteringOut):
    """A saved clustering with what each cluster holds."""

    clusters: list[ClusterOut]


class Clusterings(BaseModel):
    """All saved clusterings."""

    data: list[ClusteringOut]


def clustering_out(info: ClusteringInfo) -> ClusteringOut:
    """A clustering as the API's answer."""
    return ClusteringOut.model_validate(_fields(info))


def clustering_details(info: ClusteringInfo) -> ClusteringDetails:
    """A clustering with its clusters as the API's answer."""
    return ClusteringDetails.model_validate({**_fields(info), "clusters": list(info.summary)})


def _fields(info: ClusteringInfo) -> dict[str, Any]:
    return {**vars(info), "model": model_name(info.model), "space": info.space_version}

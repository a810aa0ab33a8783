"""Jobs that are asked for in JSON: evaluate, train, cluster, tune, reembed."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, RootModel, ValidationInfo, field_validator

from emotion_search.engine.api.http.bodies import Asked
from emotion_search.engine.api.wire.annotations import Name
from emotion_search.engine.api.wire.evaluation import EvaluationQuery
from emotion_search.engine.api.wire.filters import by, like
from emotion_search.index.database.filters import EMOTION, clustering_name


class EvaluateIn(EvaluationQuery):
    """Measure retrieval on labelled clips; the result is what `/v1/evaluation` answers."""

    kind: Literal["evaluate"]


class TrainIn(Asked, str_strip_whitespace=True):
    """Train a classifier on the labels of a task, and classify all clips; the result is it."""

    kind: Literal["train"]
    task: Name = Field(default=EMOTION, description="Whose labels to learn.")


class ClusterIn(Asked, str_strip_whitespace=True):
    """Cluster all clips and save what was found; the result is the clustering."""

    kind: Literal["cluster"]
    name: Annotated[Name, by(clustering_name)] = Field(description="Under which it is saved.")
    method: Literal["kmeans", "hdbscan"] = Field(default="kmeans", description="How.")
    k: int | None = Field(default=None, ge=2, le=1000, description="Clusters; else found.")
    task: Name = Field(default=EMOTION, description="Whose labels describe the clusters.")
    replace: bool = Field(default=False, description="Also where the name is taken.")

    @field_validator("k")
    @classmethod
    def _of_kmeans(cls, k: int | None, info: ValidationInfo) -> int | None:
        if k is not None and info.data.get("method") == "hdbscan":
            raise ValueError("goes with the method kmeans: hdbscan finds how many there are")
        return k


class TuneIn(Asked, str_strip_whitespace=True):
    """Fit the space of similarity to the archive and let it serve. Needs scope `admin`."""

    kind: Literal["tune"]
    task: Name = Field(default=EMOTION, description="Whose labels to judge by.")


_MODEL = r"^[A-Za-z0-9][\w.-]{0,99}(/[A-Za-z0-9][\w.-]{0,99})?$"


def _model(text: str) -> str:
    if not re.match(_MODEL, text):
        raise ValueError("give the name of a model, such as voice, or a hub id, OWNER/MODEL")
    return text


class ReembedIn(Asked, str_strip_whitespace=True):
    """Embed all clips under another model, from their audio. Needs scope `admin`."""

    kind: Literal["reembed"]
    model: Annotated[str, AfterValidator(_model), like(_MODEL)] = Field(
        description="A name of `/v1/models`, or a hub id."
    )
    use: bool = Field(default=False, description="Let it serve then.")


AnyWork = EvaluateIn | TrainIn | ClusterIn | TuneIn | ReembedIn


class WorkIn(RootModel[Annotated[AnyWork, Field(discriminator="kind")]]):
    """What a job is to do."""

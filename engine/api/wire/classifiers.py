"""Classifiers and suggestions of what to label: query parameters and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from emotion_search.engine.api.wire.clips import ClipOut, model_name
from emotion_search.engine.api.wire.filters import Filters
from emotion_search.index.database.classifiers import ClassifierInfo


class SuggestQuery(Filters):
    """Parameters of a list of suggestions; `task` is the one that is labelled."""

    limit: int = Field(default=20, ge=1, le=500, description="Most clips.")


class SuggestionOut(ClipOut):
    """A clip that is worth labelling."""

    value: str | None = Field(description="What the classifier would say; null where none is.")
    probability: float | None = Field(description="Of that value, 0 to 1.")
    uncertainty: float | None = Field(
        description="1 where its two likeliest classes are equally likely, 0 where it is sure."
    )
    why: str = Field(description="In words.")


class Suggestions(BaseModel):
    """Clips that are worth labelling, best first."""

    data: list[SuggestionOut]


class ClassifierOut(BaseModel):
    """A classifier that was trained on labels."""

    task: str
    version: int
    method: str
    classes: list[str]
    model: str
    space: int
    created_at: datetime
    predictions: int = Field(description="How many clips it has classified.")
    provenance: dict[str, Any] = Field(
        description="What it was trained on, which classes were left out for want of clips or"
        " speakers (`data.left_out`), how well each method did on speakers left out, its confusion"
        " matrix and whether its probabilities hold."
    )


class Classifiers(BaseModel):
    """All classifiers."""

    data: list[ClassifierOut]


def classifier_out(info: ClassifierInfo) -> ClassifierOut:
    """A classifier as the API's answer."""
    provenance = {key: value for key, value in info.provenance.items() if key != "labels"}
    return ClassifierOut.model_validate(
        {
            **vars(info),
            "model": model_name(info.model),
            "space": info.space_version,
            "provenance": provenance,  # without the path of the labels' file on the server
        }
    )

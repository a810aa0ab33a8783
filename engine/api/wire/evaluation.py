"""Evaluation of retrieval: query parameters and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from emotion_search.engine.api.wire.clips import model_name
from emotion_search.engine.api.wire.filters import Text
from emotion_search.engine.files.values import LONGEST
from emotion_search.engine.quality.retrieval import Gallery
from emotion_search.index.database.filters import EMOTION

if TYPE_CHECKING:
    from emotion_search.engine.quality.evaluate import Evaluation


class EvaluationQuery(BaseModel):
    """Parameters of an evaluation."""

    model_config = ConfigDict(extra="forbid")

    task: Text = Field(
        default=EMOTION, min_length=1, max_length=LONGEST, description="Whose labels to use."
    )
    exclude_same: Literal["speaker", "recording", "none"] | None = Field(
        default=None,
        description="What galleries leave out; else `speaker` where all are known, or `recording`.",
    )

    def gallery(self) -> Gallery | None:
        """As the library takes it."""
        return None if self.exclude_same is None else Gallery(self.exclude_same)


class EstimateOut(BaseModel):
    """A mean and its 95 % confidence interval, by bootstrap over speakers or recordings."""

    value: float
    low: float | None = Field(description="Null with a single speaker.")
    high: float | None = Field(description="Null with a single speaker.")


class ProbeOut(BaseModel):
    """How a classifier did on speakers (or recordings) that it was not trained on."""

    name: str
    uar: float = Field(description="Unweighted average recall.")
    chance: float = Field(description="UAR of guessing.")
    classes: list[str]
    confusion: list[list[int]] = Field(description="Clips by true class and class given.")


class EvaluationOut(BaseModel):
    """How good query by example is on labelled clips, beside chance."""

    model: str
    space: str = Field(description="Method of the space that similarity was taken in.")
    learned: bool = Field(
        description="A learned space serves; as it has seen labels, the plain one was measured."
    )
    clips: dict[str, int] = Field(description="Labelled clips by class.")
    speakers: int | None = Field(description="Null where they are not all known.")
    gallery: str = Field(description="What galleries left out besides the query.")
    queries: int
    unanswerable: int = Field(description="Queries that had nothing to find.")
    micro: dict[str, EstimateOut] = Field(description="By metric, the mean over queries.")
    macro: dict[str, EstimateOut] = Field(description="By metric, the mean over classes.")
    by_class: dict[str, dict[str, float]] = Field(description="Each metric by class.")
    chance: dict[str, float] = Field(description="`micro` of galleries in random order.")
    chance_macro: dict[str, float] = Field(description="`macro` of galleries in random order.")
    steps: dict[str, float] = Field(
        description="mAP by method of space, on speakers that it was not fitted to."
    )
    probes: list[ProbeOut]


def evaluation_out(it: Evaluation) -> EvaluationOut:
    """An evaluation as the API's answer."""
    return EvaluationOut.model_validate({**it.record(), "model": model_name(it.name)})

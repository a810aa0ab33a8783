"""Predictions of files: form fields and answers."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, model_validator

from emotion_search.engine.api.http.bodies import Asked, File
from emotion_search.engine.api.wire.filters import Text
from emotion_search.engine.inference.context import Adapted
from emotion_search.engine.inference.parts import WINDOW_S, Granularity
from emotion_search.engine.inference.predict import Prediction


class UploadPredict(Asked):
    """A file to predict, and into which parts it is cut."""

    file: File = Field(description="An audio file.")
    granularity: Literal["utterance", "window", "frame"] = Field(
        default="utterance",
        description="`utterance` for the whole file, in stretches of up to 15 s; `window` for"
        " windows of some seconds; `frame` for 50 frames a second, if the model has frames. The"
        " whole is then the mean of these parts, and so differs a little with how fine they are.",
    )
    window: float = Field(
        default=WINDOW_S,
        ge=0.025,
        le=30,
        description="Seconds of a window; what is left at the end and too short for one of its own"
        " is part of the last.",
    )
    hop: float | None = Field(
        default=None,
        ge=0.02,
        le=30,
        description="Seconds from the start of a window to the next, a window at most; by default"
        " they lie end to end.",
    )

    speaker: Text | None = Field(default=None, description="Whose it is, as the archive says.")
    source: Text | None = Field(default=None, description="Where from, as the archive says.")

    @model_validator(mode="after")
    def _have_effect(self) -> UploadPredict:
        if self.granularity != "window":
            for name in ("window", "hop"):
                if name in self.model_fields_set:
                    raise ValueError(f"{name} goes with granularity window")
        return self

    def how(self) -> Granularity:
        """As the library takes it.

        Raises:
            InvalidInputError: a window or a hop that is none.
        """
        return Granularity(self.granularity, self.window, self.hop)


class PartOut(BaseModel):
    """The model's scores for a part of a file."""

    start: float = Field(description="Seconds.")
    end: float = Field(description="Seconds.")
    emotion: str = Field(description="The class with the highest score.")
    confidence: float = Field(description="Its score, 0 to 1.")
    scores: dict[str, float] = Field(description="By class; they add up to 1.")


class PredictOut(PartOut):
    """The model's scores for a file as a whole, the mean of those for its parts."""

    file: str = Field(description="What the sender called the file.")
    model: str = Field(description="The embedding model.")
    adapted: Adapted = Field(
        description="What the scores are adapted to: the `archive`, the `recording` itself, `none`."
    )
    notices: list[str] = Field(description="What somebody should know who reads the file.")
    parts: list[PartOut] = Field(description="In order; none of an utterance.")


def part_fields(prediction: Prediction) -> dict[str, object]:
    """The fields of ``PartOut``."""
    names = ("start", "end", "emotion", "confidence", "scores")
    return {name: getattr(prediction, name) for name in names}

"""What a prediction is asked with, and what it answers."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.heard import WINDOW_S, Granularity
from engine.predict import Prediction


class PredictFields(BaseModel):
    """How finely a file is heard."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    granularity: Literal["utterance", "window", "frame"] = Field(
        default="utterance",
        description="`utterance` for the whole file alone, `window` for windows of some seconds"
        " too, `frame` for 50 frames a second too, if the model has frames.",
    )
    window: float = Field(default=WINDOW_S, gt=0, le=30, description="Seconds of a window.")
    hop: float | None = Field(
        default=None,
        gt=0,
        le=30,
        description="Seconds from the start of a window to the next; null: end to end.",
    )

    def how(self) -> Granularity:
        """As the library takes it.

        Raises:
            InvalidInputError: a window or a hop that is none.
        """
        return Granularity(self.granularity, self.window, self.hop)


class PartOut(BaseModel):
    """What the model hears in a part of a file."""

    start: float = Field(description="Seconds.")
    end: float = Field(description="Seconds.")
    emotion: str = Field(description="The class with the highest score.")
    confidence: float = Field(description="Its score, 0 to 1.")
    scores: dict[str, float] = Field(description="By class; they add up to 1.")


class PredictOut(PartOut):
    """What the model hears in a file as a whole, and in its parts."""

    file: str = Field(description="What the sender called the file.")
    model: str = Field(description="The embedding model.")
    parts: list[PartOut] = Field(description="In order; none of an utterance.")


def part_fields(said: Prediction) -> dict[str, object]:
    """A prediction as it goes over the wire."""
    names = ("start", "end", "emotion", "confidence", "scores")
    return {name: getattr(said, name) for name in names}

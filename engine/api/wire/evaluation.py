"""Evaluation of retrieval: query parameters and answers."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, Field

from emotion_search.engine.api.http.bodies import Asked
from emotion_search.engine.api.wire.clips import model_name
from emotion_search.engine.api.wire.filters import Text
from emotion_search.engine.files.values import LONGEST
from emotion_search.engine.quality.calibration import CalibrationCheck
from emotion_search.engine.quality.confounds import Share, Triplets
from emotion_search.engine.quality.retrieval import Gallery
from emotion_search.engine.quality.scores import ClassScores
from emotion_search.engine.quality.summary import Estimate
from emotion_search.index.database.filters import EMOTION

if TYPE_CHECKING:
    from emotion_search.engine.library.library import Library
    from emotion_search.engine.machine.progress import Progress


class EvaluationQuery(Asked):
    """Parameters of an evaluation."""

    task: Text = Field(
        default=EMOTION, min_length=1, max_length=LONGEST, description="Whose labels to use."
    )
    exclude_same: Literal["speaker", "recording", "none"] | None = Field(
        default=None,
        description="What galleries leave out; else `speaker` where all are known (and `recording`"
        " beside it), or `recording`.",
    )
    sentence_key: Text | None = Field(
        default=None,
        min_length=1,
        max_length=LONGEST,
        description="Metadata key of the words spoken, for triplets; else `text`.",
    )

    def gallery(self) -> Gallery | None:
        """As the library takes it."""
        return None if self.exclude_same is None else Gallery(self.exclude_same)


class ProbeOut(BaseModel):
    """How a classifier did on speakers (or recordings) that it was not trained on."""

    name: str
    uar: float = Field(description="Unweighted average recall.")
    chance: float = Field(description="UAR of guessing.")
    folds: int = Field(description="How often it was trained.")
    classes: list[str]
    confusion: list[list[int]] = Field(description="Clips by true class and class given.")


class RetrievalOut(BaseModel):
    """How good query by example is in one kind of gallery, beside chance."""

    gallery: str = Field(description="What galleries left out besides the query.")
    queries: int
    unanswerable: int = Field(description="Further queries, with nothing to find.")
    micro: dict[str, Estimate] = Field(description="By metric, the mean over queries.")
    macro: dict[str, Estimate] = Field(description="By metric, the mean over classes.")
    by_class: dict[str, dict[str, float]] = Field(description="Each metric by class.")
    chance: dict[str, float] = Field(description="`micro` of galleries in random order.")
    chance_macro: dict[str, float] = Field(description="`macro` of galleries in random order.")


class EvaluationOut(RetrievalOut):
    """How good query by example is on labelled clips, beside chance, and what else nearness
    follows."""

    model: str
    space: str = Field(description="Method of the space that similarity was taken in.")
    learned: bool = Field(
        description="A learned space serves; what it is without labels was measured."
    )
    clips: dict[str, int] = Field(description="Labelled clips by class.")
    speakers: int | None = Field(description="Null where they are not all known.")
    by: str = Field(
        description="Whose halves `steps` and `calibration` are of: `speakers`, `recordings`, or"
        " `speakers or recordings`."
    )
    galleries: list[RetrievalOut] = Field(
        description="The same with the speaker kept in (`recording`), where no gallery was asked"
        " for; and among other sources (`source`)."
    )
    triplets: dict[str, Triplets] = Field(
        description="By what the distractor shares with the anchor: `nothing`, `sentence`,"
        " `speaker`, `source` or `both` (speaker and sentence)."
    )
    nearest: dict[str, Share] = Field(description="By `source`, `speaker` and `recording`.")
    left_out: dict[str, str] = Field(description="What could not be measured, and why.")
    scores: ClassScores | None = Field(description="Null where the model gives no scores.")
    ranks: dict[str, Estimate] = Field(
        description="Spearman's rank correlation of labels that are numbers with `valence`,"
        " `arousal` and `dominance`; empty with other labels."
    )
    steps: dict[str, float] = Field(
        description="mAP by method of space, on speakers that it was not fitted to."
    )
    probes: list[ProbeOut]
    calibration: CalibrationCheck | None = Field(description="Null with too few speakers.")


def evaluated(
    library: Library, asked: EvaluationQuery, progress: Progress = lambda _done, _total: None
) -> EvaluationOut:
    """The evaluation that is asked for, as the API's answer."""
    from emotion_search.engine.quality.evaluate import evaluate  # torch and scikit-learn with it

    data, space = library.labelled(asked.task, sentence_key=asked.sentence_key)
    found = evaluate(data, space, gallery=asked.gallery(), progress=progress)
    return EvaluationOut.model_validate({**asdict(found), "model": model_name(found.name)})

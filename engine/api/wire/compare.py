"""Comparisons of clips and files: form, parameters and answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, Field

from emotion_search.engine.api.http.bodies import MOST_FILES, Asked, File
from emotion_search.engine.library.compare import Comparison

MOST_COMPARED = 100
"""Most clips of a comparison."""

Clips = Annotated[list[Annotated[int, Field(ge=1, lt=2**63)]], Field(max_length=MOST_COMPARED)]


class CompareQuery(Asked):
    """Clips to compare."""

    clip: Clips = Field(min_length=2, description="Ids of clips.")


class UploadCompare(Asked):
    """Files to compare, and clips."""

    file: list[File] = Field(min_length=1, max_length=MOST_FILES, description="Audio files.")
    clip: Clips = Field(default=[], description="Ids of clips to compare them with.")


class ComparedOut(BaseModel):
    """A clip or a file, with its emotion."""

    clip: int | None = Field(description="Id of the clip; null of a file.")
    file: str = Field(description="Name of the file, or `clip 42`.")
    emotion: str | None = Field(description="The class scored highest; null without scores.")
    confidence: float | None = Field(description="Its score, 0 to 1.")
    scores: dict[str, float] | None = Field(description="By class; null where it has none.")


class UnusableOut(BaseModel):
    """A file that cannot be compared."""

    file: str
    reason: str


class CompareOut(BaseModel):
    """Clips and files beside each other."""

    things: list[ComparedOut] = Field(description="Clips, then files, in the order given.")
    similarity: list[list[float]] = Field(
        description="Cosine of each to each in the archive's space, -1 to 1."
    )
    percentile: list[list[float]] | None = Field(
        description="Percentage of random pairs of clips that are less alike, 0 to 100; null while"
        " the archive is too small to say."
    )
    unusable: list[UnusableOut] = Field(description="Files that could not be compared.")


def compare_out(found: Comparison, clips: Sequence[int]) -> CompareOut:
    """A comparison, in which these clips come first, as the API's answer."""
    ids = [*clips, *(None for _ in found.things)]
    return CompareOut(
        things=[
            ComparedOut.model_validate({**vars(one), "clip": clip, "file": one.name})
            for clip, one in zip(ids, found.things, strict=False)
        ],
        similarity=found.cosines.round(6).tolist(),
        percentile=None if found.percentiles is None else found.percentiles.round(3).tolist(),
        unusable=[UnusableOut(file=name, reason=why) for name, why in found.unusable],
    )

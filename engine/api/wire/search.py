"""Searches: request bodies, form fields and answers."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Json
from starlette.datastructures import UploadFile

from emotion_search.engine.api.http.bodies import LARGEST_JSON, MOST_FILES, Asked, File
from emotion_search.engine.api.wire.clips import HitOut
from emotion_search.engine.api.wire.filters import Filters
from emotion_search.engine.api.wire.problems import Problem
from emotion_search.engine.query.examples import (
    AnyExample,
    ClipExample,
    SpanExample,
    TextExample,
    VectorExample,
)
from emotion_search.engine.query.query import MOST_EXAMPLES, ExcludeSame, Query

MOST_QUERIES = 50
"""Most queries of a batch."""
_LONGEST_VECTOR = 8192

Id = Annotated[int, Field(ge=1, lt=2**63, strict=True)]
Seconds = Annotated[float, Field(ge=0, lt=1e9)]


class ByClip(Asked):
    """A clip of the archive."""

    clip: Id = Field(description="Id of the clip.")

    def example(self) -> ClipExample:
        """As the search takes it."""
        return ClipExample(self.clip)


class BySpan(Asked):
    """A stretch of a recording: the mean of its clips, by how much of each lies in it."""

    recording: Id = Field(description="Id of the recording.")
    start: Seconds = Field(default=0.0, description="Seconds from the recording's start.")
    end: Seconds | None = Field(default=None, description="Seconds; null for its end.")
    channel: int | None = Field(
        default=None, ge=0, lt=64, description="Only clips of this channel, counted from 0."
    )

    def example(self) -> SpanExample:
        """As the search takes it."""
        end = float("inf") if self.end is None else self.end
        return SpanExample(self.recording, self.start, end, self.channel)


class ByVector(Asked):
    """An embedding of the archive's model, such as `/v1/clips/{clip}/embedding` gives."""

    vector: list[float] = Field(min_length=1, max_length=_LONGEST_VECTOR)

    def example(self) -> VectorExample:
        """As the search takes it."""
        return VectorExample(tuple(self.vector))


class ByText(Asked):
    """Words, such as `an angry customer`; for models of sound and text, others refuse it."""

    text: str = Field(min_length=1, max_length=1000)

    def example(self) -> TextExample:
        """As the search takes it."""
        return TextExample(self.text)


def _text_of(part: Any) -> Any:
    """A part that is text, or a file with it, as browsers send a Blob."""
    return part.file.read(LARGEST_JSON) if isinstance(part, UploadFile) else part


AnyIn = ByClip | BySpan | ByVector | ByText


class SearchOptions(Filters):
    """How to search."""

    limit: int = Field(default=10, ge=1, le=1000, description="Most hits.")
    per_recording: int = Field(
        default=1, ge=0, le=1000, description="Most hits of one recording; 0 for all."
    )
    distinct: float | None = Field(
        default=None,
        ge=-1,
        le=1,
        description="Leave out hits that are as alike as this cosine to a better one.",
    )
    exact: bool = Field(
        default=False,
        description="Compare with every clip, where else an index that estimates is asked.",
    )
    exclude_same: ExcludeSame | None = Field(
        default=None,
        description="Leave out clips of the positive examples' own recordings, speaker or source;"
        " those must be known to the archive.",
    )
    example_speaker: str | None = Field(
        default=None,
        max_length=1000,
        description="Who speaks in the files and vectors, as the archive names them.",
    )
    example_source: str | None = Field(
        default=None,
        max_length=1000,
        description="Where the files and vectors are from, as the archive names it.",
    )

    def with_examples(
        self, positive: list[AnyExample], negative: list[AnyExample] | None = None
    ) -> Query:
        """The query with these examples.

        Raises:
            InvalidInputError: a filter makes no sense.
        """
        return Query(
            positive,
            negative or [],
            limit=self.limit,
            per_recording=self.per_recording or None,
            distinct=self.distinct,
            exact=self.exact,
            wanted=self.wanted(),
            exclude_same=self.exclude_same,
            speaker=self.example_speaker,
            source=self.example_source,
        )


class SearchIn(SearchOptions):
    """A search by examples: `clip` for one clip, else `positive`, and `negative` if wanted."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"clip": 42, "limit": 5},
                {
                    "positive": [{"clip": 42}, {"recording": 7, "start": 12.5, "end": 20}],
                    "negative": [{"clip": 43}],
                    "source": ["support-2026"],
                    "per_recording": 1,
                },
            ]
        }
    )

    clip: Id | None = Field(
        default=None, description="Short for a positive example, beside those of `positive`."
    )
    positive: list[AnyIn] = Field(
        default_factory=list, max_length=MOST_EXAMPLES, description="What hits should sound like."
    )
    negative: list[AnyIn] = Field(
        default_factory=list,
        max_length=MOST_EXAMPLES,
        description="What they should not sound like.",
    )

    def examples(self) -> tuple[list[AnyExample], list[AnyExample]]:
        """Positive and negative examples, in this order."""
        first: list[AnyExample] = [ClipExample(self.clip)] if self.clip is not None else []
        return (
            first + [one.example() for one in self.positive],
            [one.example() for one in self.negative],
        )


class UploadSearch(SearchOptions):
    """A search by audio files: its options as fields of the form, or all in ``query``."""

    file: list[File] = Field(
        default_factory=list,
        max_length=MOST_FILES,
        description="Audio files that hits should sound like.",
    )
    negative_file: list[File] = Field(
        default_factory=list,
        max_length=MOST_FILES,
        description="Audio files that they should not sound like.",
    )
    query: Annotated[Json[SearchIn] | None, BeforeValidator(_text_of)] = Field(
        default=None,
        description="Instead of the other fields: the object that a JSON search takes.",
    )


class BatchIn(Asked):
    """Several searches at once."""

    queries: list[SearchIn] = Field(min_length=1, max_length=MOST_QUERIES)


class SearchOut(BaseModel):
    """The answer to a search."""

    hits: list[HitOut] = Field(description="Best first; equal similarities by clip id.")
    model: str = Field(description="The embedding model.")


class BatchResult(BaseModel):
    """What became of one search of a batch: an answer or a problem."""

    answer: SearchOut | None = None
    problem: Problem | None = None


class BatchOut(BaseModel):
    """The answers to a batch, in the order of its queries."""

    results: list[BatchResult]

"""Requests that annotate: the fields of an uploaded recording, the label of a clip."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from emotion_search.engine.api.http.bodies import Asked, File
from emotion_search.engine.api.wire.filters import VISIBLE, Moment, Pair, Text
from emotion_search.engine.audio.channels import UNASKED, parse_channels
from emotion_search.engine.files.values import LONGEST, parse_channel, parse_pairs
from emotion_search.engine.service.uploads import UploadFields
from emotion_search.index.database.filters import EMOTION
from emotion_search.index.database.recordings import Annotations
from emotion_search.index.database.spans import Side
from emotion_search.index.errors import InvalidInputError

MOST_AT_ONCE = 1000
"""Most labels, and recordings to erase, of one request."""

Name = Annotated[Text, StringConstraints(min_length=1, max_length=LONGEST), VISIBLE]


class UploadRecording(Asked, str_strip_whitespace=True):
    """A recording to take in, and what is known about it."""

    file: File = Field(description="An audio file.")
    source: Name | None = Field(default=None, description="Where it comes from.")
    label: Name | None = Field(default=None, description="Emotion label of its clips.")
    speaker: Name | None = Field(default=None, description="Who speaks.")
    speakers: list[Pair] = Field(
        default=[],
        description="`channel=speaker` pairs, channels counted from 0: who speaks on which.",
    )
    recorded_at: Moment | None = Field(
        default=None, description="ISO 8601, in UTC where no zone is given."
    )
    metadata: list[Pair] = Field(default=[], description="`key=value` pairs.")
    labels: list[Pair] = Field(
        default=[], description="`task=value` pairs: labels of its clips under other tasks."
    )
    channels: Text | None = Field(
        default=None,
        max_length=LONGEST,
        description="Which channels become clips: `mix` for all in one, `split` for each by"
        " itself, or numbers from 0, such as `1` or `agent=0,customer=1`. Where nothing is said"
        " all are mixed, and a notice says so.",
    )

    again: bool = Field(
        default=False, description="Take it in although it was erased before; else it is refused."
    )

    def upload_fields(self) -> UploadFields:
        """As jobs take it.

        Raises:
            InvalidInputError: a pair without ``=``, no such channels.
        """
        emotion = [f"{EMOTION}={self.label}"] if self.label else []
        speakers = parse_pairs(self.speakers, of="speaker")
        try:
            sides = {
                number: Side(who or None)
                for channel, who in speakers.items()
                if (number := parse_channel(channel)) is not None
            }
        except ValueError as error:
            raise InvalidInputError(f"speakers: {error}") from error
        annotations = Annotations(
            source=self.source,
            speaker=self.speaker,
            recorded_at=self.recorded_at,
            labels=parse_pairs([*emotion, *self.labels], of="label"),
            metadata=parse_pairs(self.metadata),
            sides=sides,
        )
        channels = parse_channels(self.channels) if self.channels is not None else UNASKED
        return UploadFields(annotations, channels, self.again)


class EraseIn(Asked):
    """Recordings to erase."""

    recordings: list[Annotated[int, Field(ge=1, lt=2**63)]] = Field(
        min_length=1, max_length=MOST_AT_ONCE, description="Their ids."
    )


class ClipLabel(Asked, str_strip_whitespace=True):
    """A label for a clip."""

    clip: int = Field(ge=1, lt=2**63, description="Id of the clip.")
    value: Name | None = Field(description="The label; null takes it away.", examples=["anger"])
    task: Name = Field(default=EMOTION, description="Task of the label.")


class LabelsIn(Asked):
    """Labels for many clips."""

    labels: list[ClipLabel] = Field(min_length=1, max_length=MOST_AT_ONCE)


class Labelled(BaseModel):
    """What became of many labels."""

    labelled: int = Field(description="How many clips there were.")
    unknown: list[int] = Field(description="Ids that are no clips.")


class LabelIn(Asked, str_strip_whitespace=True):
    """The label of a clip under a task."""

    value: Name = Field(examples=["anger"])

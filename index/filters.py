"""Which clips are meant: filters, and the SQL that finds what passes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Select, exists, literal_column, not_, or_, select
from sqlalchemy.orm import Session

from index import learned
from index.errors import InvalidInputError
from index.schema import Clip, Label, Metadatum, Recording
from index.text import clean

EMOTION = "emotion"
"""The task of a label when none is named."""

_MOST_VALUES, _MOST_PAIRS = 100, 10  # of a filter; each pair is a join


@dataclass(frozen=True)
class ClipFilter:
    """Which clips are meant; every field that is set must hold, any one of its values suffices.

    Attributes:
        sources, speakers: of the recording.
        labels: of the clip, under ``task``.
        channels: of the clip, by name or number.
        after, before: recorded at or after, recorded before; timezone-aware.
        metadata: keys and values of the recording, all of which must be there.
        not_recordings: ids of recordings that are left out.
        not_speaker: a speaker who is left out.
        predicted: what a classifier says about the clip, under ``task``.
        min_probability: least probability of what it says, 0 to 1.
        clusters: of saved clusterings, as ``NAME:3`` or ``NAME:noise``.
    """

    sources: tuple[str, ...] = ()
    speakers: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    task: str = EMOTION
    channels: tuple[str, ...] = ()
    after: datetime | None = None
    before: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    not_recordings: tuple[int, ...] = ()
    not_speaker: str | None = None
    predicted: tuple[str, ...] = ()
    min_probability: float = 0.0
    clusters: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no database should be asked.

        Raises:
            InvalidInputError: too many values, or characters that cannot be stored.
        """
        learned.check(self.min_probability, self.clusters)
        for name, values in (
            ("source", self.sources),
            ("label", self.labels),
            ("speaker", self.speakers),
            ("channel", self.channels),
            ("predicted", self.predicted),
            ("cluster", self.clusters),
            ("metadata", [text for pair in self.metadata.items() for text in pair]),
        ):
            most = _MOST_PAIRS * 2 if name == "metadata" else _MOST_VALUES
            if len(values) > most:
                raise InvalidInputError(f"filter {name} has more than {most} values")
            for value in values:
                clean(f"filter {name}", value)

    @property
    def is_empty(self) -> bool:
        """Whether every clip passes."""
        return self == ClipFilter(task=self.task)


def matching(wanted: ClipFilter) -> Select[Any]:
    """A query for the ids of the clips that pass the filter, in no order."""
    conditions = list(_conditions(wanted))
    return select(Clip.id).join(Recording, Recording.id == Clip.recording_id).where(*conditions)


def matching_ids(session: Session, wanted: ClipFilter) -> NDArray[np.int64]:
    """Ids of the clips that pass the filter: int64, ascending."""
    ids = np.fromiter(session.scalars(matching(wanted)), dtype=np.int64)
    ids.sort()
    return ids


def recordings_of(session: Session, wanted: ClipFilter) -> list[int]:
    """Ids of the recordings of which some clip passes the filter, ascending."""
    query = matching(wanted).with_only_columns(Recording.id).distinct().order_by(Recording.id)
    return list(session.scalars(query))


def _conditions(wanted: ClipFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.sources:
        found.append(Recording.source.in_(wanted.sources))
    if wanted.speakers:
        found.append(Recording.speaker.in_(wanted.speakers))
    if wanted.labels:
        found.append(
            exists().where(
                Label.clip_id == Clip.id,
                Label.task == wanted.task,
                Label.value.in_(wanted.labels),
            )
        )
    if wanted.channels:
        numbers = [int(text) for text in wanted.channels if text.isdecimal() and len(text) < 5]
        found.append(or_(Clip.channel_name.in_(wanted.channels), Clip.channel.in_(numbers or [-1])))
    if wanted.after is not None:
        found.append(Recording.recorded_at >= wanted.after)
    if wanted.before is not None:
        found.append(Recording.recorded_at < wanted.before)
    found += [
        exists().where(
            Metadatum.recording_id == Recording.id,
            Metadatum.key == key,
            literal_column("substr(recording_metadata.value, 1, 200)") == value[:200],
            Metadatum.value == value,
        )
        for key, value in wanted.metadata.items()
    ]
    if wanted.not_recordings:
        found.append(not_(Recording.id.in_(wanted.not_recordings)))
    if wanted.not_speaker is not None:
        found.append(or_(Recording.speaker.is_(None), Recording.speaker != wanted.not_speaker))
    return found + learned.conditions(wanted)

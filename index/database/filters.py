"""Clip filters, and the SQL that finds what passes them."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Select, and_, literal_column, not_, or_, select
from sqlalchemy.orm import Session

from emotion_search.index.database.emotion_names import spellings
from emotion_search.index.database.schema import (
    SPEAKER,
    Archive,
    Clip,
    ClusteringRow,
    ClusterMember,
    Embedding,
    Label,
    Metadatum,
    Prediction,
    Recording,
)
from emotion_search.index.database.speakers import speaks
from emotion_search.index.database.text import clean
from emotion_search.index.errors import InvalidInputError

EMOTION = "emotion"
"""The task of a label when none is named."""

MOST_VALUES, MOST_PAIRS = 100, 10
"""Most values of a filter; each pair is a join."""

_SEVERAL = ("sources", "speakers", "labels", "channels", "emotions", "predicted", "clusters")

NOISE = -1
"""The cluster of clips that are in none."""

AFFECT = tuple(
    (f"{end}_{name}", name, compare)
    for name in ("arousal", "valence")
    for end, compare in (("min", operator.ge), ("max", operator.le))
)
"""Filters on derived numbers: the field, what of the clip it bounds, and how."""

ROUNDED_S = 0.0005
"""Play in a clip's length: 4.1 s less 1.1 s is not quite 3 s in floating point."""


def cluster_of(text: str) -> tuple[str, int]:
    """The clustering and the cluster that ``NAME:3`` or ``NAME:noise`` names.

    Raises:
        InvalidInputError: it is of another form.
    """
    name, colon, number = text.rpartition(":")
    if colon and name and number == "noise":
        return name, NOISE
    if not colon or not name or not number.isdecimal() or len(number) > 6:
        raise InvalidInputError(f"cluster {text!r}: name it as NAME:3, or NAME:noise")
    return name, int(number)


@dataclass(frozen=True)
class ClipFilter:
    """Which clips are meant; every field that is set must hold, any one of its values suffices.

    Attributes:
        sources, speakers: of the recording.
        labels: of the clip, under ``task``; of emotions also by their other names.
        channels: of the clip, by name or number.
        after, before: recorded at or after, recorded before; timezone-aware.
        metadata: keys and values of the recording, all of which must be there.
        not_recordings: ids of recordings that are left out.
        not_speaker, not_source: a speaker, a source that is left out.
        emotions: of the clip, by the archive's model: the class of the highest score; any
            of its names.
        min_score: least score of that class, 0 to 1.
        min_arousal, max_arousal, min_valence, max_valence: of the clip, -1 to 1; see ``affect``.
        min_duration, max_duration: of the clip, in seconds, to the millisecond.
        predicted: the value that a classifier predicted for the clip, under ``task``.
        min_probability: least probability of that prediction, 0 to 1.
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
    not_source: str | None = None
    emotions: tuple[str, ...] = ()
    min_score: float | None = None
    min_arousal: float | None = None
    max_arousal: float | None = None
    min_valence: float | None = None
    max_valence: float | None = None
    min_duration: float | None = None
    max_duration: float | None = None
    predicted: tuple[str, ...] = ()
    min_probability: float = 0.0
    clusters: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no database should be asked.

        Raises:
            InvalidInputError: too many values, characters that cannot be stored, a number out of
                range, a cluster of another form.
        """
        if not 0 <= self.min_probability <= 1:
            raise InvalidInputError(f"a probability is 0 to 1, not {self.min_probability:g}")
        for text in self.clusters:
            cluster_of(text)
        for name in _SEVERAL:
            what, values = f"filter {name.removesuffix('s')}", getattr(self, name)
            if len(values) > MOST_VALUES:
                raise InvalidInputError(f"{what} has more than {MOST_VALUES} values")
            object.__setattr__(self, name, tuple(clean(what, one) for one in values))
        if len(self.metadata) > MOST_PAIRS:
            raise InvalidInputError(f"filter metadata has more than {2 * MOST_PAIRS} values")
        what = "filter metadata"
        pairs = {clean(what, key): clean(what, value) for key, value in self.metadata.items()}
        object.__setattr__(self, "metadata", pairs)
        object.__setattr__(self, "task", clean("filter task", self.task))
        for name in ("min_duration", "max_duration"):
            number = getattr(self, name)
            if number is not None and not math.isfinite(number):
                raise InvalidInputError(f"filter {name} is not a finite number")
        for name, least in (("min_score", 0), *((one, -1) for one, *_ in AFFECT)):
            number = getattr(self, name)
            if number is not None and not least <= number <= 1:
                raise InvalidInputError(f"filter {name} is {least} to 1, not {number:g}")

    @property
    def is_empty(self) -> bool:
        """Whether every clip passes."""
        return self == ClipFilter(task=self.task)

    @property
    def emotion_names(self) -> tuple[str, ...]:
        """``emotions`` with the other names of each: ``anger`` and ``angry`` mean the same."""
        return spellings(self.emotions)

    @classmethod
    def of(cls, **values: Any) -> ClipFilter:
        """The filter of these fields by their singular names, lists as tuples:
        ``source=["support"]``."""
        names = {one.name.removesuffix("s"): one.name for one in fields(cls)}
        given: dict[str, Any] = {
            names[name]: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return cls(**given)

    def of_task(self, values: tuple[str, ...]) -> tuple[str, ...]:
        """``labels`` or ``predicted``, of emotions with the other names of each."""
        return spellings(values) if self.task == EMOTION else values


def matching(wanted: ClipFilter) -> Select[Any]:
    """A query for the ids of the clips that pass the filter, in no order; clips and recordings are
    joined in it."""
    query = select(Clip.id).join(Recording, Recording.id == Clip.recording_id)
    return query.where(*_of_clips(wanted), *_of_recordings(wanted))


def _lean(wanted: ClipFilter) -> Select[Any]:
    """The same, joined only where the filter asks something of recordings."""
    return matching(wanted) if _of_recordings(wanted) else select(Clip.id).where(*_of_clips(wanted))


def matching_ids(session: Session, wanted: ClipFilter) -> NDArray[np.int64]:
    """Ids of the clips that pass the filter: int64, ascending."""
    ids = np.fromiter(session.scalars(_lean(wanted)), dtype=np.int64)
    ids.sort()
    return ids


def _of_recordings(wanted: ClipFilter) -> list[ColumnElement[bool]]:
    """What must hold of a clip's recording."""
    found: list[ColumnElement[bool]] = []
    if wanted.sources:
        found.append(Recording.source.in_(wanted.sources))
    if wanted.speakers:
        found.append(speaks(*wanted.speakers))
    if wanted.after is not None:
        found.append(Recording.recorded_at >= wanted.after)
    if wanted.before is not None:
        found.append(Recording.recorded_at < wanted.before)
    for key, value in wanted.metadata.items():
        pair = (
            Metadatum.key == key,
            literal_column("substr(recording_metadata.value, 1, 200)") == value[:200],
            Metadatum.value == value,
        )
        found.append(Recording.id.in_(select(Metadatum.recording_id).where(*pair)))
    if wanted.not_recordings:
        found.append(not_(Recording.id.in_(wanted.not_recordings)))
    if wanted.not_speaker is not None:
        found.append(SPEAKER.is_distinct_from(wanted.not_speaker))
    if wanted.not_source is not None:
        found.append(Recording.source.is_distinct_from(wanted.not_source))
    return found


def _of_clips(wanted: ClipFilter) -> list[ColumnElement[bool]]:
    """What must hold of the clip itself."""
    found: list[ColumnElement[bool]] = []
    if wanted.labels:
        labelled = (Label.task == wanted.task, Label.value.in_(wanted.of_task(wanted.labels)))
        found.append(Clip.id.in_(select(Label.clip_id).where(*labelled)))
    if scored := _scored(wanted):
        serving = select(Archive.active_model_id).scalar_subquery()
        scored.append(Embedding.model_id == serving)
        found.append(Clip.id.in_(select(Embedding.clip_id).where(*scored)))
    if wanted.channels:
        named = Clip.channel_name.in_(wanted.channels)
        numbers = [int(text) for text in wanted.channels if text.isdecimal() and len(text) < 5]
        found.append(or_(named, Clip.channel.in_(numbers)) if numbers else named)
    if wanted.min_duration is not None:
        found.append(Clip.end - Clip.start >= wanted.min_duration - ROUNDED_S)
    if wanted.max_duration is not None:
        found.append(Clip.end - Clip.start <= wanted.max_duration + ROUNDED_S)
    if wanted.predicted or wanted.min_probability > 0:
        predicted = [
            Prediction.task == wanted.task,
            Prediction.probability >= wanted.min_probability,
        ]
        if wanted.predicted:
            predicted.append(Prediction.value.in_(wanted.of_task(wanted.predicted)))
        found.append(Clip.id.in_(select(Prediction.clip_id).where(*predicted)))
    if wanted.clusters:
        meant = []
        for name, number in map(cluster_of, wanted.clusters):
            of = select(ClusteringRow.id).where(ClusteringRow.name == name).scalar_subquery()
            meant.append(and_(ClusterMember.clustering_id == of, ClusterMember.cluster == number))
        found.append(Clip.id.in_(select(ClusterMember.clip_id).where(or_(*meant))))
    return found


def _scored(wanted: ClipFilter) -> list[ColumnElement[bool]]:
    """What must hold of the clip's scores."""
    found: list[ColumnElement[bool]] = []
    if wanted.emotions:
        found.append(Embedding.emotion.in_(wanted.emotion_names))
    if wanted.min_score is not None:
        found.append(Embedding.confidence >= wanted.min_score)
    for name, dimension, compare in AFFECT:
        if (bound := getattr(wanted, name)) is not None:
            found.append(compare(getattr(Embedding, dimension), bound))
    return found

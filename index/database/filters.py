"""Clip filters: which clips a search, a list or an analysis is about."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

from emotion_search.index.database.emotion_names import spellings
from emotion_search.index.database.text import clean
from emotion_search.index.errors import InvalidInputError

EMOTION = "emotion"
"""The task of a label when none is named."""

MOST_VALUES, MOST_PAIRS = 100, 10
"""Most values of a filter; each pair is a join."""

NOISE = -1
"""The cluster of clips that are in none."""

AFFECT = tuple(
    (f"{end}_{name}", name, compare)
    for name in ("arousal", "valence")
    for end, compare in (("min", operator.ge), ("max", operator.le))
)
"""Filters on derived numbers: the field, what of the clip it bounds, and how."""

_RANGES = [
    ("after", "before"),
    *((f"min_{name}", f"max_{name}") for name in ("duration", "arousal", "valence")),
]

ROUNDED_S = 0.0005
"""Play in a clip's length: 4.1 s less 1.1 s is not quite 3 s in floating point."""


def clustering_name(text: str) -> str:
    """``text``, if filters can name a clustering so.

    Raises:
        InvalidInputError: it has a colon.
    """
    if ":" in text:
        raise InvalidInputError(f"name {text}: a colon would end it where filters name clusters")
    return text


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


class About(NamedTuple):
    """What a field of a filter means, in words for people who filter; the range of a number."""

    text: str
    least: float = 0
    most: float = 1


class FilterField(NamedTuple):
    """A field of ``ClipFilter`` that people may set.

    Attributes:
        name: singular, as in an option or a query: ``source``.
        attribute: of ``ClipFilter``: ``sources``.
        type: what its values are, such as ``tuple[str, ...]``.
    """

    name: str
    attribute: str
    type: Any
    about: About


Texts = tuple[str, ...]


@dataclass(frozen=True)
class ClipFilter:
    """Which clips are meant; every field that is set must hold, any one of its values suffices.

    A field with ``About`` is an option of commands and a parameter of the API, of these words.
    """

    sources: Annotated[Texts, About("Source of the recording.")] = ()
    labels: Annotated[Texts, About("Label of the clip; an emotion by any of its names.")] = ()
    task: Annotated[str, About("Task of labels and predictions, such as satisfaction.")] = EMOTION
    emotions: Annotated[Texts, About("Class that the model scores highest, by any name.")] = ()
    min_score: Annotated[
        float | None, About("Least score of the class scored highest, 0 to 1.")
    ] = None
    min_arousal: Annotated[
        float | None, About("Least arousal, -1 to 1, the model's own or derived.", -1)
    ] = None
    max_arousal: Annotated[float | None, About("Most arousal.", -1)] = None
    min_valence: Annotated[
        float | None, About("Least valence, -1 to 1, the model's own or derived.", -1)
    ] = None
    max_valence: Annotated[float | None, About("Most valence.", -1)] = None
    speakers: Annotated[Texts, About("Speaker of the recording.")] = ()
    channels: Annotated[Texts, About("Channel of the clip, by its name or its number from 0.")] = ()
    after: Annotated[
        datetime | None, About("Recorded then or later: ISO 8601, in UTC where no zone is given.")
    ] = None
    before: Annotated[datetime | None, About("Recorded before then.")] = None
    min_duration: Annotated[float | None, About("Shortest clip, in seconds.", most=1e9)] = None
    max_duration: Annotated[float | None, About("Longest clip, in seconds.", most=1e9)] = None
    metadata: Annotated[
        Mapping[str, str], About("Pairs key=value that the recording must all have.")
    ] = field(default_factory=dict)
    predicted: Annotated[Texts, About("What a classifier predicts for the clip.")] = ()
    min_probability: Annotated[float, About("Least probability of the prediction, 0 to 1.")] = 0.0
    clusters: Annotated[
        Texts, About("Cluster of a saved clustering, as NAME:3 or NAME:noise.")
    ] = ()
    not_recordings: tuple[int, ...] = ()
    not_speaker: str | None = None
    not_source: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no database should be asked.

        Raises:
            InvalidInputError: too many values, a blank one, characters that cannot be stored, a
                number out of range, a cluster of another form.
        """
        for text in self.clusters:
            cluster_of(text)
        for one in FIELDS:
            if not (value := getattr(self, one.attribute)):
                continue
            what, (_, least, most) = f"filter {one.name}", one.about
            if one.type == Texts:
                if len(value) > MOST_VALUES:
                    raise InvalidInputError(f"{what} has more than {MOST_VALUES} values")
                if not all(map(str.strip, value)):
                    raise InvalidInputError(f"{what} has a blank value")
                object.__setattr__(self, one.attribute, tuple(clean(what, text) for text in value))
            elif isinstance(value, float | int) and not least <= value <= most:
                raise InvalidInputError(f"{what} is {least:g} to {most:,g}, not {value:g}")
        what = "filter metadata"
        if len(self.metadata) > MOST_PAIRS:
            raise InvalidInputError(f"{what} has more than {2 * MOST_PAIRS} values")
        pairs = {clean(what, key): clean(what, value) for key, value in self.metadata.items()}
        object.__setattr__(self, "metadata", pairs)
        object.__setattr__(self, "task", clean("filter task", self.task))

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
        ``source=["support"]``.

        Raises:
            InvalidInputError: a range holds nothing; see also ``ClipFilter``.
        """
        attributes = {one.name: one.attribute for one in FIELDS}
        given: dict[str, Any] = {
            attributes[name]: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        for low, high in _RANGES:
            least, most = given.get(low), given.get(high)
            if least is None or most is None or least < most or (least == most and low != "after"):
                continue
            raise InvalidInputError(f"filters {low} and {high} leave nothing between them")
        return cls(**given)

    def of_task(self, values: tuple[str, ...]) -> tuple[str, ...]:
        """``labels`` or ``predicted``, of emotions with the other names of each."""
        return spellings(values) if self.task == EMOTION else values


def _fields() -> Iterator[FilterField]:
    hints = get_type_hints(ClipFilter, include_extras=True)
    for one in fields(ClipFilter):
        if get_origin(hints[one.name]) is Annotated:
            kind, about = get_args(hints[one.name])
            yield FilterField(one.name.removesuffix("s"), one.name, kind, about)


FIELDS = tuple(_fields())
"""The fields of a filter that people may set."""

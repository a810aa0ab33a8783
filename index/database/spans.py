"""Spans of recordings: as a manifest gives them, and the key by which they are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from emotion_search.index.database.text import clean

ClipSpan = tuple[int | None, int, int]
"""What makes a clip of a recording the same clip: channel, start and end in milliseconds."""


def span_key(channel: int | None, start: float, end: float) -> ClipSpan:
    """The span of a clip, ``start`` and ``end`` in seconds, as it is compared."""
    return channel, round(start * 1000), round(end * 1000)


@dataclass(frozen=True)
class Span:
    """A stretch of a recording that is to be a clip: seconds, channel (counted from 0; None for
    all mixed down), its own labels by task, and who speaks in it."""

    start: float
    end: float
    channel: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    speaker: str | None = None

    def __post_init__(self) -> None:
        """See ``texts_cleaned``."""
        texts_cleaned(self)


@dataclass(frozen=True)
class Side:
    """What is known of one channel of a recording: who speaks, and labels of its clips by task."""

    speaker: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """See ``texts_cleaned``."""
        texts_cleaned(self)


def texts_cleaned(given: Any) -> None:
    """Bring the texts of new annotations into the form in which they are stored and compared.

    Raises:
        InvalidInputError: they cannot be stored.
    """
    for name in ("source", "speaker"):
        if (text := getattr(given, name, None)) is not None:
            object.__setattr__(given, name, clean(name, text))
    for name in ("labels", "metadata"):
        if pairs := getattr(given, name, None):
            cleaned = {clean(name, key): clean(name, value) for key, value in pairs.items()}
            object.__setattr__(given, name, cleaned)

"""Spans of recordings: as a manifest gives them, and the key by which they are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ClipSpan = tuple[int | None, int, int]
"""What makes a clip of a recording the same clip: channel, start and end in milliseconds."""


def span_key(channel: int | None, start: float, end: float) -> ClipSpan:
    """The span of a clip, ``start`` and ``end`` in seconds, as it is compared."""
    return channel, round(start * 1000), round(end * 1000)


@dataclass(frozen=True)
class Span:
    """A stretch of a recording that is to be a clip: seconds, channel (counted from 0; None for
    all mixed down), and its own labels by task."""

    start: float
    end: float
    channel: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

"""The status of an archive, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from emotion_search.index.database.known_values import Counts
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.spaces import SpaceInfo


@dataclass(frozen=True)
class Status:
    """What an archive holds, under which model, and the space that serves; ``model`` and
    ``space`` are None while it is empty.

    Attributes:
        adapted: what scores are adapted to: the ``mean`` of the archive, ``baselines``; None for
            nothing.
        min_confidence: least score of a clip's top class; below, the clip counts as uncertain.
    """

    database: str
    home: str
    model: ModelInfo | None
    space: SpaceInfo | None
    counts: Counts
    adapted: str | None
    min_confidence: float

"""Emotion classes of models: the one that a name means, and those that are no event."""

from __future__ import annotations

from collections.abc import Sequence

from emotion_search.index.database.emotion_names import common
from emotion_search.index.database.nearest import nearest
from emotion_search.index.errors import AbsentError

UNCERTAIN = "uncertain"
"""What a clip counts as whose top class has too low a score."""

PLAIN = frozenset({"neutral", "other", "unknown"})
"""Classes whose rise is no event."""


def class_called(name: str, classes: Sequence[str]) -> str:
    """The one of ``classes`` that is meant.

    Raises:
        AbsentError: there is none of this name.
    """
    for one in classes:
        if common(one) == common(name):
            return one
    raise AbsentError(f"the archive's model has no class {name}{nearest(name, classes)}")

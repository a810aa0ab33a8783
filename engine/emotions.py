"""Emotion classes of models: the one that a name means, and their valence and arousal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emotion_search.index.database.emotion_names import common
from emotion_search.index.database.nearest import nearest
from emotion_search.index.errors import AbsentError

_PLACES = {
    "angry": (-0.7, 0.7),
    "bored": (-0.4, -0.6),
    "calm": (0.4, -0.5),
    "disgusted": (-0.7, 0.2),
    "fearful": (-0.7, 0.6),
    "happy": (0.8, 0.5),
    "sad": (-0.7, -0.5),
    "surprised": (0.1, 0.8),
}
"""Valence and arousal, -1 to 1; every other class counts as 0. A convention of ours: roughly where
the words lie on Russell's circumplex ("A circumplex model of affect", J. Pers. Soc. Psychol. 39,
1980), to one digit. Not fitted to anything, and no measurement of either dimension."""

UNCERTAIN = "uncertain"
"""What a clip counts as whose top class has too low a score."""

PLAIN = frozenset({"neutral", "other", "unknown"})
"""Classes whose rise is no event."""


def weights(classes: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What each class adds to valence and to arousal: float64, (classes,). The summary of scores p
    is p @ weights: the mean of the classes' places by their scores."""
    places = np.array([_PLACES.get(common(name), (0.0, 0.0)) for name in classes]).reshape(-1, 2)
    return places[:, 0], places[:, 1]


def class_called(name: str, classes: Sequence[str]) -> str:
    """The one of ``classes`` that is meant.

    Raises:
        AbsentError: there is none of this name.
    """
    for one in classes:
        if common(one) == common(name):
            return one
    raise AbsentError(f"the archive's model has no class {name}{nearest(name, classes)}")

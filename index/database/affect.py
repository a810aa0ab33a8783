"""Valence, arousal and dominance of clips: derived from class scores by a published table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from emotion_search.index.database.emotion_names import common

DIMENSIONS = ("valence", "arousal", "dominance")

_PLACES = {
    "angry": (-0.51, 0.59, 0.25),
    "bored": (-0.65, -0.62, -0.33),
    "disgusted": (-0.60, 0.35, 0.11),
    "fearful": (-0.64, 0.60, -0.43),
    "happy": (0.81, 0.51, 0.46),
    "sad": (-0.63, -0.27, -0.33),
    "surprised": (0.40, 0.67, -0.13),
}
"""Mean ratings of these words, -1 to 1 (J. A. Russell and A. Mehrabian, "Evidence for a
three-factor theory of emotions", J. Res. Pers. 11, 1977, 273-294; pleasure is called valence here).
Neutral, and every class that is not among them, counts 0."""

ROUNDED = 1e-5
"""Play in what is derived."""


def affect(classes: Sequence[str], scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """The mean of the classes' places by their scores, no measurement: float64, (…, 3), in the
    order of ``DIMENSIONS``.

    Args:
        scores: (…, classes).
    """
    return scores.astype(np.float64) @ _weights(tuple(classes))


def follows(found: Mapping[str, float], scores: Mapping[str, float]) -> bool:
    """Whether this is what is derived from these scores; else a model has estimated it itself."""
    if not (found and scores):
        return False
    derived = affect(list(scores), np.array(list(scores.values())))
    return bool(np.abs(derived - [found[name] for name in DIMENSIONS]).max() < ROUNDED)


@lru_cache(maxsize=16)
def _weights(classes: tuple[str, ...]) -> NDArray[np.float64]:
    places = [_PLACES.get(common(name), (0.0, 0.0, 0.0)) for name in classes]
    return np.array(places, np.float64).reshape(-1, 3)

"""Variation of the built-in network's features in fine-tuning (SpecAugment-like)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.embedders.acoustic.features import MELS
from emotion_search.engine.training.batches import warped

Random = np.random.Generator
Floats = NDArray[np.float32]

_PERIODICITY, _PITCH = MELS + 1, MELS + 3


def vary(x: Floats, frames: int, random: Random) -> Floats:
    """A stretch of a clip's features (n, ``CHANNELS``) as (frames, ``CHANNELS``): another tempo
    (up to 16 %), vocal tract (6 %), colour and pitch, with bands and a moment left out.

    Leaving out follows SpecAugment (Park et al., Interspeech 2019), the vocal tract VTLP (Jaitly
    and Hinton, ICML 2013).
    """
    x = _stretched(x, frames, float(np.exp(random.uniform(-0.15, 0.15))), random)
    mel = warped(x[:, :MELS], float(np.exp(random.uniform(-0.06, 0.06))))
    points = np.linspace(0, MELS - 1, 5)
    mel += np.interp(np.arange(MELS), points, random.normal(0, 0.4, 5)).astype(np.float32)
    for _ in range(2):
        width = int(random.integers(0, 9))
        at = int(random.integers(0, MELS - width))
        mel[:, at : at + width] = mel.mean()
    x[:, :MELS] = mel
    width = int(random.integers(0, frames // 6))
    at = int(random.integers(0, frames - width))
    x[at : at + width] = x.mean(axis=0)
    x[:, _PITCH] += np.float32(random.normal(0, 0.15)) * (x[:, _PERIODICITY] > 0.5)
    return x


def _stretched(x: Floats, frames: int, tempo: float, random: Random) -> Floats:
    need = int(np.ceil(frames * tempo))
    if len(x) < need:
        x = np.tile(x, (need // len(x) + 1, 1))
    at = int(random.integers(len(x) - need + 1))
    x = x[at : at + need]
    place = np.minimum(np.arange(frames) * tempo, need - 1)
    below = place.astype(int)
    share = (place - below)[:, None].astype(np.float32)
    above = np.minimum(below + 1, need - 1)
    return np.asarray(x[below] * (1 - share) + x[above] * share)

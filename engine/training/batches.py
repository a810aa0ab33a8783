"""Batch sampling and feature augmentation (SpecAugment-like)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emotion_search.engine.embedders.acoustic.features import CHANNELS, MELS
from emotion_search.engine.training.corpora import LabelledClip
from emotion_search.engine.training.prepare import Variant

Random = np.random.Generator
Floats = NDArray[np.float32]

_LENGTHS = (120, 160, 200, 260)
"""Frames of a batch's clips (10 ms each); shorter clips are repeated."""

_PERIODICITY, _PITCH = MELS + 1, MELS + 3


@dataclass(frozen=True, eq=False)
class Corpus:
    """One collection, ready to draw from.

    Attributes:
        clips: what its clips are.
        variants: their features, as they are and augmented.
        labels: index of each clip's label in ``names``.
        names: its labels, sorted.
        speakers: a number for each clip's speaker.
    """

    clips: Sequence[LabelledClip]
    variants: Sequence[Variant]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    speakers: NDArray[np.int64]

    @classmethod
    def of(cls, clips: Sequence[LabelledClip], variants: Sequence[Variant]) -> Corpus:
        """The corpus of these clips."""
        names, labels = np.unique([clip.label for clip in clips], return_inverse=True)
        speakers = np.unique([clip.speaker for clip in clips], return_inverse=True)[1]
        return cls(clips, variants, labels, tuple(map(str, names)), speakers)


@dataclass(frozen=True, eq=False)
class Batch:
    """Clips of one corpus.

    Attributes:
        features: float32, (n, ``CHANNELS``, frames).
        labels: int64, (n,), in the corpus's own names.
        speakers: int64, (n,).
    """

    features: Tensor
    labels: Tensor
    speakers: Tensor


def draw(corpus: Corpus, rows: NDArray[np.intp], size: int, frames: int, random: Random) -> Batch:
    """``size`` clips out of ``rows``: every label as often as any other where there are few
    labels, several clips of a speaker together where there are many speakers.

    Within a batch the network then has to tell emotions of one voice apart, and to bring one
    emotion of several voices together.
    """
    chosen = _chosen(corpus, rows, size, random)
    features = np.empty((size, CHANNELS, frames), np.float32)
    for i, row in enumerate(chosen):
        variant = corpus.variants[int(random.integers(len(corpus.variants)))]
        clip = variant.rows[variant.starts[row] : variant.starts[row + 1]].astype(np.float32)
        features[i] = vary(clip, frames, random).T
    return Batch(
        torch.from_numpy(features),
        torch.from_numpy(corpus.labels[chosen]),
        torch.from_numpy(corpus.speakers[chosen]),
    )


def length(random: Random) -> int:
    """Frames of a batch's clips."""
    return int(random.choice(_LENGTHS))


def _chosen(corpus: Corpus, rows: NDArray[np.intp], size: int, random: Random) -> NDArray[np.intp]:
    speakers = np.unique(corpus.speakers[rows])
    if len(speakers) >= size:
        some = random.choice(speakers, -(-size // 6), replace=False)
        groups = [rows[corpus.speakers[rows] == speaker] for speaker in some]
        return np.concatenate([random.choice(g, 6, replace=len(g) < 6) for g in groups])[:size]
    labels = np.unique(corpus.labels[rows])
    wanted = random.permutation(np.resize(random.permutation(labels), size))
    return np.array([random.choice(rows[corpus.labels[rows] == label]) for label in wanted])


def vary(x: Floats, frames: int, random: Random) -> Floats:
    """A stretch of a clip's features (n, ``CHANNELS``) as (frames, ``CHANNELS``): another tempo
    (up to 16 %), vocal tract (6 %), colour and pitch, with bands and a moment left out.

    Leaving out follows SpecAugment (Park et al., Interspeech 2019), the vocal tract VTLP (Jaitly
    and Hinton, ICML 2013).
    """
    x = _stretched(x, frames, float(np.exp(random.uniform(-0.15, 0.15))), random)
    mel = _interpolated(x[:, :MELS], float(np.exp(random.uniform(-0.06, 0.06))))
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


def _interpolated(mel: Floats, warp: float) -> Floats:
    """The bands read ``warp`` times as far up."""
    place = np.clip(np.arange(MELS) * warp, 0, MELS - 1)
    below = place.astype(int)
    share = (place - below).astype(np.float32)
    above = np.minimum(below + 1, MELS - 1)
    return np.asarray(mel[:, below] * (1 - share) + mel[:, above] * share)

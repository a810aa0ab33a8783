"""Batch sampling, and variation of spectra (SpecAugment-like)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emotion_search.engine.embedders.voice.spectrum import BANDS
from emotion_search.engine.training.corpora import LabelledClip
from emotion_search.engine.training.prepare import ClipRows

Random = np.random.Generator
Floats = NDArray[np.float32]

_LENGTHS = (120, 160, 200, 260)
"""Frames of a batch's clips at most (10 ms each); shorter clips are padded."""


@dataclass(frozen=True, eq=False)
class Corpus:
    """One collection, ready to draw from.

    Attributes:
        clips: what its clips are.
        variants: their spectra, as they are and augmented.
        labels: index of each clip's label in ``names``.
        names: its labels, sorted.
        speakers: a number for each clip's speaker.
        texts: a number for what each clip says; each its own where nobody knows.
    """

    clips: Sequence[LabelledClip]
    variants: Sequence[ClipRows]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    speakers: NDArray[np.int64]
    texts: NDArray[np.int64]

    @classmethod
    def of(cls, clips: Sequence[LabelledClip], variants: Sequence[ClipRows]) -> Corpus:
        """The corpus of these clips."""
        names, labels = np.unique([clip.label for clip in clips], return_inverse=True)
        speakers = np.unique([clip.speaker for clip in clips], return_inverse=True)[1]
        sentences = [clip.text or f"clip {i}" for i, clip in enumerate(clips)]
        texts = np.unique(sentences, return_inverse=True)[1]
        return cls(clips, variants, labels, tuple(map(str, names)), speakers, texts)

    def spectrum(self, row: int, variant: int = 0) -> Floats:
        """The spectrum of a clip, (frames, ``BANDS``)."""
        return self.variants[variant].of(row).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Batch:
    """Clips of one corpus.

    Attributes:
        spectra: each float32, (frames, ``BANDS``).
        labels: int64, (n,), in the corpus's own names.
        speakers: int64, (n,).
        texts: int64, (n,).
    """

    spectra: Sequence[Floats]
    labels: Tensor
    speakers: Tensor
    texts: Tensor


def draw(corpus: Corpus, rows: NDArray[np.intp], size: int, frames: int, random: Random) -> Batch:
    """``size`` clips out of ``rows``, every label as often as any other."""
    labels = np.unique(corpus.labels[rows])
    wanted = random.permutation(np.resize(random.permutation(labels), size))
    chosen = np.array([random.choice(rows[corpus.labels[rows] == label]) for label in wanted])
    spectra = [
        vary(corpus.spectrum(row, int(random.integers(len(corpus.variants)))), frames, random)
        for row in chosen
    ]
    labelled = (corpus.labels, corpus.speakers, corpus.texts)
    return Batch(spectra, *(torch.from_numpy(of[chosen]) for of in labelled))


def length(random: Random) -> int:
    """Frames of a batch's clips at most."""
    return int(random.choice(_LENGTHS))


def padded(spectra: Sequence[Floats]) -> tuple[Tensor, Tensor]:
    """Spectra as one tensor, float32, (n, ``BANDS``, frames), and which frames are not padding,
    bool, (n, frames)."""
    size = max(map(len, spectra))
    together = np.zeros((len(spectra), size, BANDS), np.float32)
    known = np.zeros((len(spectra), size), np.bool_)
    for i, one in enumerate(spectra):
        together[i, : len(one)] = one
        known[i, : len(one)] = True
    return torch.from_numpy(together).transpose(1, 2), torch.from_numpy(known)


def vary(x: Floats, frames: int, random: Random) -> Floats:
    """A stretch of at most ``frames`` of a spectrum (n, ``BANDS``), with another vocal tract (6 %)
    and colour, and with bands and a moment left out.

    Leaving out follows SpecAugment (Park et al., Interspeech 2019), the vocal tract VTLP (Jaitly
    and Hinton, ICML 2013).
    """
    at = int(random.integers(max(len(x) - frames, 0) + 1))
    x = warped(x[at : at + frames], float(np.exp(random.uniform(-0.06, 0.06))))
    points = np.linspace(0, BANDS - 1, 5)
    x += np.interp(np.arange(BANDS), points, random.normal(0, 0.06, 5)).astype(np.float32)
    for _ in range(2):
        width = int(random.integers(0, 10))
        at = int(random.integers(0, BANDS - width))
        x[:, at : at + width] = x.mean()
    width = int(random.integers(0, max(1, len(x) // 7)))
    at = int(random.integers(0, len(x) - width + 1))
    x[at : at + width] = x.mean(axis=0)
    return x


def warped(x: Floats, warp: float) -> Floats:
    """A spectrum, (n, bands), whose bands are read ``warp`` times as far up."""
    highest = x.shape[1] - 1
    place = np.clip(np.arange(x.shape[1]) * warp, 0, highest)
    below = place.astype(int)
    share = (place - below).astype(np.float32)
    above = np.minimum(below + 1, highest)
    return np.asarray(x[:, below] * (1 - share) + x[:, above] * share)

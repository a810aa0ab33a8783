"""The built-in model ``acoustic``: standardised functionals, nothing to download or train."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.audio import Samples
from engine.embedders.base import Embeddings, Frames, check
from engine.embedders.functionals import functionals
from index.errors import InvalidInputError

VERSION = "1"
"""Raised whenever the same clip would get another vector."""

_LIMIT = 4.0  # deviations; beyond, a value says no more

# Mean and deviation of each functional over clear speech (unlabelled acted German sentences,
# EMO-DB), rounded: they only bring values of different units to one scale.
_TYPICAL: dict[str, tuple[list[float], list[float]]] = {
    "cepstrum": (
        [0.74, 0.05, 0.31, -0.09, -0.02, -0.12, -0.12, -0.16, -0.06, -0.01, -0.08, -0.04],
        [0.40, 0.36, 0.21, 0.22, 0.18, 0.17, 0.11, 0.12, 0.12, 0.11, 0.11, 0.09],
    ),
    "bands": (
        [2.8, *[3.5] * 2, *[3.3] * 14, *[3.0] * 15],
        [0.56, *[0.66] * 3, *[0.5] * 3, *[0.4] * 25],
    ),
    "change": ([1.5, *[1.8] * 11, *[1.7] * 2, *[1.6] * 2], [0.22, *[0.28] * 15]),
    "shape": (
        [9.4, -2.5, -3.6, 9.8, 1.3, 2.6, 3.5, 1.5, 0.67, 0.40],
        [0.70, 1.2, 1.2, 0.76, 0.26, 0.39, 0.67, 0.24, 0.11, 0.033],
    ),
    "pitch": (
        [7.6, 0.69, 0.58, 0.56, 0.041, -0.010, 0.72, 0.82],
        [0.53, 0.49, 0.28, 0.13, 0.008, 0.007, 0.09, 0.039],
    ),
    "energy": (
        [9.2, 13.0, 8.4, 3.2, 3.6, 0.14, 12.0, 11.0, 4.2],
        [2.5, 2.8, 0.88, 0.43, 0.50, 0.07, 3.6, 2.9, 0.94],
    ),
}


class Acoustic:
    """An ``Embedder`` of hand-made functionals: 87 dimensions, no scores."""

    name = "acoustic"
    classes: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.dimension = sum(len(means) for means, _ in _TYPICAL.values())
        recipe = f"acoustic {VERSION} {sorted(_TYPICAL.items())} {_LIMIT}"
        self.fingerprint = hashlib.sha256(recipe.encode()).hexdigest()

    def embed(self, clips: Sequence[Samples]) -> Embeddings:
        """Embeddings of clips, each float32, (n,), 16 kHz.

        Raises:
            AudioError: a clip is shorter than 400 samples or not finite.
        """
        check(clips)
        vectors = [_vector(clip) for clip in clips]
        return Embeddings(
            np.stack(vectors) if vectors else np.empty((0, self.dimension), np.float32),
            np.empty((len(clips), 0), np.float32),
        )

    def frames(self, clip: Samples) -> Frames:
        """Not to be had: this model describes a clip as a whole.

        Raises:
            InvalidInputError: always.
        """
        raise InvalidInputError("the model acoustic has no frames; it describes a clip as a whole")


def _vector(clip: Samples) -> NDArray[np.float32]:
    parts = []
    for group in functionals(clip):
        means, deviations = (np.asarray(row) for row in _TYPICAL[group.name])
        standard = np.clip((group.values - means) / deviations, -_LIMIT, _LIMIT)
        parts.append(standard * group.weight / np.sqrt(len(standard)))
    return np.concatenate(parts).astype(np.float32)

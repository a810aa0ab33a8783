"""Calibration: the percentile of a cosine among random pairs of clips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_search.index.vectors.arrays import Vectors, normalise

PAIRS = 100_000
"""Random pairs that a calibration looks at."""

_GRID = np.concatenate([np.linspace(0, 0.999, 1000), np.linspace(0.999, 1, 101)[1:]])
"""Shares of pairs at which the quantiles stand; the top per mille more finely."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """Quantiles of the cosines of random pairs of clips.

    Attributes:
        quantiles: float32, ascending, one for each point of a fixed grid.
        clips: how many clips the archive had.
    """

    quantiles: NDArray[np.float32]
    clips: int

    def percentile(self, cosines: NDArray[np.float64]) -> NDArray[np.float64]:
        """The percentage of random pairs that are less alike than this: 0 to 100, same shape."""
        quantiles = self.quantiles.astype(np.float64)
        steps, first = np.unique(quantiles, return_index=True)
        shares = _GRID[first] if len(steps) > 1 else np.zeros(1)
        return np.asarray(100 * np.interp(cosines, steps, shares, left=0.0, right=1.0))


def calibrate(
    vectors: Vectors, recordings: NDArray[np.int64], *, clips: int, seed: int = 0
) -> Calibration | None:
    """The calibration of random pairs among these clips; None where there is no pair.

    Pairs within a recording are left out, unless there is but one.

    Args:
        vectors: float32, (n, dim), none zero: a random sample of the archive, in its space.
        recordings: id of each one's recording.
        clips: how many clips the archive has.
    """
    n = len(vectors)
    if n < 2:
        return None
    if n * (n - 1) // 2 <= PAIRS:
        left, right = np.triu_indices(n, 1)
    else:
        random = np.random.default_rng(seed)
        left = random.integers(n, size=PAIRS)
        right = (left + random.integers(1, n, size=PAIRS)) % n
    apart = recordings[left] != recordings[right]
    if apart.any():
        left, right = left[apart], right[apart]
    unit = normalise(vectors)
    cosines = np.concatenate(
        [
            np.einsum("ij,ij->i", unit[a], unit[b])
            for a, b in zip(_parts(left), _parts(right), strict=True)
        ]
    )
    return Calibration(np.quantile(cosines, _GRID).astype(np.float32), clips)


def _parts(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return np.array_split(rows, max(1, len(rows) // 4096))

"""Calibration check: what percentiles mean on clips that they were not taken from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.quality.labelled import LabelledVectors
from emotion_search.index.vectors.arrays import normalise
from emotion_search.index.vectors.percentiles import Calibration, calibrate

STEPS = (50.0, 75.0, 90.0, 95.0, 99.0, 99.5)
"""Percentiles that are checked."""

_MOST = 2000  # clips of each half


@dataclass(frozen=True)
class Reading:
    """Pairs of clips at or above a percentile.

    Attributes:
        percentile: as calibrated on other clips.
        share: percentage of pairs that reach it; 100 - percentile if it is calibrated.
        same: share of these pairs that have the same label, 0 to 1; None if there are none.
    """

    percentile: float
    share: float
    same: float | None


@dataclass(frozen=True)
class CalibrationCheck:
    """Readings at several percentiles, and the share of all pairs that have the same label."""

    readings: tuple[Reading, ...]
    same: float


def check_calibration(data: LabelledVectors, *, seed: int) -> CalibrationCheck | None:
    """Percentiles calibrated on one half of the speakers, read on pairs of the other half.

    By recording where speakers are not known; None with fewer than two of them in each half.
    """
    groups = data.groups
    random = np.random.default_rng(seed)
    names = random.permutation(np.unique(groups))
    if len(names) < 4:  # of one speaker, all pairs are of the same voice
        return None
    half = np.isin(groups, names[: len(names) // 2])
    first, second = (_some(np.flatnonzero(rows), random) for rows in (half, ~half))
    numbers = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    calibration = calibrate(data.vectors[first], numbers[first], clips=len(first), seed=seed)
    left, right = np.triu_indices(len(second), 1)
    apart = numbers[second][left] != numbers[second][right]
    if calibration is None or not apart.any():
        return None
    left, right = left[apart], right[apart]
    return _readings(calibration, data, second[left], second[right])


def _readings(
    calibration: Calibration,
    data: LabelledVectors,
    left: NDArray[np.intp],
    right: NDArray[np.intp],
) -> CalibrationCheck:
    unit = normalise(data.vectors)
    parts = zip(
        np.array_split(left, len(left) // 4096 + 1),
        np.array_split(right, len(left) // 4096 + 1),
        strict=True,
    )
    cosines = np.concatenate([np.einsum("ij,ij->i", unit[a], unit[b]) for a, b in parts])
    percentiles = calibration.percentile(cosines.astype(np.float64))
    same = data.labels[left] == data.labels[right]
    readings = []
    for step in STEPS:
        above = percentiles >= step
        among = float(same[above].mean()) if above.any() else None
        readings.append(Reading(step, float(100 * above.mean()), among))
    return CalibrationCheck(tuple(readings), float(same.mean()))


def _some(rows: NDArray[np.intp], random: np.random.Generator) -> NDArray[np.intp]:
    return rows if len(rows) <= _MOST else np.sort(random.choice(rows, _MOST, replace=False))

"""Calibration check: what percentiles mean to a voice that they were not taken from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.quality.labelled import LabelledVectors
from emotion_search.index.database.embeddings import draw
from emotion_search.index.errors import InvalidInputError, UnusableError
from emotion_search.index.vectors.percentiles import calibrate, cosines_of, random_pairs
from emotion_search.index.vectors.space import Method, fit_space

STEPS = (50.0, 75.0, 90.0, 95.0, 99.0, 99.5)
"""Percentiles that are checked."""

_SPLITS = 3  # random halves of the speakers, each way round
_MOST = 2000  # clips that are looked at


@dataclass(frozen=True)
class Reading:
    """Pairs of clips at or above a percentile, over several random halves of the speakers.

    Attributes:
        percentile: as calibrated on clips by one half.
        share: percentage of pairs with clips by the other half that reach it; 100 - percentile if
            it is calibrated.
        deviation: standard deviation of the share over the halves: what one archive of so many
            speakers is off by chance, in percentage points.
        same: share of these pairs that have the same label, 0 to 1; None if there are none.
    """

    percentile: float
    share: float
    deviation: float
    same: float | None


@dataclass(frozen=True)
class CalibrationCheck:
    """Readings at several percentiles, and the share of all pairs that have the same label."""

    readings: tuple[Reading, ...]
    same: float


def check_calibration(
    data: LabelledVectors, method: Method, *, seed: int
) -> CalibrationCheck | None:
    """An archive of half of the speakers, its space and its percentiles, as ``tune`` makes them;
    read on pairs of its clips with those by the other half: as where new voices ask.

    Each source is halved by itself. By recording where speakers are not known; None with fewer
    than four of them.

    Args:
        data: embeddings, not in any space yet.
        method: of the space.
    """
    random = np.random.default_rng(seed)
    names, first = np.unique(data.groups, return_index=True)
    sources = np.zeros(len(names)) if data.sources is None else data.sources[first]
    if len(names) < 4:  # of one speaker, all pairs are of the same voice
        return None
    shares, same, number, among = [], [], 0, 0.0
    for _ in range(_SPLITS):
        chosen = names[np.lexsort((random.random(len(names)), sources))][::2]
        rows = draw(np.arange(len(data.labels)), _MOST, seed=int(random.integers(2**31)))
        half = np.isin(data.groups[rows], chosen)
        for known in (half, ~half):
            try:
                percentiles, alike = _read(data, rows, known, method, int(random.integers(2**31)))
            except InvalidInputError:  # a half with a single class, for one
                continue
            reached = percentiles >= np.array(STEPS)[:, None]
            shares.append(100 * reached.mean(axis=1))
            same.append([(reached & alike).sum(axis=1), reached.sum(axis=1)])
            number, among = number + 1, among + float(alike.mean())
    if not number:
        return None
    found, of = np.sum(same, axis=0)
    mean, deviation = np.mean(shares, axis=0), np.std(shares, axis=0)
    readings = [
        Reading(step, float(m), float(d), float(f / n) if n else None)
        for step, m, d, f, n in zip(STEPS, mean, deviation, found, of, strict=True)
    ]
    return CalibrationCheck(tuple(readings), among / number)


def _read(
    data: LabelledVectors,
    rows: NDArray[np.intp],
    known: NDArray[np.bool_],
    method: Method,
    seed: int,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Percentiles of pairs of the clips ``known`` with others, and whether their labels agree."""
    vectors, labels, groups = data.vectors[rows], data.labels[rows], data.groups[rows]
    centres = data.centres[rows] if method.grouped and data.centres is not None else None
    own = np.flatnonzero(known)

    def turned(fitted: NDArray[np.intp], of: slice | NDArray[np.intp]) -> NDArray[np.float32]:
        if centres is None:
            return fit_space(method, vectors[fitted], labels[fitted]).apply(vectors[of])
        space = fit_space(method, vectors[fitted], labels[fitted], centres[fitted])
        return space.apply(vectors[of], centres[of])

    calibration = calibrate(
        lambda some: turned(own[some], own),
        groups[known],
        (np.zeros(len(rows)) if data.sources is None else data.sources[rows])[known],
        clips=len(own),
        seed=seed,
    )
    left, right = random_pairs(~known, known, seed=seed)
    if calibration is None or not len(left):
        raise UnusableError("a half of the speakers has no clips")
    cosines = cosines_of(turned(own, slice(None)), left, right).astype(np.float64)
    return calibration.percentile(cosines), labels[left] == labels[right]

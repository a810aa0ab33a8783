"""Calibration: the percentile of a cosine among random pairs of clips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_search.index.vectors.arrays import Vectors, normalise

PAIRS = 100_000
"""Random pairs that a calibration looks at."""

_GRID = np.concatenate([np.linspace(0, 0.999, 1000), np.linspace(0.999, 1, 101)[1:]])
"""Shares of pairs at which the quantiles stand; the top per mille more finely."""

_FOLDS = 10  # of the groups, left out one at a time


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
    refit: Callable[[NDArray[np.bool_]], Vectors],
    groups: NDArray[Any],
    sources: NDArray[Any],
    *,
    clips: int,
    seed: int = 0,
) -> Calibration | None:
    """The calibration of pairs of a clip by somebody new with one by somebody known, as where a new
    voice asks; None where there is no pair.

    Pairs within a group are left out, unless there is but one: voices are like themselves whatever
    the emotion. And a space moves the clips that it is fitted to apart, a learned one puts their
    classes together; others come out otherwise. So a tenth of the groups is left out at a time
    (cross-fitting), a tenth of those of each source, as recordings of one source are alike; and
    what is left of a source is drawn as often as the whole of it would be, or too few of the pairs
    would be of one source.

    Args:
        refit: from which clips may be fitted to, bool (n,), to all of them in that space, float32
            (n, dim): a random sample of the archive.
        groups: (n,), who speaks in each, or its recording.
        sources: (n,), where each is from.
        clips: how many clips the archive has.
    """
    if not len(groups):
        return None
    names, first = np.unique(groups, return_index=True)
    random = np.random.default_rng(seed).random(len(names))
    names = names[np.lexsort((random, sources[first]))]
    folds = [np.isin(groups, names[fold::_FOLDS]) for fold in range(min(_FOLDS, len(names)))]
    if len(folds) == 1:
        pairs = [random_pairs(folds[0], folds[0], seed=seed)]
        folds = [~folds[0]]
    else:
        places = np.unique(sources, return_inverse=True)[1]
        whole = np.bincount(places)
        pairs = [
            random_pairs(
                new,
                ~new,
                pairs=int(np.ceil(PAIRS * new.mean())),
                seed=seed,
                often=(whole / np.bincount(places[~new], minlength=len(whole)).clip(min=1))[places],
            )
            for new in folds
        ]
    found = [cosines_of(refit(~new), *some) for new, some in zip(folds, pairs, strict=True)]
    if not sum(map(len, found)):
        return None
    return Calibration(np.quantile(np.concatenate(found), _GRID).astype(np.float32), clips)


def random_pairs(
    one: NDArray[np.bool_],
    other: NDArray[np.bool_],
    *,
    pairs: int = PAIRS,
    seed: int = 0,
    often: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of random pairs of a clip of ``one``, bool (n,), with one of ``other``, at most
    ``pairs``; all there are, where those are fewer and none is to come more often.

    Args:
        often: how often each clip of ``other`` comes, beside the rest of them; (n,).
    """
    first, second = np.flatnonzero(one), np.flatnonzero(other)
    chances = None if often is None or not len(second) else often[second] / often[second].sum()
    even = chances is None or bool(np.allclose(chances, chances[0]))
    if len(first) * len(second) <= pairs and even:
        left, right = np.repeat(first, len(second)), np.tile(second, len(first))
    else:
        random = np.random.default_rng(seed)
        left, right = random.choice(first, pairs), random.choice(second, pairs, p=chances)
    two = left != right
    return left[two], right[two]


def cosines_of(
    vectors: Vectors, left: NDArray[np.int64], right: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Cosines of pairs of rows of ``vectors``, float32 (n, dim): float32, one a pair."""
    unit = normalise(vectors)
    parts = max(1, len(left) // 4096)
    pairs = zip(np.array_split(left, parts), np.array_split(right, parts), strict=True)
    return np.concatenate([np.einsum("ij,ij->i", unit[a], unit[b]) for a, b in pairs])

"""Rank correlation of labels that are numbers with valence, arousal and dominance of clips."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from emotion_search.engine.quality.labelled import LabelledVectors
from emotion_search.engine.quality.summary import Array, Estimate, estimates
from emotion_search.index.database.affect import DIMENSIONS


def rank_correlations(data: LabelledVectors, *, rounds: int, seed: int) -> dict[str, Estimate]:
    """Spearman's rho by dimension, -1 to 1, with its interval over speakers (or recordings), whose
    clips keep their ranks among all clips; empty where labels are no numbers, or clips have none of
    it. A dimension that is the same for all clips is left out."""
    try:
        numbers = data.labels.astype(np.float64)
    except ValueError:
        return {}
    if data.affect is None:
        return {}
    kept = np.isfinite(numbers) & np.isfinite(data.affect).all(axis=1)
    values = np.column_stack([numbers[kept], data.affect[kept]])
    if not kept.any() or np.ptp(values[:, 0]) == 0:
        return {}
    ranks = rankdata(values, axis=0)
    products = (ranks[:, :, None] * ranks[:, None, :]).reshape(len(ranks), -1)
    moments = np.column_stack([np.ones(len(ranks)), ranks, products])
    names, group = np.unique(data.groups[kept], return_inverse=True)
    sums = np.zeros((len(names), moments.shape[1]))
    np.add.at(sums, group, moments)

    def correlations(weights: Array) -> Array:
        """(rounds, groups) -> (rounds, 3)"""
        drawn = weights @ sums
        means = drawn[:, 1:] / drawn[:, :1]
        first, second = means[:, :4], means[:, 4:].reshape(-1, 4, 4)
        spread = second - first[:, :, None] * first[:, None, :]
        variances = np.diagonal(spread, axis1=1, axis2=2)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(spread[:, 0, 1:] / np.sqrt(variances[:, :1] * variances[:, 1:]))

    found = estimates(correlations, len(names), rounds=rounds, seed=seed)
    return {
        name: rho for name, rho in zip(DIMENSIONS, found, strict=True) if np.isfinite(rho.value)
    }

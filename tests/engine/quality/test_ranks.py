"""Rank correlation of labels that are numbers with what is derived from the scores."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from emotion_search.engine.quality.labelled import LabelledVectors
from emotion_search.engine.quality.ranks import rank_correlations
from emotion_search.index.database.affect import DIMENSIONS, affect

CLASSES = ("angry", "happy", "sad", "neutral")


def labelled(labels: list[str], scores: np.ndarray, speakers: int = 8) -> LabelledVectors:
    n = len(labels)
    names = np.array([f"s{i % speakers}" for i in range(n)])
    return LabelledVectors(
        np.random.default_rng(1).normal(size=(n, 3)).astype(np.float32),
        np.array(labels), names, np.array([f"r{i}" for i in range(n)]), "made",
        affect=affect(CLASSES, scores),
    )  # fmt: skip


def test_it_is_spearmans_with_ties_and_its_interval_holds_it():
    random = np.random.default_rng(0)
    scores = random.dirichlet(np.ones(4), 80).astype(np.float32)
    arousal = affect(CLASSES, scores)[:, 1]
    numbers = np.clip(np.round(3 + 4 * arousal + 0.5 * random.normal(size=80)), 1, 5)
    scores[0] = np.nan  # a clip without scores is left out

    found = rank_correlations(labelled([f"{n:g}" for n in numbers], scores), rounds=200, seed=0)

    derived = affect(CLASSES, scores[1:])
    for name, column in zip(DIMENSIONS, derived.T, strict=True):
        rho = spearmanr(numbers[1:], column).statistic
        assert found[name].value == pytest.approx(rho)
        assert found[name].low < rho < found[name].high
    assert found["arousal"].value > 0.5


def test_labels_that_are_words_have_none():
    scores = np.full((4, 4), 0.25, np.float32)
    assert rank_correlations(labelled(["low", "low", "3", "3"], scores), rounds=9, seed=0) == {}
    assert rank_correlations(labelled(["1", "1", "3", "3"], scores), rounds=9, seed=0) == {}


def test_a_clip_of_which_any_dimension_is_unknown_is_left_out():
    scores = np.random.default_rng(0).dirichlet(np.ones(4), 9).astype(np.float32)
    numbers = np.arange(9) % 4
    data = labelled(numbers.astype(str).tolist(), scores)
    known = data.affect.copy()
    known[4, 0] = np.nan
    found = rank_correlations(replace(data, affect=known), rounds=0, seed=0)
    kept = np.delete(np.arange(9), 4)
    for name, column in zip(DIMENSIONS, known[kept].T, strict=True):
        assert found[name].value == pytest.approx(spearmanr(numbers[kept], column).statistic)
    assert rank_correlations(replace(data, affect=None), rounds=0, seed=0) == {}
    same = replace(data, affect=np.full((9, 3), 0.5))
    assert rank_correlations(same, rounds=0, seed=0) == {}  # no clip is above another


def test_one_speaker_has_no_interval_and_two_have():
    scores = np.random.default_rng(0).dirichlet(np.ones(4), 9).astype(np.float32)
    numbers = [str(n // 2) for n in range(9)]
    (alone, *_) = rank_correlations(labelled(numbers, scores, 1), rounds=9, seed=0).values()
    assert (alone.low, alone.high) == (None, None)
    (two, *_) = rank_correlations(labelled(numbers, scores, 2), rounds=9, seed=0).values()
    assert two.low is not None
    (quick, *_) = rank_correlations(labelled(numbers, scores, 2), rounds=0, seed=0).values()
    assert quick.low is None

"""A model's class scores against labels, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from emotion_search.engine.quality.labelled import LabelledVectors
from emotion_search.engine.quality.measure import by_width
from emotion_search.engine.quality.scores import judge_scores

MODEL = ("angry", "other", "sad")


def scored() -> LabelledVectors:
    """Anger twice, sadness three times; one clip without scores, one of a class unknown."""
    scores = [
        [0.75, 0.15, 0.1],  # right
        [0.2, 0.55, 0.25],  # other; among the labels' classes: sad
        [0.25, 0.0, 0.75],  # right
        [0.1, 0.65, 0.25],  # other; among the labels' classes: right
        [0.65, 0.1, 0.25],  # wrong
        [np.nan] * 3,
        [1.0, 0.0, 0.0],
    ]
    labels = ["anger", "anger", "sadness", "sad", "sadness", "sadness", "irony"]
    return LabelledVectors(
        np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32),
        np.array(labels),
        np.array(list("stststs")),
        np.arange(7).astype(str),
        "made",
        scores=np.array(scores, np.float32),
        score_classes=MODEL,
    )


def test_class_scores_of_five_clips_by_hand():
    one = judge_scores(scored(), rounds=0, seed=0)
    assert (one.clips, one.unmatched, one.unscored) == (5, {"irony": 1}, 1)
    assert one.uar.value == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert one.uar_own.value == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert (one.chance, one.chance_own) == (1 / 3, 1 / 2)
    assert one.confusion == ((1, 1, 0), (0, 0, 0), (1, 1, 1))
    assert one.labelled == pytest.approx({"angry": 0.4, "other": 0, "sad": 0.6})
    assert one.given == pytest.approx({"angry": 0.4, "other": 0.4, "sad": 0.2})
    # Bins: 0.55 (wrong); twice 0.65 (wrong); twice 0.75 (right).
    assert [(round(b.confidence, 6), b.accuracy, b.clips) for b in one.bins] == [
        (0.55, 0, 1),
        (0.65, 0, 2),
        (0.75, 1, 2),
    ]
    assert one.error == pytest.approx((0.55 + 2 * 0.65 + 2 * 0.25) / 5)


def test_intervals_are_over_speakers():
    uar = judge_scores(scored(), rounds=200, seed=0).uar
    assert uar.low < uar.value < uar.high


def test_without_scores_or_labels_that_match_there_is_nothing_to_tell():
    data = scored()
    assert judge_scores(replace(data, scores=None), rounds=0, seed=0) is None
    strange = replace(data, labels=np.array(["anger"] * 4 + ["irony"] * 3))
    assert judge_scores(strange, rounds=0, seed=0) is None


def test_bins_of_equal_width_hold_their_lower_end():
    values = np.array([0.0, 0.1, 0.19, 0.95, 1.0])
    assert [rows.tolist() for rows in by_width(values)] == [[0], [1, 2], [3, 4]]

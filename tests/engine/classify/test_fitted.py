"""Classifiers as arrays say what scikit-learn says, and come back from bytes as they were."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import save
from scipy.special import expit
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier

from emotion_search.engine.classify.calibrate import KINDS, Kind, curves_of, fit_curves, margin
from emotion_search.engine.classify.compare import (
    Checked,
    check_probabilities,
    choose_setting,
    held_out_scores,
    splits_of,
)
from emotion_search.engine.classify.examples import Examples
from emotion_search.engine.classify.fitted import from_bytes, to_bytes
from emotion_search.engine.classify.methods import METHODS, discriminant, forest
from emotion_search.engine.quality.measure import by_count, measure, reliability
from emotion_search.index.errors import DatabaseError
from tests.archives import blobs


def made(classes: int, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    vectors, labels, _ = blobs(classes, 5, 8, spread=spread)
    return vectors, np.unique(labels, return_inverse=True)[1]


@pytest.mark.parametrize("dim", [8, 300])  # fewer and more features than clips
def test_discriminants_are_those_of_scikit_learn(dim: int):
    vectors, labels, _ = blobs(4, 5, 8, spread=1.0, dim=dim)
    x, y = vectors[11:].astype(np.float64), np.unique(labels, return_inverse=True)[1][11:]
    n, counts = len(x), np.bincount(y)
    spread = np.sqrt(np.mean([x[y == c].var(axis=0) for c in range(4)], axis=0))
    for setting, shrinkage in enumerate((0.03, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)):
        peer = LinearDiscriminantAnalysis("lsqr", shrinkage=shrinkage, priors=np.full(4, 0.25))
        expected = peer.fit(x / spread, y).decision_function(x / spread)
        ours = discriminant(x, y, 0)[setting].scores(x) * n / (n - len(counts))  # unbiased
        np.testing.assert_allclose(ours - ours[:, :1], expected - expected[:, :1], atol=1e-6)


def test_features_that_never_vary_and_single_clips_are_no_harm():
    x = np.array([[0, 1, 5], [0, 2, 5], [0, 3, 5]], np.float32)
    for fitted in discriminant(x, np.array([0, 1, 2]), 0):
        np.testing.assert_array_equal(fitted.scores(x).argmax(axis=1), [0, 1, 2])


@pytest.mark.parametrize("classes", [2, 4])
def test_the_forest_gives_the_logs_of_scikit_learns_probabilities(classes: int):
    x, y = made(classes)
    peer = RandomForestClassifier(
        100, class_weight="balanced", min_samples_leaf=2, max_samples=len(x), random_state=3
    ).fit(x, y)
    expected = np.maximum(peer.predict_proba(x), 1e-3)
    np.testing.assert_allclose(np.exp(forest(x, y, 3)[0].scores(x)), expected, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
def test_a_stored_classifier_says_the_same(method: str, kind: Kind):
    x, y = made(3)
    fitted = METHODS[method].fit(x, y, 0)[0]
    curves = fit_curves(fitted.scores(x), y, kind)
    again, calibration = from_bytes(to_bytes(fitted, curves.arrays()))
    np.testing.assert_array_equal(again.scores(x), fitted.scores(x))
    np.testing.assert_array_equal(
        curves_of(calibration).probabilities(again.scores(x)),
        curves.probabilities(fitted.scores(x)),
    )


def examples(x: np.ndarray, y: np.ndarray, groups: np.ndarray) -> Examples:
    names = tuple(map(str, range(y.max() + 1)))
    return Examples(np.arange(len(x)), x.astype(np.float32), y, names, groups, "speaker", "")


def rotated(random: np.random.Generator, dim: int) -> np.ndarray:
    return np.linalg.qr(random.normal(size=(dim, dim)))[0]


def test_regularisation_goes_by_what_the_data_need():
    random = np.random.default_rng(0)
    y = np.arange(200) % 2
    groups = np.repeat(np.arange(20).astype(str), 10)
    fine = random.normal(size=(200, 12)) * np.r_[0.1, np.full(11, 3.0)]
    fine[:, 0] += 0.2 * y  # the classes differ where there is least variance
    few = random.normal(size=(200, 150))
    few[:, :2] += y[:, None]  # and in two of many directions
    rows = np.arange(200)
    strengths = [
        choose_setting(
            examples(x @ rotated(random, x.shape[1]), y, groups), rows, "linear discriminant"
        )
        for x in (fine, few)
    ]
    assert strengths[0] == 0
    assert strengths[1] >= 5


def test_nothing_of_a_clip_judged_takes_part_in_the_choice():
    random = np.random.default_rng(1)
    y = np.arange(120) % 3
    x = random.normal(size=(120, 40)) + np.eye(3, 40)[y]
    groups = np.repeat(np.arange(12).astype(str), 10)
    splits = splits_of(y, groups)
    fit, test = splits[0]
    shuffled = y.copy()
    shuffled[test] = random.permutation(y[test])
    before, after = (
        held_out_scores(examples(x, labels, groups), splits, "linear discriminant")
        for labels in (y, shuffled)
    )
    np.testing.assert_array_equal(before[test], after[test])
    assert not np.array_equal(before[fit], after[fit])


@pytest.mark.parametrize(
    "data", [b"", b"garbage", save({"x": np.zeros(1)}), save({"forest.roots": np.zeros(1)})]
)
def test_bytes_that_are_no_classifier_are_refused(data: bytes):
    with pytest.raises(DatabaseError, match="train it again"):
        from_bytes(data)


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=40)
@given(
    scores=hnp.arrays(np.float64, (40, 3), elements=st.floats(-1e3, 1e3, width=32)),
    seed=st.integers(0, 5),
)
def test_probabilities_sum_to_one_whatever_the_scores(kind, scores, seed):
    y = np.random.default_rng(seed).integers(0, 3, 40)
    y[:3] = range(3)
    curves = fit_curves(scores, y, kind)
    chances = curves.probabilities(scores)
    assert ((chances >= 0) & (chances <= 1)).all()
    np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-9)
    decided = margin(scores)[np.arange(40), scores.argmax(axis=1)]
    assert (decided == margin(scores).max(axis=1)).all()


def test_uncalibrated_probabilities_are_by_how_frequent_classes_were_and_never_none():
    curves = fit_curves(np.zeros((3, 2)), np.array([0, 0, 1]), "none")
    frequent = np.array([3, 2]) / 5  # with one more of each
    least = 1 / 5
    certain = np.array([[1000.0, 0.0]])
    for scores, shares in ((np.zeros((1, 2)), frequent), (certain, np.array([1.0, 0.0]))):
        assert curves.probabilities(scores)[0] == pytest.approx(least + (1 - 2 * least) * shares)


def test_a_sigmoid_is_the_likeliest_for_platts_targets():
    random = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [30, 10, 5])
    scores = 0.5 * random.normal(size=(45, 3)) + 0.6 * np.eye(3)[y]
    curves = fit_curves(scores, y, "sigmoid")
    for c, (slope, offset) in enumerate(zip(curves.x, curves.y, strict=True)):
        yes, no = (y == c).sum(), (y != c).sum()
        target = np.where(y == c, (yes + 1) / (yes + 2), 1 / (no + 2))
        off = expit(slope * margin(scores)[:, c] + offset) - target
        assert slope > 0
        assert off.sum() == pytest.approx(0, abs=1e-2)  # where the slope of the loss is none
        assert margin(scores)[:, c] @ off == pytest.approx(0, abs=1e-2)


def test_calibrated_probabilities_hold_on_new_clips():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8000, 1))
    y = (rng.random(8000) < 1 / (1 + np.exp(-2 * x[:, 0]))).astype(int)
    scores = np.hstack([-5 * x, 5 * x])  # far too sure of itself
    for kind in ("sigmoid", "isotonic"):
        curves = fit_curves(scores[:4000], y[:4000], kind)
        decided = scores[4000:].argmax(axis=1)
        confidence = curves.probabilities(scores[4000:])[np.arange(4000), decided]
        assert reliability(confidence, decided == y[4000:], by_count(confidence))[1] < 0.03


def checked(scores: np.ndarray, y: np.ndarray) -> Checked:
    groups = np.arange(len(y)).astype(str)
    return check_probabilities(examples(scores, y, groups), splits_of(y, groups), scores)


def drawn(chances: np.ndarray) -> np.ndarray:
    """Classes drawn with these probabilities, float (n, classes)."""
    found = np.random.default_rng(1).random((len(chances), 1)) < chances.cumsum(axis=1)
    return found.argmax(axis=1)


def test_scores_that_are_likelihoods_already_are_left_as_they_are():
    chances = np.random.default_rng(0).dirichlet([0.5] * 4, 2000)
    found = checked(np.log(chances), drawn(chances))
    assert found.kind == "none"
    assert found.kinds["none"].error < 0.03


def test_scores_that_are_too_sure_get_a_sigmoid():
    x = np.random.default_rng(0).normal(size=600)
    yes = 1 / (1 + np.exp(-x))
    found = checked(np.stack([-5 * x, 5 * x], axis=1), drawn(np.stack([1 - yes, yes], axis=1)))
    assert found.kind == "sigmoid"
    assert found.kinds["none"].error > 4 * found.kinds["sigmoid"].error


def test_isotonic_regression_is_for_many_clips_and_no_sigmoid():
    x = np.random.default_rng(0).uniform(-3, 3, 3000)
    yes = np.select([x < -1, x < 1], [0.05, 0.5], 0.95)  # in steps
    scores, y = np.stack([-x, x], axis=1), drawn(np.stack([1 - yes, yes], axis=1))
    found = checked(scores, y)
    assert found.kind == "isotonic"
    assert found.kinds["isotonic"].loss == min(one.loss for one in found.kinds.values())
    assert np.abs(found.curves.probabilities(scores)[:, 1] - yes).mean() < 0.03
    assert checked(scores[:60], y[:60]).kind != "isotonic"


@pytest.mark.parametrize(
    ("clips", "sizes"), [(1, [1]), (19, [19]), (25, [13, 12]), (1000, [100] * 10)]
)
def test_bins_of_equal_count_hold_ten_probabilities_at_least(clips: int, sizes: list[int]):
    values = np.random.default_rng(0).permutation(clips) / clips
    bins = by_count(values)
    assert list(map(len, bins)) == sizes
    assert np.array_equal(values[np.concatenate(bins)], np.sort(values))


def test_measures_are_those_of_the_books():
    true, given_ = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 0, 2])
    groups = np.array(list("aabbcc"))
    found = measure(true, given_, groups, 3, rounds=200)
    assert found.confusion == ((2, 1, 0), (1, 1, 0), (0, 0, 1))
    assert found.recall == pytest.approx((2 / 3, 1 / 2, 1))
    assert found.precision == pytest.approx((2 / 3, 1 / 2, 1))
    assert found.accuracy == pytest.approx(4 / 6)
    assert found.uar.value == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert found.f1.value == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert found.uar.low < found.uar.value < found.uar.high
    assert measure(true, given_, np.array(["one"] * 6), 3).uar.low is None

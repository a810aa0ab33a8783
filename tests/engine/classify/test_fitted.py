"""Classifiers as arrays say what scikit-learn says, and come back from bytes as they were."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import save
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from emotion_search.engine.classify.calibrate import curves_of, fit_curves, kind_for, margin
from emotion_search.engine.classify.compare import Compared, check_probabilities
from emotion_search.engine.classify.examples import Examples
from emotion_search.engine.classify.fitted import Neighbours, from_bytes, to_bytes
from emotion_search.engine.classify.methods import METHODS, forest, logistic, svm
from emotion_search.engine.quality.measure import by_count, measure, reliability
from emotion_search.index.errors import DatabaseError
from tests.archives import blobs


def made(classes: int, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    vectors, labels, _ = blobs(classes, 5, 8, spread=spread)
    return vectors, np.unique(labels, return_inverse=True)[1]


@pytest.mark.parametrize("classes", [2, 4])
def test_the_linear_ones_decide_as_scikit_learn_does(classes: int):
    x, y = made(classes)
    turned = StandardScaler().fit_transform(x)
    peers = {
        logistic: LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000),
        svm: LinearSVC(C=0.01, class_weight="balanced", max_iter=5000, dual="auto", random_state=0),
    }
    for method, peer in peers.items():
        expected = peer.fit(turned, y).decision_function(turned)
        scores = method(x, y, 0).scores(x)
        ours = scores[:, 1] if classes == 2 else scores
        np.testing.assert_allclose(ours, expected, atol=1e-4)


@pytest.mark.parametrize("classes", [2, 4])
def test_the_forest_gives_scikit_learns_probabilities(classes: int):
    x, y = made(classes)
    peer = RandomForestClassifier(
        100, class_weight="balanced", min_samples_leaf=2, max_samples=len(x), random_state=3
    ).fit(x, y)
    np.testing.assert_allclose(forest(x, y, 3).scores(x), peer.predict_proba(x), atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_a_stored_classifier_says_the_same(method: str):
    x, y = made(3)
    fitted = METHODS[method](x, y, 0)
    curves = fit_curves(fitted.scores(x), y, "sigmoid")
    again, calibration = from_bytes(to_bytes(fitted, curves.arrays()))
    if isinstance(again, Neighbours):
        assert again.examples is None  # they are read from the archive
        again = again.with_examples(np.arange(len(x)), x)
    np.testing.assert_array_equal(again.scores(x), fitted.scores(x))
    np.testing.assert_array_equal(
        curves_of(calibration).probabilities(again.scores(x)),
        curves.probabilities(fitted.scores(x)),
    )


def test_an_example_that_is_gone_no_longer_votes():
    x, y = made(2, spread=0.1)
    fitted = METHODS["k-NN"](x, y, 0)
    assert isinstance(fitted, Neighbours)
    left = np.flatnonzero(y == 0)
    assert (fitted.with_examples(left, x[left]).scores(x).argmax(axis=1) == 0).all()


@pytest.mark.parametrize(
    "data", [b"", b"garbage", save({"x": np.zeros(1)}), save({"forest.roots": np.zeros(1)})]
)
def test_bytes_that_are_no_classifier_are_refused(data: bytes):
    with pytest.raises(DatabaseError, match="train it again"):
        from_bytes(data)


@pytest.mark.parametrize("kind", ["sigmoid", "isotonic"])
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


def test_shares_of_votes_are_probabilities_as_they_are():
    rng = np.random.default_rng(0)
    chances = rng.dirichlet([1.0, 1.0], 2000)
    classes = (rng.random(2000) < chances[:, 1]).astype(np.int64)
    rows = np.arange(2000)
    examples = Examples(
        rows, chances.astype(np.float32), classes, ("a", "b"), rows.astype(str), "speaker", ""
    )
    splits = [(rows[:1000], rows[1000:]), (rows[1000:], rows[:1000])]
    errors = {
        name: check_probabilities(examples, splits, Compared(name, None, chances, 0.0)).bare_error
        for name in METHODS
    }
    assert errors["random forest"] == errors["k-NN"] < 0.03
    assert errors["linear SVM"] == errors["logistic regression"] > 0.1


def test_isotonic_only_where_there_are_examples_enough():
    assert kind_for(np.repeat([0, 1], 500)) == "isotonic"
    assert kind_for(np.repeat([0, 1], 499)) == "sigmoid"
    assert kind_for(np.repeat([0, 1], [950, 50])) == "sigmoid"


def test_measures_are_those_of_the_books():
    true, given_ = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 0, 2])
    groups = np.array(list("aabbcc"))
    found = measure(true, given_, groups, 3, rounds=200)
    assert found.confusion == ((2, 1, 0), (1, 1, 0), (0, 0, 1))
    assert found.recall == pytest.approx((2 / 3, 1 / 2, 1))
    assert found.uar.value == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert found.f1.value == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert found.uar.low < found.uar.value < found.uar.high
    assert measure(true, given_, np.array(["one"] * 6), 3).uar.low is None

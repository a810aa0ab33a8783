"""Spaces and calibrations: what they do to vectors, and how an archive keeps them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.covariance import ledoit_wolf

from emotion_search.index.database.connection import Database
from emotion_search.index.database.models import activate_model
from emotion_search.index.database.spaces import (
    active_space,
    add_space,
    get_calibration,
    list_spaces,
    put_calibration,
    use_space,
)
from emotion_search.index.errors import InvalidInputError, NotFoundError
from emotion_search.index.vectors.arrays import normalise
from emotion_search.index.vectors.percentiles import calibrate
from emotion_search.index.vectors.space import Method, Space, fit_space

DIM = 8


def crowded(seed: int = 0, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Vectors as speech models give them: all near one direction, most variance not the class's."""
    rng = np.random.default_rng(seed)
    labels = np.array([f"c{i}" for i in rng.integers(3, size=n)])
    means = dict(zip(("c0", "c1", "c2"), 0.3 * np.eye(DIM)[:3], strict=True))
    noise = rng.normal(size=(n, DIM)) * np.array([0.1, 0.1, 0.1, 1, 1, 0.5, 0.5, 0.2])
    vectors = 5 * np.ones(DIM) + noise + np.stack([means[label] for label in labels])
    return vectors.astype(np.float32), labels


def mean_cosine(vectors: np.ndarray) -> float:
    return float((vectors @ vectors.T).mean())


def test_plain_vectors_crowd_and_centred_ones_do_not():
    vectors, _ = crowded()
    assert mean_cosine(fit_space(Method.PLAIN, vectors).apply(vectors)) > 0.9
    assert abs(mean_cosine(fit_space(Method.CENTRED, vectors).apply(vectors))) < 0.05


def test_whitening_evens_out_the_directions():
    vectors, _ = crowded(n=4000)
    spreads = {}
    for method in (Method.CENTRED, Method.WHITENED):
        turned = fit_space(method, vectors).apply(vectors)
        values = np.linalg.eigvalsh(np.cov(turned.T))
        spreads[method] = values[-1] / values[1]  # the first is the shared direction
    assert spreads[Method.WHITENED] < 0.5 * spreads[Method.CENTRED]


def test_a_learned_space_draws_the_classes_of_other_clips_apart():
    vectors, labels = crowded(0)
    others, other_labels = crowded(1)
    same = other_labels[:, None] == other_labels[None]
    gaps = {}
    for method in (Method.CENTRED, Method.LEARNED):
        turned = fit_space(method, vectors, labels).apply(others)
        cosines = turned @ turned.T
        gaps[method] = cosines[same].mean() - cosines[~same].mean()
    assert gaps[Method.LEARNED] > 2 * gaps[Method.CENTRED]


def inverse_covariance(rows: np.ndarray) -> np.ndarray:
    """Of centred rows, shrunk as Ledoit and Wolf have it, and by its mean eigenvalue."""
    covariance, _ = ledoit_wolf(rows, assume_centered=True)
    return np.linalg.inv(covariance + np.trace(covariance) / DIM * np.eye(DIM))


def test_a_whitened_space_measures_by_the_inverse_covariance():
    vectors, _ = crowded(n=50)
    unit = normalise(vectors).astype(float)
    matrix = fit_space(Method.WHITENED, vectors).matrix.astype(float)
    expected = inverse_covariance(unit - unit.mean(axis=0))
    assert matrix @ matrix.T == pytest.approx(expected, rel=1e-4, abs=1e-4 * expected.max())


@pytest.mark.parametrize("method", [Method.LEARNED, Method.BASELINE_LEARNED])
def test_a_learned_space_is_even_within_classes_and_stretched_between_their_means(method: Method):
    vectors, labels = crowded(n=50)
    labels[0] = "c8"  # a class of one clip, which says nothing of the others
    labels[1:3] = "c9"
    unit = normalise(vectors).astype(float)
    centres = np.tile(unit[:5].mean(axis=0), (50, 1)) * np.linspace(0.9, 1, 50)[:, None]
    centred = unit - (centres if method is Method.BASELINE_LEARNED else unit.mean(axis=0))
    means = {name: centred[labels == name].mean(axis=0) for name in np.unique(labels)}
    within = centred - np.stack([means[name] for name in labels])
    values, directions = np.linalg.eigh(inverse_covariance(within))
    root = directions * np.sqrt(values) @ directions.T
    between = np.stack([means[name] @ root for name in ("c0", "c1", "c2", "c9")])
    scatter = np.cov(between.T, bias=True)
    expected = root @ (np.eye(DIM) + 100 * scatter / np.trace(scatter)) @ root
    matrix = fit_space(method, vectors, labels, centres).matrix.astype(float)
    assert matrix @ matrix.T == pytest.approx(expected, rel=1e-4, abs=1e-4 * expected.max())


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 1000), method=st.sampled_from(list(Method)))
def test_a_vector_is_turned_the_same_alone_as_among_others(seed: int, method: Method):
    vectors, labels = crowded(seed, 60)
    centres = np.repeat(vectors[:2], 30, axis=0) if method.grouped else None
    space = fit_space(method, vectors, labels, centres)
    together = space.apply(vectors, centres)
    assert together.dtype == np.float32
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    for i in (0, 30):
        alone = space.apply(vectors[i], None if centres is None else centres[i])
        assert np.array_equal(alone, together[i])


def test_length_plays_no_part():
    vectors, labels = crowded()
    space = fit_space(Method.LEARNED, vectors, labels)
    assert np.allclose(space.apply(vectors * 8), space.apply(vectors), atol=1e-6)


def test_the_centre_itself_can_be_stored_and_compared():
    space = Space(Method.CENTRED, np.eye(DIM, dtype=np.float32)[0])
    turned = space.apply(np.stack([np.eye(DIM, dtype=np.float32)[0]] * 2))
    assert np.isfinite(turned).all()
    assert turned[0] @ turned[1] == pytest.approx(1)


@pytest.mark.parametrize("method", [Method.CENTRED, Method.WHITENED, Method.LEARNED])
def test_equal_vectors_make_no_space(method: Method):
    with pytest.raises(InvalidInputError, match="all embeddings are equal"):
        fit_space(method, np.ones((50, DIM), np.float32), np.array(["a", "b"] * 25))


def test_a_space_needs_two_embeddings():
    two = np.eye(2, DIM, dtype=np.float32)
    turned = fit_space(Method.CENTRED, two).apply(two)
    assert turned[0] @ turned[1] == pytest.approx(-1)
    with pytest.raises(InvalidInputError, match="two embeddings at least; there are 1"):
        fit_space(Method.CENTRED, two[:1])


def test_one_class_teaches_nothing():
    vectors, _ = crowded()
    for others in ([], ["b"], ["b", "c"]):  # nor do classes of a single clip
        labels = np.array(["a"] * (len(vectors) - len(others)) + others)
        with pytest.raises(InvalidInputError, match=r"two classes .*; there is 1"):
            fit_space(Method.LEARNED, vectors, labels)


@pytest.mark.parametrize("method", [Method.BASELINE, Method.BASELINE_LEARNED])
def test_a_space_of_baselines_is_fitted_to_what_is_left_without_them(method: Method):
    vectors, labels = crowded()
    with pytest.raises(InvalidInputError, match="needs to know whose clips they are"):
        fit_space(method, vectors, labels)
    assert method.grouped
    assert method.learned is (method is Method.BASELINE_LEARNED)


def test_classes_whose_means_coincide_make_a_space_all_the_same():
    vectors = np.eye(DIM, dtype=np.float32)
    twice = np.concatenate([vectors, vectors])
    space = fit_space(Method.LEARNED, twice, np.array(["a"] * DIM + ["b"] * DIM))
    assert np.isfinite(space.apply(twice)).all()


def test_fingerprints_tell_spaces_apart():
    vectors, labels = crowded()
    prints = {fit_space(method, vectors, labels, vectors[::-1]).fingerprint for method in Method}
    assert len(prints) == len(Method)


def test_an_archive_keeps_spaces_and_goes_back_to_them(database: Database, tmp_path: Path):
    vectors, labels = crowded()
    learned = fit_space(Method.LEARNED, vectors, labels)
    centred = fit_space(Method.CENTRED, vectors)
    with database.write() as session:
        model = activate_model(session, name="m", fingerprint="f" * 64, dimension=DIM, classes=())
        assert add_space(session, model, centred, task=None, clips=400, gain=None) == 1
        assert add_space(session, model, learned, task="emotion", clips=400, gain=0.1) == 2
    with database.read() as session:
        space = active_space(session, model)
        assert space.version == 2
        assert np.array_equal(space.map.apply(vectors), learned.apply(vectors))
        listed = [(one.version, one.method, one.active) for one in list_spaces(session, model)]
    assert listed == [
        (0, Method.PLAIN, False),
        (1, Method.CENTRED, False),
        (2, Method.LEARNED, True),
    ]
    with database.write() as session:
        use_space(session, model, 0)
        assert active_space(session, model).version == 0
        with pytest.raises(NotFoundError, match="no space 9"):
            use_space(session, model, 9)


def test_an_archive_keeps_its_calibration(database: Database):
    vectors = crowded()[0]
    calibration = calibrate(lambda _: vectors, np.arange(400), np.zeros(400), clips=400)
    with database.write() as session:
        model = activate_model(session, name="m", fingerprint="f" * 64, dimension=DIM, classes=())
        put_calibration(session, model, 0, calibration)
        put_calibration(session, model, 0, calibration)
    with database.read() as session:
        kept = get_calibration(session, model, 0)
    cosines = np.linspace(-1, 1, 50)
    assert np.array_equal(kept.percentile(cosines), calibration.percentile(cosines))

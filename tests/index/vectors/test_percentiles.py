"""Percentiles of cosines: from 0 to 100, and what they mean to voices they were not taken from."""

import numpy as np
import pytest

from emotion_search.index.vectors.baselines import Place, fit_baselines
from emotion_search.index.vectors.percentiles import (
    Calibration,
    calibrate,
    cosines_of,
    random_pairs,
)
from emotion_search.index.vectors.space import Method, fit_space

DIM = 8


def plainly(vectors: np.ndarray, groups: np.ndarray) -> Calibration:
    return calibrate(lambda _: vectors, groups, np.zeros(len(groups)), clips=len(groups))


def test_percentiles_rise_with_the_cosine_from_0_to_100():
    vectors = np.random.default_rng(0).normal(size=(300, DIM)).astype(np.float32)
    calibration = plainly(vectors, np.arange(300))
    percentiles = calibration.percentile(np.linspace(-1, 1, 101))
    assert (np.diff(percentiles) >= 0).all()
    assert percentiles[0] == 0
    assert percentiles[-1] == 100
    assert calibration.percentile(np.array([0.0]))[0] == pytest.approx(50, abs=2)


def test_pairs_of_the_same_voice_do_not_count():
    vectors = np.repeat(np.eye(4, dtype=np.float32), 10, axis=0)  # four voices of equal clips
    calibration = plainly(vectors, np.repeat(np.arange(4), 10))
    assert calibration.percentile(np.array([0.5]))[0] == 100


def test_of_a_single_voice_its_own_pairs_count():
    vectors = np.eye(4, dtype=np.float32)[[0, 0, 0, 1]]
    calibration = plainly(vectors, np.zeros(4))  # half of the pairs are equal
    assert calibration.percentile(np.array([0.5]))[0] == pytest.approx(50, abs=0.2)


def test_equal_pairs_everywhere_are_no_error():
    calibration = plainly(np.ones((5, 3), np.float32), np.arange(5))
    assert calibration.percentile(np.array([0.5]))[0] == 0


def test_a_single_clip_has_no_calibration():
    assert plainly(np.ones((1, 3), np.float32), np.arange(1)) is None


def test_each_voice_is_left_out_once_and_each_source_evenly():
    groups, sources = np.arange(40), np.repeat([0, 1], [30, 10])
    left_out = []

    def refit(known: np.ndarray) -> np.ndarray:
        left_out.append(np.flatnonzero(~known))
        return np.random.default_rng(0).normal(size=(40, DIM)).astype(np.float32)

    calibrate(refit, groups, sources, clips=40)
    assert sorted(np.concatenate(left_out)) == list(range(40))
    assert [np.bincount(sources[rows]).tolist() for rows in left_out] == [[3, 1]] * 10


def test_pairs_are_of_one_source_as_often_as_those_of_a_new_voice_are():
    speakers = np.repeat(np.arange(16), [60] * 4 + [20] * 12)  # four of one source
    sources = (speakers >= 4).astype(int)
    vectors = np.eye(2, dtype=np.float32)[sources]  # alike within a source, and only there
    calibration = calibrate(lambda _: vectors, speakers, sources, clips=len(speakers))
    assert calibration.percentile(np.array([1.0]))[0] == pytest.approx(50, abs=0.5)


def test_all_pairs_count_where_they_are_few_and_none_of_a_clip_with_itself():
    one, other = np.array([True, True, False, True]), np.array([False, True, True, False])
    left, right = random_pairs(one, other)
    assert sorted(zip(left.tolist(), right.tolist(), strict=True)) == [
        (0, 1),
        (0, 2),
        (1, 2),
        (3, 1),
        (3, 2),
    ]
    left, right = random_pairs(np.ones(50, bool), np.ones(50, bool), pairs=1000)
    assert 900 < len(left) <= 1000
    assert (left != right).all()


def voices(seed: int, number: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clips by voices that differ more than their labels, which mean next to nothing."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(number), 6)
    vectors = 10 + rng.normal(size=(number, 60))[groups] + 0.5 * rng.normal(size=(6 * number, 60))
    return vectors.astype(np.float32), rng.integers(2, size=6 * number).astype(str), groups


@pytest.mark.parametrize("method", list(Method))
def test_a_percentile_means_what_it_says_to_voices_that_a_space_was_not_fitted_to(method: Method):
    above = []
    for seed in range(12):
        vectors, labels, groups = voices(seed)
        known = groups < 20
        places = [Place(None, str(group)) for group in groups]
        fitted = fit_baselines([(places, vectors)])
        centres = np.stack([fitted.centre(place) for place in places])

        def turned(
            rows: np.ndarray, to: np.ndarray, vectors=vectors, labels=labels, centres=centres
        ) -> np.ndarray:
            space = fit_space(method, vectors[rows], labels[rows], centres[rows])
            return space.apply(vectors[to], centres[to] if method.grouped else None)

        own = np.flatnonzero(known)
        refit = lambda some, own=own, turned=turned: turned(own[some], own)  # noqa: E731
        calibration = calibrate(refit, groups[known], np.zeros(120), clips=120)
        turned = turned(own, np.arange(len(vectors)))
        cosines = cosines_of(turned, *random_pairs(~known, known)).astype(float)
        above.append(100 * (calibration.percentile(cosines) >= 95).mean())
    assert np.mean(above) == pytest.approx(5, abs=0.7)

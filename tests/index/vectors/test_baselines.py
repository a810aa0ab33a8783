"""Baselines: means of groups, shrunk by how few clips they have, in levels."""

import numpy as np
import pytest

from emotion_search.index.vectors.arrays import normalise
from emotion_search.index.vectors.baselines import (
    FEWEST,
    GROUP_PRIOR,
    Place,
    fit_baselines,
    keys_of,
)

DIM = 6


def vectors(count: int, seed: int = 0, at: float = 0.0) -> np.ndarray:
    random = np.random.default_rng(seed)
    rows = random.normal(size=(count, DIM))
    rows[:, 0] += at
    return normalise(rows.astype(np.float32))


def test_a_clip_is_of_its_speaker_or_else_of_its_recording_and_of_its_source():
    speaker, recording = Place("s", "ann", 7, 1), Place("s", None, 7, 1)
    assert keys_of(speaker) == ['["speaker", "s", "ann", 1]', '["source", "s"]']
    assert keys_of(recording) == ['["recording", 7, 1]', '["source", "s"]']
    assert keys_of(Place(None, "ann")) == ['["speaker", null, "ann", null]']
    assert keys_of(Place()) == []


def test_means_are_shrunk_towards_the_level_above():
    ann, bob = vectors(20, 1, 1.0), vectors(30, 2, -1.0)
    places = [Place("s", "ann")] * 20 + [Place("s", "bob")] * 30
    both = np.concatenate([ann, bob]).astype(float)
    fitted = fit_baselines([(places[:30], both[:30].astype("f4")), (places[30:], bob[10:])])
    mean = both.mean(axis=0)
    source = (both.sum(axis=0) + GROUP_PRIOR * mean) / (50 + GROUP_PRIOR)
    scatter = {
        name: ((rows - rows.mean(axis=0)) ** 2).sum() / (len(rows) - 1)
        for name, rows in (("ann", ann.astype(float)), ("bob", bob.astype(float)))
    }
    usual = np.percentile(list(scatter.values()), 75)
    for name, rows in (("ann", ann), ("bob", bob)):
        prior = GROUP_PRIOR * max(1.0, usual / scatter[name]) ** 2
        expected = (rows.astype(float).sum(axis=0) + prior * source) / (len(rows) + prior)
        assert fitted.centre(Place("s", name, 3)) == pytest.approx(expected, abs=1e-6)
    assert fitted.clips == 50
    assert fitted.centre(Place("s", "carl")) == pytest.approx(source, abs=1e-6)
    assert fitted.centre(Place("t", "ann")) == pytest.approx(mean, abs=1e-6)


def test_a_group_of_few_clips_has_no_baseline():
    for count, has in ((FEWEST - 1, False), (FEWEST, True)):
        fitted = fit_baselines([([Place(None, "ann")] * count, vectors(count))])
        assert bool(fitted.groups) is has
    assert fit_baselines([]) is None


def test_a_group_whose_clips_are_all_alike_is_trusted_less():
    same = np.repeat(vectors(1, 9), 20, axis=0)
    rows = np.concatenate([*(vectors(20, seed) for seed in range(4)), same])
    places = [Place(None, str(i // 20)) for i in range(100)]
    fitted = fit_baselines([(places, rows)])
    moved = {name: np.linalg.norm(fitted.centre(Place(None, name)) - fitted.mean) for name in "04"}
    assert moved["4"] < 0.01
    assert moved["0"] > 0.1


@pytest.mark.parametrize(
    ("places", "telling"),
    [
        ([Place(None, str(i % 4)) for i in range(40)], True),
        ([Place(None, str(i % 3)) for i in range(40)], False),
        ([Place(None, str(i % 4) if i < 20 else None) for i in range(40)], True),
        ([Place(None, str(i % 4) if i < 20 else None) for i in range(41)], False),
        ([Place("ab"[i % 2]) for i in range(100)], True),
        ([Place("ab"[i % 2]) for i in range(98)], False),
    ],
)
def test_baselines_serve_where_groups_are_many_and_large(places, telling):
    assert fit_baselines([(places, vectors(len(places)))]).are_telling is telling

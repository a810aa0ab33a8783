"""The exact index as a file, and what it refuses; tests of its answers are those of top k."""

from pathlib import Path

import numpy as np
import pytest

from emotion_search.index.errors import InvalidInputError
from emotion_search.index.vectors.arrays import normalise
from emotion_search.index.vectors.flat import FlatIndex

DIM = 4


def test_a_saved_index_answers_as_before(tmp_path: Path):
    rng = np.random.default_rng(1)
    index = FlatIndex(8)
    index.add(np.arange(50), rng.normal(size=(50, 8)).astype(np.float32))
    index.save(tmp_path / "x.faiss")
    loaded = FlatIndex.load(tmp_path / "x.faiss", {})
    query = np.eye(8, dtype=np.float32)[0]
    assert (loaded.count, loaded.dimension) == (50, 8)
    before, after = (one.candidates(query, 7) for one in (index, loaded))
    assert after.ids.tolist() == before.ids.tolist()


def test_vectors_are_given_back_by_id_and_compared_with_it():
    rows = normalise(np.random.default_rng(2).normal(size=(6, DIM)).astype(np.float32))
    index = FlatIndex(DIM)
    stored: dict[int, np.ndarray] = {}

    def check() -> None:
        asked = np.array([9, 4, 2, 5, 1, 7])
        known, vectors = index.get(asked)
        assert known.tolist() == [one in stored for one in asked.tolist()]
        assert np.array_equal(vectors, [stored[one] for one in asked.tolist() if one in stored])
        for one in asked.tolist():
            expected = pytest.approx(stored[one] @ rows[0]) if one in stored else None
            assert index.estimate(rows[0], one) == expected

    for ids in ([9, 2, 4], [7, 2]):
        at = len(stored)
        index.add(np.array(ids), rows[at : at + len(ids)])
        stored |= dict(zip(ids, rows[at:], strict=False))
        check()
    index.remove(np.array([4]))
    del stored[4]
    check()
    assert (index.details(), index.trained_on) == ({}, 3)


def test_a_sample_says_how_long_vectors_are():
    assert FlatIndex.trained(np.ones((3, DIM), np.float32), 100).dimension == DIM
    assert FlatIndex.training_size(100) == 0


@pytest.mark.parametrize(
    "bad", [np.zeros((1, DIM)), np.full((1, DIM), np.nan), np.ones((1, 3)), np.ones(DIM)]
)
def test_vectors_without_direction_are_refused_and_nothing_is_added(bad):
    index = FlatIndex(DIM)
    with pytest.raises(InvalidInputError):
        index.add(np.array([1]), bad.astype(np.float32))
    assert index.count == 0


def test_a_file_that_is_no_index_is_refused(tmp_path: Path):
    (tmp_path / "x.faiss").write_bytes(b"nonsense")
    with pytest.raises(InvalidInputError, match="not a readable"):
        FlatIndex.load(tmp_path / "x.faiss", {})

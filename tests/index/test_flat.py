"""The exact index against brute force."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from index.errors import InvalidInputError
from index.flat import FlatIndex

DIM = 4
# Few different values, so that equal vectors and equal similarities are common.
vectors = st.lists(st.sampled_from([-1.0, 0.0, 0.5, 1.0]), min_size=DIM, max_size=DIM).filter(any)
ids = st.integers(0, 40)


def brute_force(held: dict[int, list[float]], query: list[float], k: int, allowed=None):
    q = np.array(query) / np.linalg.norm(query)
    scored = [
        (-round(float(np.array(v) @ q / np.linalg.norm(v)), 6), i)
        for i, v in held.items()
        if allowed is None or i in allowed
    ]
    return [(i, -s) for s, i in sorted(scored)[:k]]


class IndexMachine(RuleBasedStateMachine):
    """Any sequence of add, replace, remove and search equals a dictionary and brute force."""

    def __init__(self) -> None:
        super().__init__()
        self.index = FlatIndex(DIM)
        self.held: dict[int, list[float]] = {}

    @rule(rows=st.dictionaries(ids, vectors, max_size=30))
    def add(self, rows):
        if rows:
            self.index.add(np.array(list(rows)), np.array(list(rows.values()), np.float32))
            self.held |= rows

    @rule(gone=st.sets(ids, max_size=10))
    def remove(self, gone):
        self.index.remove(np.array(sorted(gone), np.int64))
        self.held = {i: v for i, v in self.held.items() if i not in gone}

    @rule(query=vectors, k=st.integers(1, 50), allowed=st.none() | st.sets(ids))
    def search(self, query, k, allowed):
        chosen = None if allowed is None else np.array(sorted(allowed), np.int64)
        found, cosines = self.index.search(np.array(query, np.float32), k, allowed=chosen)
        expected = brute_force(self.held, query, k, allowed)
        assert cosines.tolist() == pytest.approx([s for _, s in expected], abs=1e-9)
        assert found.tolist() == [i for i, _ in expected]

    @invariant()
    def counts(self):
        assert self.index.count == len(self.held)


TestIndexMachine = IndexMachine.TestCase
TestIndexMachine.settings = settings(max_examples=40, stateful_step_count=15, deadline=None)


def test_many_equal_vectors_are_told_apart_by_id():
    index = FlatIndex(DIM)
    order = np.random.default_rng(0).permutation(500)
    index.add(order.astype(np.int64), np.ones((500, DIM), np.float32))
    found, cosines = index.search(np.ones(DIM, np.float32), 10)
    assert found.tolist() == list(range(10))
    assert np.all(cosines == cosines[0])


@given(st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_random_vectors_come_back_in_true_order(seed):
    rng = np.random.default_rng(seed)
    held = rng.normal(size=(200, 32)).astype(np.float32)
    index = FlatIndex(32)
    index.add(np.arange(200), held)
    query = rng.normal(size=32).astype(np.float32)
    unit = held.astype(float) / np.linalg.norm(held, axis=1, keepdims=True)
    truth = np.argsort(-(unit @ query.astype(float)))
    assert index.search(query, 10)[0].tolist() == truth[:10].tolist()


def test_a_saved_index_answers_the_same(tmp_path: Path):
    rng = np.random.default_rng(1)
    index = FlatIndex(8)
    index.add(np.arange(5, 55), rng.normal(size=(50, 8)).astype(np.float32))
    index.save(tmp_path / "x.faiss")
    loaded = FlatIndex.load(tmp_path / "x.faiss")
    query = rng.normal(size=8).astype(np.float32)
    assert (loaded.dimension, loaded.count) == (8, 50)
    assert loaded.search(query, 7)[0].tolist() == index.search(query, 7)[0].tolist()


@pytest.mark.parametrize(
    "bad", [np.zeros(DIM), np.full(DIM, np.nan), np.full(DIM, np.inf), np.ones(DIM + 1)]
)
def test_vectors_without_a_direction_are_refused(bad):
    index = FlatIndex(DIM)
    index.add(np.array([1]), np.ones((1, DIM), np.float32))
    with pytest.raises(InvalidInputError):
        index.search(bad.astype(np.float32), 1)
    with pytest.raises(InvalidInputError):
        index.add(np.array([2]), bad.astype(np.float32)[None])
    assert index.count == 1


def test_a_file_that_is_no_index_is_refused(tmp_path: Path):
    (tmp_path / "x.faiss").write_bytes(b"not an index" * 100)
    with pytest.raises(InvalidInputError):
        FlatIndex.load(tmp_path / "x.faiss")

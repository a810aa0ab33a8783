"""An engine names candidates and is not believed: whatever it answers, no hit is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from emotion_search.index.errors import EngineError
from emotion_search.index.vectors import external, topk
from emotion_search.index.vectors.arrays import normalise
from emotion_search.index.vectors.external import MOST, EngineIndex
from emotion_search.index.vectors.topk import Wish, nearest
from tests.index.vectors.test_topk import Dictionary, brute_force

DIM = 8


class LyingEngine:
    """An engine over vectors, which were true once, that answers by the lies that it is given."""

    def __init__(self, stored: dict[int, np.ndarray], lies: set[str], seed: int) -> None:
        self._ids = np.array(sorted(stored), np.int64)
        self._rows = np.stack([stored[one] for one in self._ids.tolist()])
        self._lies, self._rng = lies, np.random.default_rng(seed)
        self.asked = list[int]()

    def __call__(self, query: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
        self.asked.append(limit)
        rng, lies = self._rng, self._lies
        if "fails" in lies and rng.random() < 0.5:
            raise EngineError("the engine fails")
        cosines = (self._rows @ query).astype(np.float64)
        order = np.argsort(-cosines)[:limit]
        ids, cosines = self._ids[order], cosines[order]
        if "drops" in lies:
            kept = rng.random(len(ids)) < 0.7
            ids, cosines = ids[kept], cosines[kept]
        if "truncates" in lies:
            ids, cosines = ids[: len(ids) // 3], cosines[: len(ids) // 3]
        if "resurrects" in lies:  # what never was, what was removed, what is no id at all
            some = rng.integers(-5, 150, size=20)
            ids, cosines = np.concatenate([some, ids]), np.concatenate([np.ones(20), cosines])
        if "doubles" in lies:
            ids, cosines = np.tile(ids, 2), np.tile(cosines, 2)
        if "reorders" in lies:
            order = rng.permutation(len(ids))
            ids, cosines = ids[order], rng.normal(size=len(ids))
        if "makes up" in lies:
            cosines = np.full(len(ids), np.nan)
        return ids[:limit], cosines[:limit]


LIES = ["drops", "doubles", "reorders", "resurrects", "truncates", "fails", "makes up", "stale"]


def tell(case: int) -> None:
    """One generated archive, engine and search, judged."""
    rng = np.random.default_rng(case)
    count = int(rng.integers(1, 120))
    rows = normalise(rng.normal(size=(count, DIM)).astype(np.float32))
    rows[rng.random(count) < 0.1] = rows[0]  # equal ones
    stored = dict(enumerate(rows.copy(), start=1))
    lies = {lie for lie in LIES if rng.random() < 0.25}
    index = EngineIndex(DIM)
    index.add(np.arange(1, count + 1), rows)
    engine = LyingEngine(stored, lies, case)
    later = int(rng.integers(0, 20))
    recent = np.arange(count + 1, count + later + 1)
    fresh = normalise(rng.normal(size=(later, DIM)).astype(np.float32)) if later else rows[:0]
    index.follow(engine, 7, [(recent[: later // 2], fresh[: later // 2])] if later > 1 else [])
    if later // 2:
        index.add(recent[: later // 2], fresh[: later // 2])
    if later:
        index.add(recent[later // 2 :], fresh[later // 2 :])
    stored |= dict(zip(recent.tolist(), fresh, strict=True))
    if "stale" in lies:  # the engine knows other vectors of some, and some that are gone
        moved = np.unique(rng.integers(1, count + 1, size=5))
        turned = normalise(rng.normal(size=(len(moved), DIM)).astype(np.float32))
        stored |= dict(zip(moved.tolist(), turned, strict=True))
        index.add(moved, turned)
        gone = np.setdiff1d(rng.integers(1, count + 1, size=9), moved)
        index.remove(gone)
        stored = {one: row for one, row in stored.items() if one not in set(gone.tolist())}
    assert index.ids().tolist() == sorted(stored)
    known = np.array(sorted(stored))
    allowed = set(known[rng.random(len(known)) < rng.choice([1.0, 0.5, 0.05])].tolist())
    wish = Wish(int(rng.integers(1, 30)), [None, 1, 2][case % 3], 0.99 if case % 16 == 0 else None)
    query = normalise(rng.normal(size=DIM).astype(np.float32))
    gallery = Dictionary(stored, query, lambda one: one // 3, allowed)
    wide = {one: row.astype(float) for one, row in stored.items()}
    best = brute_force(wide, query.astype(float), wish, lambda one: one // 3, allowed)
    ids, cosines = nearest(index, query, wish, gallery)
    found = list(zip(ids.tolist(), cosines.tolist(), strict=True))
    assert len(ids) == len(set(ids.tolist()))  # none doubled
    assert set(ids.tolist()) <= allowed  # none erased, nor filtered out
    assert all(cosine == round(float(wide[one] @ query), 6) for one, cosine in found)  # none wrong
    assert found == sorted(found, key=lambda hit: (-hit[1], hit[0]))
    assert len(found) == len(best) or wish.distinct is not None
    if not lies & {"drops", "truncates", "resurrects", "reorders", "stale", "doubles"}:
        assert found == best


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few clips there are, the engine is asked."""
    monkeypatch.setattr(topk, "FEW", 0)
    monkeypatch.setattr(topk, "_FEW_OF", 0)
    monkeypatch.setattr(external, "_SPARE", 4)


def test_an_engine_that_lies_costs_recall_and_never_a_wrong_hit(asked):
    for case in range(300):
        tell(case)


@pytest.mark.slow
def test_an_engine_that_lies_ten_thousand_times_costs_recall_and_never_a_wrong_hit(asked):
    for case in range(10_000):
        tell(1000 + case)


def test_an_honest_engine_finds_the_true_neighbours(asked):
    rng = np.random.default_rng(0)
    rows = normalise(rng.normal(size=(2000, DIM)).astype(np.float32))
    stored = dict(enumerate(rows))
    index = EngineIndex(DIM)
    index.add(np.arange(2000), rows)
    index.follow(LyingEngine(stored, set(), 0), 1, [])
    found = 0
    for query in normalise(rng.normal(size=(100, DIM)).astype(np.float32)):
        gallery = Dictionary(stored, query, lambda one: one)
        true = brute_force(stored, query, Wish(10), lambda one: one)
        ids, _ = nearest(index, query, Wish(10), gallery)
        found += len({one for one, _ in true} & set(ids.tolist()))
        assert sum(gallery.compared) < 500
    assert found / 1000 >= 0.999


@pytest.mark.usefixtures("asked")
def test_what_the_engine_names_too_little_of_is_compared_here_or_refused(monkeypatch):
    rows = normalise(np.random.default_rng(1).normal(size=(400, DIM)).astype(np.float32))
    stored = dict(enumerate(rows))
    index = EngineIndex(DIM)
    index.add(np.arange(400), rows)
    asked = []

    def names_nothing(query, limit):
        asked.append(limit)
        return np.empty(0, np.int64), np.empty(0)

    index.follow(names_nothing, 1, [])
    gallery = Dictionary(stored, rows[0], lambda one: one)
    ids, _ = nearest(index, rows[0], Wish(5), gallery)
    assert ids.tolist() == [
        one for one, _ in brute_force(stored, rows[0], Wish(5), lambda one: one)
    ]
    assert len(asked) == 1  # it would name no more
    monkeypatch.setattr(topk, "COMPARABLE", 399)
    with pytest.raises(EngineError, match="names too few"):
        nearest(index, rows[0], Wish(5), gallery)


def test_an_engine_that_failed_is_left_alone_for_some_seconds(asked, monkeypatch, caplog):
    rows = normalise(np.random.default_rng(2).normal(size=(50, DIM)).astype(np.float32))
    index = EngineIndex(DIM)
    index.add(np.arange(50), rows)
    asked = []

    def fails(query, limit):
        asked.append(limit)
        raise EngineError("it hangs")

    index.follow(fails, 1, [])
    assert index.trouble is None
    for _ in range(3):
        with pytest.raises(EngineError, match="it hangs"):
            index.candidates(rows[0], 5)
    assert (len(asked), index.trouble, caplog.text.count("it hangs")) == (1, "it hangs", 1)
    monkeypatch.setattr(external, "_AGAIN_S", 0.0)
    with pytest.raises(EngineError):
        index.candidates(rows[0], 5)
    assert len(asked) == 2


def test_filters_never_reach_the_engine_which_then_gives_all_that_it_can(asked):
    rows = normalise(np.random.default_rng(3).normal(size=(100, DIM)).astype(np.float32))
    engine = LyingEngine(dict(enumerate(rows)), set(), 0)
    index = EngineIndex(DIM)
    index.add(np.arange(100), rows)
    index.follow(engine, 1, [])
    found = index.candidates(rows[0], 5, allowed=np.array([3, 50, 99]))
    assert sorted(found.ids.tolist()) == [3, 50, 99]
    assert found.complete
    assert engine.asked == [MOST]


def test_saved_ids_are_loaded_and_what_is_damaged_is_refused(tmp_path):
    index = EngineIndex(DIM)
    rows = normalise(np.random.default_rng(4).normal(size=(9, DIM)).astype(np.float32))
    index.add(np.arange(9), rows)
    index.add(np.array([3]), rows[:1])
    index.remove(np.array([5]))
    index.save(tmp_path / "ids")
    again = EngineIndex.load(tmp_path / "ids", index.details())
    assert (again.ids().tolist(), again.dimension) == ([0, 1, 2, 3, 4, 6, 7, 8], DIM)
    with pytest.raises(EngineError, match="no engine"):
        again.candidates(rows[0], 1)


class Beside:
    """Vectors beside an index, of clip 2 alone."""

    def get(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return ids == 2, np.eye(DIM, dtype=np.float32)[ids[ids == 2]]


def test_a_clip_whose_vector_only_the_engine_has_is_as_near_as_can_be():
    index, rows = EngineIndex(DIM), np.eye(DIM, dtype=np.float32)
    index.add(np.array([1, 2]), rows[1:3])
    index.rows = Beside()
    assert [index.estimate(rows[0], clip) for clip in (1, 2, 3)] == [1.0, 0.0, None]

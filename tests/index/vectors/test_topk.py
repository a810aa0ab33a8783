"""The best clips from either index equal brute force, whatever was added and removed."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from emotion_search.index.errors import EngineError
from emotion_search.index.lifecycle.gallery import EveryVector
from emotion_search.index.vectors import topk
from emotion_search.index.vectors.arrays import cosines, normalise
from emotion_search.index.vectors.base import Candidates, VectorIndex
from emotion_search.index.vectors.flat import FlatIndex
from emotion_search.index.vectors.quantised import QuantisedIndex
from emotion_search.index.vectors.topk import Wish, nearest

DIM = 8
# Few different values, so that equal vectors and equal similarities are common.
vectors = st.lists(st.sampled_from([-1.0, 0.0, 0.5, 1.0]), min_size=DIM, max_size=DIM).filter(any)
ids = st.integers(0, 40)


def quantised(rows: int = 64) -> QuantisedIndex:
    """An empty index of codes."""
    sample = np.random.default_rng(0).normal(size=(rows, DIM)).astype(np.float32)
    return QuantisedIndex(normalise(sample), count=rows)


def brute_force(stored: dict[int, np.ndarray], query, wish: Wish, recording, allowed=None):
    """The wish by a loop over all."""
    kept, of, chosen = [], Counter(), []
    rows = sorted((-round(float(v @ query), 6) + 0.0, i) for i, v in stored.items())
    for minus, i in rows:
        if allowed is not None and i not in allowed:
            continue
        if wish.per_recording is not None and of[recording(i)] >= wish.per_recording:
            continue
        of[recording(i)] += 1
        if wish.distinct is not None and any(
            round(float(v.astype(float) @ stored[i]), 6) >= wish.distinct for v in chosen
        ):
            continue
        chosen.append(stored[i])
        kept.append((i, -minus))
    return kept[: wish.limit]


class Dictionary:
    """A gallery of vectors by id; those that are not in it any more are no hits."""

    def __init__(self, stored: dict[int, np.ndarray], query, recording, allowed=None) -> None:
        self.compared: list[int] = []  # how many at a time
        self.read: list[int] = []
        self.exactly: list[int] = []
        self._stored, self._query, self._recording = stored, query, recording
        self._ids = np.array(sorted(i for i in stored if allowed is None or i in allowed), np.int64)
        self.count = len(self._ids)

    is_mapped = True

    def ids(self):
        return self._ids

    def among(self, some):
        places = np.flatnonzero(np.isin(some, self._ids))
        there = some[places].tolist()
        return places, np.array([self._recording(i) for i in there], np.int64)

    def products(self, some):
        self.compared.append(len(some))
        return (self._rows(some) @ self._query).astype(np.float64)

    def compare(self, some):
        self.exactly.append(len(some))
        return cosines(self._query, self._rows(some))

    def vectors(self, some):
        self.read.append(len(some))
        return self._rows(some)

    def every(self, ids):
        return EveryVector(ids, (self._rows(ids) @ self._query).astype(np.float32))

    def reachable(self, per_recording):
        clips = Counter(self._recording(i) for i in self._ids.tolist())
        return sum(min(number, per_recording) for number in clips.values())

    def _rows(self, some):
        assert np.isin(some, self._ids).all()
        return np.array([self._stored[i] for i in some.tolist()], np.float32).reshape(-1, DIM)


def ask(index: VectorIndex, gallery: Dictionary, query, wish: Wish):
    """The wish by the index."""
    found = nearest(index, query, wish, gallery)
    return list(zip(found[0].tolist(), found[1].tolist(), strict=True))


@pytest.fixture(autouse=True)
def _search_also_among_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topk, "FEW", 3)


class Machine(RuleBasedStateMachine):
    """Any sequence of add, replace, remove and search equals a dictionary and brute force."""

    def __init__(self) -> None:
        super().__init__()
        self.indexes: list[VectorIndex] = [FlatIndex(DIM), quantised()]
        self.stored: dict[int, np.ndarray] = {}

    @rule(rows=st.dictionaries(ids, vectors, max_size=30))
    def add(self, rows):
        for index in self.indexes:
            if rows:
                index.add(np.array(list(rows)), np.array(list(rows.values()), np.float32))
        self.stored |= {i: normalise(np.array(v, np.float32)) for i, v in rows.items()}

    @rule(gone=st.sets(ids, max_size=10))
    def remove(self, gone):
        for index in self.indexes:
            index.remove(np.array(sorted(gone), np.int64))
            assert sorted(index.ids().tolist()) == sorted(set(self.stored) - gone)
        self.stored = {i: v for i, v in self.stored.items() if i not in gone}

    @rule(
        query=vectors,
        limit=st.integers(1, 50),
        per_recording=st.none() | st.integers(1, 3),
        allowed=st.none() | st.sets(ids),
    )
    def search(self, query, limit, per_recording, allowed):
        unit = normalise(np.array(query, np.float32))
        wish = Wish(limit, per_recording)
        expected = brute_force(self.stored, unit, wish, lambda i: i // 5, allowed)
        for index in self.indexes:
            found = ask(index, Dictionary(self.stored, unit, lambda i: i // 5, allowed), unit, wish)
            assert [s for _, s in found] == pytest.approx([s for _, s in expected], abs=2e-6)
            assert [i for i, _ in found] == [i for i, _ in expected]


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=40, stateful_step_count=12, deadline=None)


@pytest.fixture(params=["flat", "quantised"])
def index(request: pytest.FixtureRequest) -> VectorIndex:
    """An empty index of each kind."""
    return FlatIndex(DIM) if request.param == "flat" else quantised()


def test_equal_vectors_come_in_the_order_of_their_ids(index: VectorIndex):
    one = normalise(np.arange(1, DIM + 1).astype(np.float32))
    stored = dict.fromkeys(range(500), one)
    index.add(np.arange(500)[::-1], np.repeat(one[None], 500, axis=0))
    found = ask(index, Dictionary(stored, one, lambda i: i), one, Wish(10))
    assert found == [(i, 1.0) for i in range(10)]


def test_an_id_that_is_there_is_replaced(index: VectorIndex):
    eye = np.eye(DIM, dtype=np.float32)
    stored: dict[int, np.ndarray] = {}
    for row, some in enumerate([[7, 3], [7], [3, 8], [8]]):  # the highest alone, a lower one, …
        index.add(np.array(some), eye[[row] * len(some)])
        stored |= dict.fromkeys(some, eye[row])
        assert sorted(index.ids().tolist()) == sorted(stored)
        found = ask(index, Dictionary(stored, eye[row], lambda i: i), eye[row], Wish(9))
        assert found == brute_force(stored, eye[row], Wish(9), lambda i: i)


@given(limit=st.integers(1, 20), threshold=st.floats(0.2, 0.95))
@settings(max_examples=20, deadline=None)
def test_distinct_hits_are_unlike_each_other(limit, threshold):
    rng = np.random.default_rng(3)
    rows = normalise(rng.normal(size=(300, DIM)).astype(np.float32))
    stored = dict(enumerate(rows))
    wish = Wish(limit, distinct=threshold)
    for kind in (FlatIndex(DIM), quantised()):
        kind.add(np.arange(300), rows)
        found = ask(kind, Dictionary(stored, rows[0], lambda i: i), rows[0], wish)
        expected = brute_force(stored, rows[0], wish, lambda i: i)
        assert [i for i, _ in found] == [i for i, _ in expected]


def test_few_clips_are_compared_without_the_index():
    rows = normalise(np.random.default_rng(3).normal(size=(900, DIM)).astype(np.float32))
    stored = dict(enumerate(rows))
    gallery = Dictionary(stored, rows[0], lambda i: i, allowed={5, 7, 9})
    found = ask(FlatIndex(DIM), gallery, rows[0], Wish(2))
    assert found == brute_force(stored, rows[0], Wish(2), lambda i: i, {5, 7, 9})
    assert sum(gallery.compared) <= 3


@pytest.mark.parametrize(
    ("every", "limit", "asked"),
    [
        (10, 10, (10, 400)),  # the best hundred of all clips would have been needed
        (10, 5, (50, None)),
        (50, 10, None),  # so few are compared
    ],
)
def test_a_filter_is_searched_within_where_too_many_clips_would_be_needed(
    index: VectorIndex, every, limit, asked, monkeypatch
):
    monkeypatch.setattr(topk, "_DEEPEST", 50)
    rows = normalise(np.random.default_rng(3).normal(size=(4000, DIM)).astype(np.float32))
    index.add(np.arange(4000), rows)
    vectors = dict(enumerate(rows))
    allowed = set(range(0, 4000, every))
    calls = []
    candidates = index.candidates

    def noted(query, rank, *, allowed=None):
        calls.append((rank, None if allowed is None else len(allowed)))
        return candidates(query, rank, allowed=allowed)

    monkeypatch.setattr(index, "candidates", noted)
    gallery = Dictionary(vectors, rows[0], lambda i: i, allowed)
    found = ask(index, gallery, rows[0], Wish(limit))
    assert found == brute_force(vectors, rows[0], Wish(limit), lambda i: i, allowed)
    assert (calls[0] if calls else None) == asked


@pytest.mark.parametrize("per_recording", [1, 2])
def test_fewer_recordings_than_are_wished_for_do_not_cost_a_look_at_every_clip(
    index: VectorIndex, per_recording
):
    rows = normalise(np.random.default_rng(4).normal(size=(4000, DIM)).astype(np.float32))
    index.add(np.arange(4000), rows)
    stored = dict(enumerate(rows))
    wish = Wish(20, per_recording)
    gallery = Dictionary(stored, rows[0], lambda i: i % 8)
    found = ask(index, gallery, rows[0], wish)
    assert found == brute_force(stored, rows[0], wish, lambda i: i % 8)
    assert len(found) == 8 * per_recording
    if isinstance(index, FlatIndex):  # estimates from so few bits leave nothing out
        assert sum(gallery.compared) < 2000


def test_a_large_group_of_duplicates_is_read_once_and_in_parts(index: VectorIndex):
    rng = np.random.default_rng(5)
    same = np.repeat(rng.normal(size=(1, DIM)), 3000, axis=0) + 3e-3 * rng.normal(size=(3000, DIM))
    rows = normalise(np.concatenate([same, rng.normal(size=(50, DIM))]).astype(np.float32))
    index.add(np.arange(len(rows)), rows)
    stored = dict(enumerate(rows))
    wish = Wish(5, distinct=0.999)
    gallery = Dictionary(stored, rows[0], lambda i: i)
    found = ask(index, gallery, rows[0], wish)
    assert [i for i, _ in found] == [i for i, _ in brute_force(stored, rows[0], wish, lambda i: i)]
    times = 1.2 if isinstance(index, FlatIndex) else 3  # of codes the order changes as it goes
    assert sum(gallery.read) < times * len(rows)
    assert max(gallery.read) <= 256


def test_exact_duplicates_are_not_distinct_whatever_their_rounding(index: VectorIndex):
    rows = normalise(np.random.default_rng(6).normal(size=(200, DIM)).astype(np.float32))
    assert (np.einsum("ij,ij->i", rows, rows) < 1).any()
    index.add(np.arange(400), np.concatenate([rows, rows]))
    stored = dict(enumerate(np.concatenate([rows, rows])))
    found = ask(index, Dictionary(stored, rows[0], lambda i: i), rows[0], Wish(200, distinct=1.0))
    assert sorted(i for i, _ in found) == list(range(200))


class Ranked:
    """An index that gives as many candidates as it is asked for, by id, and notes the ranks."""

    def __init__(self, count: int) -> None:
        self.count, self.asked = count, list[int]()

    def candidates(self, query, rank, *, allowed=None) -> Candidates:
        self.asked.append(rank)
        some = range(1, self.count + 1) if allowed is None else allowed.tolist()
        ids = np.array(some[:rank], np.int64)
        return Candidates(ids, 1.0 / ids, rank, complete=len(ids) == len(some))


def test_a_search_goes_no_deeper_than_the_rank_of_its_last_hit():
    stored = {i: np.eye(DIM, dtype=np.float32)[0] / i for i in range(1, 41)}
    query = np.eye(DIM, dtype=np.float32)[0]
    for recording, expected in [(lambda i: i, [5]), (lambda i: (i - 1) // 2, [5, 20])]:
        index = Ranked(40)
        found = nearest(index, query, Wish(5, 1), Dictionary(stored, query, recording))
        assert index.asked == expected
        assert found[0].tolist() == sorted({recording(i): i for i in range(9, 0, -1)}.values())[:5]


class Vague:
    """An index whose estimates are off by 0.02, which gives twice as many as asked for, at least
    20, and notes the ranks."""

    def __init__(self, similar) -> None:
        self.count, self.asked = len(similar), list[int]()
        off = np.random.default_rng(5).normal(scale=0.02, size=len(similar))
        self._estimates = similar + off

    def candidates(self, query, rank, *, allowed=None) -> Candidates:
        self.asked.append(rank)
        best = np.argsort(-self._estimates)[: max(20, 2 * rank)]
        return Candidates(best, self._estimates[best], rank, complete=len(best) == self.count)


@pytest.mark.parametrize(
    ("others", "mapped", "asked"),
    [
        (np.linspace(0.5, 0.3, 2995), True, [5]),  # far below: no more is asked
        (np.linspace(0.885, 0.3, 400), True, [5, 20]),  # some might have been left out
        (np.linspace(0.9, 0.89, 2995), True, [5]),  # estimates tell nothing: all are compared
        (np.linspace(0.9, 0.89, 2995), False, [5, 20, 80, 320, 1280, 5120]),
    ],
)
def test_a_search_goes_deeper_where_estimates_of_its_query_do_not_tell_clips_apart(
    others, mapped, asked
):
    similar = np.concatenate([[0.95, 0.94, 0.93, 0.92, 0.91], others])
    stored = {
        i: np.array([c, np.sqrt(1 - c * c), *[0.0] * (DIM - 2)], np.float32)
        for i, c in enumerate(similar)
    }
    query = np.eye(DIM, dtype=np.float32)[0]
    gallery = Dictionary(stored, query, lambda i: i)
    gallery.is_mapped = mapped
    index = Vague(similar)
    found = nearest(index, query, Wish(5), gallery)
    assert (found[0].tolist(), index.asked) == (list(range(5)), asked)


class Engine:
    """An index that names its first clips and then has no more to say, or fails at once."""

    def __init__(self, count: int, named: int | None) -> None:
        self.count, self._named = count, named

    def candidates(self, query, rank, *, allowed=None) -> Candidates:
        if self._named is None:
            raise EngineError("it does not answer")
        ids = np.arange(1, self._named + 1)
        return Candidates(ids, 1.0 / ids, rank, complete=False, exhausted=True)


@pytest.mark.parametrize("named", [None, 5])
@pytest.mark.parametrize("limit", [5, 6])
def test_where_an_engine_names_too_few_all_are_compared_unless_they_are_too_many(
    monkeypatch: pytest.MonkeyPatch, named: int | None, limit: int
):
    monkeypatch.setattr(topk, "COMPARABLE", 40)
    query = np.eye(DIM, dtype=np.float32)[0]
    for count in (40, 41):
        stored = {i: query / i for i in range(1, count + 1)}
        gallery = Dictionary(stored, query, lambda i: i)
        if count == 41 and (named is None or named < limit):
            with pytest.raises(EngineError, match=r"names too few|does not answer"):
                nearest(Engine(count, named), query, Wish(limit), gallery)
        else:
            found = nearest(Engine(count, named), query, Wish(limit), gallery)
            assert found[0].tolist() == list(range(1, limit + 1))


def test_what_is_not_distinct_is_judged_anew_from_the_first_other_clip():
    stored = dict(enumerate(np.eye(DIM, dtype=np.float32)))
    stored[9] = stored[1]
    gallery = Dictionary(stored, stored[0], lambda i: i)
    unlike = topk._Unlike(1.0, gallery)
    for ids, most, places in [
        ([0, 1], 2, [0, 1]),
        ([0, 2, 1], 3, [0, 1, 2]),
        ([0, 2, 1, 9], 4, [0, 1, 2]),  # exactly as alike as may not be
        ([0, 2], 4, [0, 1]),
        ([9, 0, 1], 3, [0, 1]),
    ]:
        assert unlike.first(np.array(ids, np.int64), most).tolist() == places
    read = list(gallery.read)
    assert unlike.first(np.array([9, 0, 2], np.int64), 2).tolist() == [0, 1]
    assert gallery.read == read  # two were there already

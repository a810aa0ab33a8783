"""What an engine is sent, proves to be gone, and is compared with; no search is any worse."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from emotion_search.index.database.connection import Database
from emotion_search.index.database.recordings import remove_recording
from emotion_search.index.database.spaces import add_space, use_space
from emotion_search.index.errors import EngineError
from emotion_search.index.lifecycle import shipping as shipping_module
from emotion_search.index.lifecycle.keeper import IndexKeeper
from emotion_search.index.lifecycle.saved import IndexCache
from emotion_search.index.lifecycle.shipping import Shipping
from emotion_search.index.search import Searcher
from emotion_search.index.vectors import external, topk
from emotion_search.index.vectors.external import Marks
from emotion_search.index.vectors.space import Method, Space
from tests.index.worlds import VectorArchive, ask, found

DIM = 8


class MemoryEngine:
    """An engine as ``Milvus`` is one, in memory; it may be down, or not let go of ids."""

    address = "memory"

    def __init__(self) -> None:
        self.collections: dict[str, dict[int, np.ndarray]] = {}
        self.noted: dict[str, Marks] = {}
        self.alias: dict[str, str] = {}
        self.down = self.keeps = False
        self.sent = self.searched = self.flushed = 0
        self.settled: bool | None = None  # of the last search

    def _of(self, name: str) -> dict[int, np.ndarray]:
        if self.down:
            raise EngineError("the engine at memory fails: it is down")
        if name not in self.collections:
            raise EngineError(f"no collection {name}")
        return self.collections[name]

    def marks(self, name: str) -> Marks | None:
        if not self.down and name not in self.collections:
            return None
        return self.marks_noted(name)

    def marks_noted(self, name: str) -> Marks:
        self._of(name)
        return self.noted.get(name, Marks())

    def create(self, name: str, dimension: int) -> None:
        self.collections[name] = {}
        self.noted.pop(name, None)

    def mark(self, name: str, marks: Marks) -> None:
        self._of(name)
        self.noted[name] = marks

    def search(
        self, name: str, query: np.ndarray, limit: int, *, settled: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        stored = self._of(name)
        self.searched += 1
        self.settled = settled
        scores = {one: float(row @ query) for one, row in stored.items()}
        best = sorted(scores, key=scores.__getitem__, reverse=True)[:limit]
        return np.array(best, np.int64), np.array([scores[one] for one in best])

    def upsert(self, name: str, ids: np.ndarray, vectors: np.ndarray) -> None:
        self._of(name).update(zip(ids.tolist(), vectors.copy(), strict=True))
        self.sent += len(ids)

    def delete(self, name: str, ids: np.ndarray) -> None:
        stored = self._of(name)
        if not self.keeps:
            for one in ids.tolist():
                stored.pop(one, None)

    def settle(self, name: str) -> None:
        self._of(name)
        self.flushed += 1

    def vectors(self, name: str, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        stored = self._of(name)
        there = [one for one in ids.tolist() if one in stored]
        rows = np.array([stored[one] for one in there], np.float32).reshape(-1, DIM)
        return np.array(there, np.int64), rows

    def between(self, name: str, low: int, high: int) -> np.ndarray:
        there = [one for one in self._of(name) if low <= one < high]
        return np.array(there[: external.MOST], np.int64)

    def serving(self, alias: str) -> str | None:
        return self.alias.get(alias)

    def serve(self, name: str, alias: str, kept: set[str]) -> None:
        self.alias[alias] = name
        for one in list(self.collections):
            if one.startswith(f"{alias}_") and one not in kept:
                del self.collections[one]

    def drop(self, alias: str) -> None:
        for one in [one for one in self.collections if one.startswith(f"{alias}_")]:
            del self.collections[one]


class World:
    """An archive of vectors, an engine, and searchers as processes would have them."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.archive = VectorArchive(database, folder, DIM)
        self.engine = MemoryEngine()
        self.rng = np.random.default_rng(0)

    def searcher(self, folder: str = "a", *, background: bool = False) -> Searcher:
        archive = self.archive
        cache = IndexCache(
            archive.folder / folder, archive=archive.uuid, model=archive.model.fingerprint
        )
        shipping = Shipping(archive.database, archive.model, self.engine, archive.uuid)
        keeper = IndexKeeper(
            archive.database,
            archive.model,
            cache,
            asked="engine",
            background=background,
            shipping=shipping,
        )
        return Searcher(archive.database, archive.model, keeper)

    def add(self, count: int) -> list[int]:
        return self.archive.add(self.rng.normal(size=(count, DIM)).astype(np.float32))

    def forget(self, recording: int) -> None:
        with self.archive.database.write() as session:
            remove_recording(session, recording)

    def stored(self) -> list[int]:
        (stored,) = self.engine.collections.values()
        return sorted(stored)

    def agrees(self, searcher: Searcher) -> None:
        """Its hits are those of an exact search."""
        query = self.rng.normal(size=DIM).astype(np.float32)
        hits = found(ask(searcher, query))
        assert hits == found(ask(searcher, query, exact=True))
        assert len(hits) == min(10, searcher.refresh())


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few clips there are, the engine is asked."""
    monkeypatch.setattr(topk, "FEW", 0)
    monkeypatch.setattr(topk, "_FEW_OF", 0)
    monkeypatch.setattr(external, "_SPARE", 4)


@pytest.fixture
def world(sqlite: Database, tmp_path: Path, asked: None) -> World:
    return World(sqlite, tmp_path / "index")


@pytest.fixture
def either(database: Database, tmp_path: Path, asked: None) -> World:
    """On SQLite and on Postgres."""
    return World(database, tmp_path / "index")


def test_what_was_sent_a_while_ago_need_not_be_waited_for(world: World, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(shipping_module.time, "monotonic", lambda: now)
    world.add(60)
    searcher = world.searcher()
    seen = []
    for seconds in (0, 10, 0.1):
        now += seconds
        world.agrees(searcher)
        seen.append(world.engine.settled)
    world.add(5)
    searcher.keeper.save()  # sends them
    world.agrees(searcher)
    assert [*seen, world.engine.settled] == [False, False, True, False]
    assert world.engine.flushed == 1  # once it had all; later additions are indexed in its own time


def test_a_server_sends_new_clips_less_often_than_it_mends_an_engine(world: World, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(shipping_module.time, "monotonic", lambda: now)
    world.add(60)
    searcher = world.searcher()
    searcher.refresh()
    shipping = searcher.keeper.shipping

    def due() -> list[int]:
        """Seconds from now on at which something is."""
        nonlocal now
        found = []
        for second in range(40):
            if shipping.is_due(searcher.keeper._current):
                found.append(second)
            now += 1
        return found

    assert due() == []
    world.add(5)
    searcher.refresh()
    assert due() == [0, 30]
    searcher.keeper._current.index.pause("away")
    assert due() == [20, 25, 30, 35]


def test_searches_ask_the_engine_and_compare_what_it_lacks(world: World):
    world.add(60)
    searcher = world.searcher()
    world.agrees(searcher)
    assert (world.engine.sent, world.engine.searched) == (60, 1)
    world.add(5)
    world.agrees(searcher)
    assert world.engine.sent == 60  # the newest are compared here
    assert len(searcher.keeper._current.index._recent.ids()) == 5
    searcher.keeper.save()
    assert world.stored() == list(range(1, 66))
    assert len(searcher.keeper._current.index._recent.ids()) == 0
    world.agrees(searcher)
    world.agrees(world.searcher())  # from what was saved
    world.agrees(world.searcher("b"))  # on another machine
    assert world.engine.sent == 65


def test_what_is_forgotten_leaves_the_engine_or_is_said_to_be_pending(either: World):
    either.add(40)
    searcher = either.searcher()
    searcher.keeper.save()
    shipping = searcher.keeper.shipping
    either.forget(7)
    assert shipping.state().pending == 1
    shipping.ship()
    assert shipping.state().pending == 0
    assert 7 not in either.stored()
    either.engine.keeps = True
    either.forget(8)
    shipping.ship()
    assert (shipping.state().pending, 8 in either.stored()) == (1, True)
    either.agrees(searcher)
    either.engine.keeps = False
    shipping.ship()
    assert (shipping.state().pending, 8 in either.stored()) == (0, False)
    either.engine.down = True
    either.forget(9)
    assert "down" in shipping.state().problem


def test_an_engine_that_is_down_costs_no_hit_and_is_taken_up_again(world: World, caplog):
    world.add(50)
    world.engine.down = True
    searcher = world.searcher()
    world.agrees(searcher)
    assert "it is down" in caplog.text
    assert searcher.keeper.state().trouble is not None
    world.engine.down = False
    searcher.keeper.save()
    world.agrees(searcher)
    assert (world.engine.searched, searcher.keeper.state().trouble) == (1, None)


def test_a_collection_that_another_process_fills_anew_is_not_searched_before_it_is_whole(
    world: World,
):
    world.add(300)
    searcher = world.searcher()
    searcher.keeper.save()
    world.agrees(searcher)
    ((name, stored),) = world.engine.collections.items()
    world.engine.create(name, DIM)
    world.engine.collections[name] = dict([*stored.items()][150:])
    world.agrees(searcher)
    assert "not filled again" in searcher.keeper.state().trouble


def test_more_clips_than_can_be_compared_are_refused_while_the_engine_is_down(world, monkeypatch):
    world.add(50)
    searcher = world.searcher()
    world.agrees(searcher)
    world.engine.down = True
    monkeypatch.setattr(topk, "COMPARABLE", 49)
    with pytest.raises(EngineError, match="it is down"):
        ask(searcher, np.ones(DIM, np.float32))


def test_a_server_goes_on_until_what_was_erased_is_gone(world: World):
    world.add(30)
    searcher = world.searcher(background=True)
    world.agrees(searcher)
    world.engine.keeps = True
    world.forget(4)
    for keeps in (True, False):
        world.engine.keeps = keeps
        searcher.keeper.shipping._due = 0.0
        world.agrees(searcher)
        searcher.keeper._courier.join()
        assert (4 in world.stored()) is keeps
    searcher.keeper.close()


def test_a_server_whose_engine_lags_far_behind_does_without_it_for_a_while(world, monkeypatch):
    monkeypatch.setattr(external, "MOST_RECENT", 5)
    world.add(30)
    searcher = world.searcher()
    world.agrees(searcher)
    world.add(6)
    world.agrees(searcher)
    assert "lags" in searcher.keeper.state().trouble
    searcher.keeper.save()
    assert searcher.keeper.state().trouble is None
    world.agrees(searcher)


def test_a_server_sends_by_itself_what_the_engine_lacks(world: World):
    world.add(30)
    searcher = world.searcher(background=True)
    world.agrees(searcher)
    world.engine.collections.clear()
    world.add(3)
    searcher.keeper.shipping._due = 0.0
    world.agrees(searcher)
    searcher.keeper._courier.join()
    assert world.stored() == list(range(1, 34))
    world.agrees(searcher)
    searcher.keeper.close()


@pytest.mark.parametrize("harm", ["wiped", "lost some", "other vectors", "older database"])
def test_an_engine_that_does_not_match_is_made_to(world: World, harm):
    world.add(20)
    world.add(10)
    world.searcher().keeper.save()
    (name,) = world.engine.collections
    stored = world.engine.collections[name]
    if harm == "wiped":
        del world.engine.collections[name]
    elif harm == "lost some":
        del stored[29], stored[30]
    elif harm == "other vectors":
        world.engine.collections[name] = {one: -row for one, row in stored.items()}
    else:
        with world.archive.database.write() as session:
            session.execute(text("DELETE FROM recordings WHERE id > 20"))
            session.execute(text("UPDATE models SET revision = 1"))
        world.engine.noted[name] = Marks(99, 0)
    searcher = world.searcher("b")
    searcher.keeper.save()
    assert len(world.stored()) == (20 if harm == "older database" else 30)
    world.agrees(searcher)
    with searcher.keeper.snapshot() as (session, loaded, _):
        verdict = searcher.keeper.shipping.verify(session, loaded, sample=10)
    assert (verdict.missing, verdict.surplus, verdict.recall) == (0, 0, 1.0)


def test_a_repair_puts_the_vectors_of_the_database_in_place_of_others(world: World):
    world.add(30)
    world.searcher().keeper.save()
    (name,) = world.engine.collections
    true = world.engine.collections[name]
    world.engine.collections[name] = {one: -row for one, row in true.items()}
    assert world.searcher().keeper.shipping.ship(everything=True)
    for one, row in world.engine.collections[name].items():
        np.testing.assert_array_equal(row, true[one])


@pytest.mark.parametrize("lost", ["engine", "database"])
def test_what_cannot_be_verified_says_what_mends_it(world: World, lost):
    world.add(30)
    world.searcher().keeper.save()
    (name,) = world.engine.collections
    if lost == "engine":
        world.engine.collections.clear()
    else:
        world.engine.noted[name] = Marks(99, 0)
    keeper = world.searcher().keeper
    with (
        keeper.snapshot() as (session, loaded, _),
        pytest.raises(EngineError, match="run: emotion-search index repair"),
    ):
        keeper.shipping.verify(session, loaded)


def test_a_fill_that_was_broken_off_is_gone_on_with(world: World, monkeypatch):
    monkeypatch.setattr(shipping_module, "_WINDOW", 10)
    world.add(40)
    shipping = world.searcher().keeper.shipping
    put = world.engine.upsert

    def breaks(name: str, ids: np.ndarray, vectors: np.ndarray) -> None:
        put(name, ids, vectors)
        if world.engine.sent == 20:
            raise EngineError("it broke")

    world.engine.upsert = breaks
    with pytest.raises(EngineError, match="it broke"):
        shipping.ship()
    assert shipping.state().revision == 0
    assert shipping.ship()
    assert (world.engine.sent, world.stored()) == (40, list(range(1, 41)))


def test_a_sweep_finds_ids_of_one_side_only(world: World, monkeypatch):
    monkeypatch.setattr(shipping_module, "_WINDOW", 7)
    monkeypatch.setattr(shipping_module, "MOST", 8)
    monkeypatch.setattr(external, "MOST", 8)
    world.add(40)
    searcher = world.searcher()
    searcher.keeper.save()
    (name,) = world.engine.collections
    stored = world.engine.collections[name]
    for one in (1, 20, 40):
        del stored[one]
    stored |= {one: np.ones(DIM, np.float32) for one in (-3, 0, *range(100, 130))}
    with searcher.keeper.snapshot() as (session, loaded, _):
        verdict = searcher.keeper.shipping.verify(session, loaded, sample=10)
    assert (verdict.clips, verdict.missing, verdict.surplus) == (40, 3, 32)
    assert not verdict.is_sound
    assert searcher.keeper.shipping.ship(everything=True)
    assert world.stored() == list(range(1, 41))


def test_a_sweep_of_an_engine_that_ignores_its_bounds_comes_to_an_end(world: World, monkeypatch):
    monkeypatch.setattr(shipping_module, "_WINDOW", 7)
    monkeypatch.setattr(shipping_module, "MOST", 8)
    world.add(20)
    searcher = world.searcher()
    searcher.keeper.save()
    world.engine.between = lambda name, low, high: np.tile(np.arange(1, 23), 3)
    with searcher.keeper.snapshot() as (session, loaded, _):
        verdict = searcher.keeper.shipping.verify(session, loaded, sample=10)
    assert (verdict.missing, verdict.surplus) == (0, 2)


def test_another_space_has_a_collection_of_its_own_and_the_alias_follows(world: World):
    world.add(40)
    searcher = world.searcher()
    searcher.keeper.save()
    (first,) = world.engine.collections
    database, model = world.archive.database, world.archive.model
    with database.write() as session:
        mean = np.full(DIM, 0.1, np.float32)
        add_space(session, model, Space(Method.CENTRED, mean), task=None, clips=40, gain=None)
    world.agrees(searcher)
    searcher.keeper.save()
    assert set(world.engine.collections) == {first, *world.engine.alias.values()}
    assert list(world.engine.alias.values()) != [first]
    world.forget(3)
    searcher.keeper.shipping.ship()
    assert list(world.engine.collections) == list(world.engine.alias.values())
    with database.write() as session:
        use_space(session, model, 0)
    world.agrees(searcher)


def test_one_process_sends_at_a_time(either: World):
    either.add(10)
    database, model = either.archive.database, either.archive.model
    with database.one_at_a_time(model.id) as mine:
        assert mine
        other = Database(database.url)
        with other.one_at_a_time(model.id) as theirs:
            assert not theirs
        other.close()
        assert not either.searcher().keeper.shipping.ship()
    assert either.searcher().keeper.shipping.ship()


def test_an_index_of_the_engine_is_not_taken_where_none_is_set(world: World, caplog):
    caplog.set_level(logging.WARNING)
    world.add(30)
    world.searcher().keeper.save()
    world.archive.folder = world.archive.folder / "a"
    world.engine.down = True
    searcher = world.archive.searcher()
    world.agrees(searcher)
    assert searcher.keeper._current.index.kind == "flat"

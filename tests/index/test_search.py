"""Search stays equal to the database, whoever writes to it, whatever happens to the saved index."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from emotion_search.index.database.connection import Database
from emotion_search.index.database.embeddings import embeddings_in_order
from emotion_search.index.database.files import FileFacts
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.models import ModelInfo, activate_model, archive_uuid
from emotion_search.index.database.recordings import (
    Annotations,
    NewClip,
    NewRecording,
    add_recordings,
    remove_recording,
)
from emotion_search.index.database.spaces import put_calibration
from emotion_search.index.database.spans import Span
from emotion_search.index.errors import ModelMismatchError, NotFoundError
from emotion_search.index.lifecycle import keeper as keeper_module
from emotion_search.index.lifecycle.catch_up import bring_forward
from emotion_search.index.lifecycle.keeper import IndexKeeper
from emotion_search.index.lifecycle.saved import IndexCache
from emotion_search.index.search import Example, Searcher, Target
from emotion_search.index.vectors.arrays import normalise
from emotion_search.index.vectors.baselines import Place
from emotion_search.index.vectors.percentiles import calibrate
from emotion_search.index.vectors.topk import Wish
from tests.index.worlds import VectorArchive

DIM = 8


class World:
    """An archive, the truth about it, and two searchers as two processes would have them."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        with database.write() as session:
            self.model = activate_model(
                session, name="test", fingerprint="f" * 64, dimension=DIM, classes=()
            )
            self.uuid = archive_uuid(session)
        self.folder = folder
        self.searchers = [self.searcher(), self.searcher()]
        self.truth: dict[int, tuple[int, np.ndarray]] = {}
        self.made = 0

    def searcher(self) -> Searcher:
        cache = IndexCache(self.folder, archive=self.uuid, model=self.model.fingerprint)
        return Searcher(self.database, self.model, IndexKeeper(self.database, self.model, cache))

    def add(self, seed: int, clips: int = 1, **facts: object) -> int:
        rng = np.random.default_rng(seed)
        self.made += 1
        with self.database.write() as session:
            new = recording(self.made, rng, clips, Annotations(**facts))
            recording_id, _ = add_recordings(session, self.model.id, [new])[0]
            rows = session.execute(
                text(
                    "SELECT c.id, e.vector FROM clips c JOIN embeddings e ON e.clip_id = c.id"
                    " WHERE c.recording_id = :r"
                ),
                {"r": recording_id},
            ).all()
        for clip_id, vector in rows:
            self.truth[clip_id] = (recording_id, np.frombuffer(vector, "<f4").astype(float))
        return recording_id

    def remove(self, recording_id: int) -> None:
        with self.database.write() as session:
            remove_recording(session, recording_id)
        self.truth = {c: v for c, v in self.truth.items() if v[0] != recording_id}

    def expected(self, query: np.ndarray, k: int) -> list[int]:
        scored = [
            (-float(v @ query / np.linalg.norm(v) / np.linalg.norm(query)), c)
            for c, (_, v) in self.truth.items()
        ]
        return [c for _, c in sorted(scored)[:k]]

    def found(self, query: np.ndarray, k: int, which: int = 0) -> list[int]:
        return [hit.clip.id for hit in find(self.searchers[which], query, k)]


def find(searcher: Searcher, query: np.ndarray, k: int, wanted=None, **others):
    """The hits of a query, however many of them are of one recording."""
    example = Example(query.astype(np.float32)[None])
    target = Target([example], Wish(k), wanted=wanted or ClipFilter(), **others)
    return searcher.search(target)


def recording(number: int, rng: np.random.Generator, clips: int, facts: Annotations):
    return NewRecording(
        file=FileFacts(f"/calls/{number}.wav", 1000, number),
        name=f"{number}.wav",
        sha256=f"{number:064x}",
        duration=float(clips),
        sample_rate=8000,
        channels=1,
        annotations=facts,
        clips=[
            NewClip(
                None,
                float(i),
                float(i + 1),
                rng.normal(size=DIM).astype(np.float32),
                np.empty(0, np.float32),
            )
            for i in range(clips)
        ],
    )


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    return World(database, tmp_path / "index")


QUERY = np.arange(1.0, DIM + 1)


def test_another_writer_is_seen_by_the_next_search(world: World):
    for seed in range(5):
        world.add(seed)
        assert world.found(QUERY, 10, which=0) == world.expected(QUERY, 10)
    assert world.found(QUERY, 10, which=1) == world.expected(QUERY, 10)


def test_what_is_removed_is_never_found_again(world: World):
    ids = [world.add(seed, clips=2) for seed in range(4)]
    assert len(world.found(QUERY, 10)) == 8
    world.remove(ids[1])
    for which in (0, 1):
        assert world.found(QUERY, 10, which) == world.expected(QUERY, 10)
    with pytest.raises(NotFoundError):
        world.remove(ids[1])


@given(steps=st.lists(st.tuples(st.sampled_from("aarsrn"), st.integers(0, 9)), max_size=12))
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_history_leaves_search_equal_to_the_database(world: World, steps):
    for step, number in steps:
        present = sorted({r for r, _ in world.truth.values()})
        if step == "a":
            world.add(number, clips=1 + number % 3)
        elif step == "r" and present:
            world.remove(present[number % len(present)])
        elif step == "s":
            world.searchers[number % 2].keeper.save()
        elif step == "n":
            world.searchers[number % 2] = world.searcher()
        assert world.found(QUERY, 7, number % 2) == world.expected(QUERY, 7)


def test_a_saved_index_is_used_and_only_the_tail_applied(world: World, monkeypatch):
    world.add(1, clips=3)
    world.searchers[0].keeper.save()
    world.add(2)
    applied = []
    fresh = world.searcher()

    def noted(session, model, loaded, seen):
        since = loaded.revision
        applied.append((since, *bring_forward(session, model, loaded, seen)))
        return applied[-1][1:]

    monkeypatch.setattr(keeper_module, "bring_forward", noted)
    for step in (lambda: None, lambda: world.remove(1), lambda: world.add(3, clips=2)):
        step()
        hits = find(fresh, QUERY, 10)
        assert [h.clip.id for h in hits] == world.expected(QUERY, 10)
    assert applied == [(1, 1, False), (2, 3, True), (3, 2, False)]
    assert fresh.keeper._current.revision == 4


@pytest.mark.parametrize(
    "harm", ["truncate", "garbage", "no file", "foreign", "bad json", "format"]
)
def test_a_harmed_saved_index_is_rebuilt_with_a_notice(world: World, harm, caplog):
    world.add(1, clips=3)
    world.searchers[0].keeper.save()
    (current,) = world.folder.rglob("current.json")
    (file,) = world.folder.rglob("*.faiss")
    record = json.loads(current.read_text())
    if harm == "truncate":
        file.write_bytes(file.read_bytes()[:-20])
    elif harm == "garbage":
        file.write_bytes(b"\0" * file.stat().st_size)
    elif harm == "no file":
        file.unlink()
    elif harm == "foreign":
        record["stamp"]["archive"] = "another"
        current.write_text(json.dumps(record))
    elif harm == "format":
        current.write_text(json.dumps({**record, "format": 99}))
    else:
        current.write_text("{")
    world.searchers[1] = world.searcher()
    assert world.found(QUERY, 10, 1) == world.expected(QUERY, 10)
    assert "building it anew" in caplog.text


def test_a_database_restored_from_a_backup_is_believed(world: World):
    world.add(1, clips=2)
    recording_id = world.add(2)
    world.searchers[0].keeper.save()
    with world.database.write() as session:  # as if the second had never been: no tombstone
        session.execute(text("DELETE FROM recordings WHERE id = :r"), {"r": recording_id})
        session.execute(text("UPDATE models SET revision = 1"))
    world.truth = {c: v for c, v in world.truth.items() if v[0] != recording_id}
    for searcher in (world.searchers[0], world.searcher()):
        world.searchers[1] = searcher
        assert world.found(QUERY, 10, 1) == world.expected(QUERY, 10)


def test_an_index_that_cannot_be_saved_stops_no_search(world: World, caplog):
    world.add(1)
    world.folder.parent.mkdir(exist_ok=True)
    world.folder.write_text("a file where the folder should be")
    world.searchers[0].keeper.save()
    assert world.found(QUERY, 1) == world.expected(QUERY, 1)
    assert caplog.text.count("cannot be saved") == 1


def test_known_bytes_gain_a_name_and_nothing_else(world: World):
    first = recording(1, np.random.default_rng(0), 2, Annotations(source="a"))
    second = replace(first, file=FileFacts("/other/name.wav", 1000, 7))
    with world.database.write() as session:
        assert add_recordings(session, world.model.id, [first])[0] == (1, True)
        assert add_recordings(session, world.model.id, [second])[0] == (1, False)
        assert session.scalar(text("SELECT count(*) FROM clips")) == 2
        assert session.scalar(text("SELECT count(*) FROM locations")) == 2


def test_a_second_model_is_refused(world: World):
    messages = {
        "other": "of other: .*leave --model out",
        world.model.name: "other weights of test .*reembed",
    }
    for name, match in messages.items():
        with pytest.raises(ModelMismatchError, match=match), world.database.write() as session:
            activate_model(session, name=name, fingerprint="0" * 64, dimension=DIM, classes=())


def test_filters_choose_exactly_the_clips_that_match(world: World):
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
    a = world.add(1, source="x", speaker="s1", recorded_at=early, labels={"emotion": "anger"})
    b = world.add(2, source="x", recorded_at=late, labels={"emotion": "joy"}, metadata={"k": "v"})
    c = world.add(3, source="y", speaker="s2", metadata={"k": "w" * 3000})
    cases: list[tuple[ClipFilter, set[int]]] = [
        (ClipFilter(), {a, b, c}),
        (ClipFilter(sources=("x",)), {a, b}),
        (ClipFilter(sources=("x", "y")), {a, b, c}),
        (ClipFilter(labels=("anger", "joy")), {a, b}),
        (ClipFilter(sources=("y",), labels=("anger",)), set()),
        (ClipFilter(after=late), {b}),
        (ClipFilter(before=late), {a}),
        (ClipFilter(after=early, before=late), {a}),
        (ClipFilter(metadata={"k": "v"}), {b}),
        (ClipFilter(metadata={"k": "w" * 3000}), {c}),
        (ClipFilter(metadata={"k": "w" * 2999}), set()),
        (ClipFilter(speakers=("s1",)), {a}),
        (ClipFilter(not_speaker="s1"), {b, c}),
        (ClipFilter(not_recordings=(a, c)), {b}),
    ]
    for wanted, expected in cases:
        hits = find(world.searchers[0], QUERY, 10, wanted)
        assert {hit.clip.recording_id for hit in hits} == expected, wanted


def test_a_filter_gives_k_or_all_that_match(world: World):
    for seed in range(40):
        world.add(seed, labels={"emotion": "rare" if seed % 10 == 0 else "common"})
    rare = find(world.searchers[0], QUERY, 10, ClipFilter(labels=("rare",)))
    common = find(world.searchers[0], QUERY, 10, ClipFilter(labels=("common",)))
    assert (len(rare), len(common)) == (4, 10)
    own = [hit.clip.id for hit in common[:3]]
    without = find(world.searchers[0], QUERY, 10, ClipFilter(labels=("common",)), without=own)
    assert [h.clip.id for h in without[:7]] == [h.clip.id for h in common[3:]]
    assert len(without) == 10


def test_few_recordings_are_found_without_comparing_every_clip(
    database: Database, tmp_path: Path, monkeypatch
):
    archive = VectorArchive(database, tmp_path / "index", DIM)
    rows = np.random.default_rng(0).normal(size=(8000, DIM)).astype(np.float32)
    archive.add(rows, clips_each=1000)
    archive.add(rows[:1], clips_each=1)  # the query's own, alone in its recording
    searcher = archive.searcher()
    read = []

    def counted(session, model, ids):
        read.extend(ids.tolist())
        return embeddings_in_order(session, model, ids)

    monkeypatch.setattr("emotion_search.index.lifecycle.gallery.embeddings_in_order", counted)
    for per_recording, most in ((1, 8), (2, 16), (None, 30)):
        read.clear()
        wish = Wish(30, per_recording=per_recording)
        hits = searcher.search(Target([Example(rows[:1])], wish, without=[8001]))
        assert len(read) < 2000
        truth = searcher.search(Target([Example(rows[:1])], wish, without=[8001], exact=True))
        assert [hit.clip.id for hit in hits] == [hit.clip.id for hit in truth]
        assert len(hits) == most


def test_hits_and_comparisons_have_the_percentiles_of_the_calibration_that_there_is(
    sqlite: Database, tmp_path: Path
):
    archive = VectorArchive(sqlite, tmp_path / "index", DIM)
    rows = np.random.default_rng(0).normal(size=(20, DIM)).astype(np.float32)
    archive.add(rows)
    searcher = archive.searcher()
    unit = normalise(rows)
    two = [Example(clips=np.array([1])), Example(rows[4:5])]
    calibrations = [
        calibrate(lambda _, turned=turned: turned, np.arange(20), np.zeros(20), clips=clips)
        for clips, turned in ((20, rows), (21, rows[:, :2]))
    ]
    for calibration in (None, *calibrations):
        if calibration is not None:
            with sqlite.write() as session:
                put_calibration(session, archive.model, 0, calibration)
        with searcher.open() as snapshot:
            cosines, percentiles = snapshot.compare(two)
        assert cosines == pytest.approx(unit[[0, 4]] @ unit[[0, 4]].T, abs=1e-6)
        hits = find(searcher, rows[0], 5)
        text = Example(rows[:1], place=None)
        of_a_text = searcher.search(Target([text], Wish(5)))
        assert [hit.similarity for hit in of_a_text] == [hit.similarity for hit in hits]
        beside = searcher.search(Target([Example(rows[1:2])], Wish(5), [text]))
        assert {hit.percentile for hit in (*of_a_text, *beside)} == {None}
        if calibration is None:
            assert percentiles is None
            assert {hit.percentile for hit in hits} == {None}
        else:
            similar = np.array([hit.similarity for hit in hits])
            expected = calibration.percentile(similar)
            assert [hit.percentile for hit in hits] == pytest.approx(expected, abs=1e-3)
            assert np.array_equal(percentiles, calibration.percentile(cosines))


def test_clips_are_from_where_their_recording_is_and_by_who_speaks_in_all_of_them(world: World):
    one = world.add(1, clips=2, source="desk", speaker="ann")
    two = world.add(2, clips=2, source="desk", spans=(Span(0.0, 1.0, None, {}, "bob"),))
    with world.searchers[0].open() as snapshot:
        assert snapshot.place_of(np.array([1, 2])) == Place("desk", "ann", one)
        assert snapshot.place_of(np.array([3, 4])) == Place("desk", None, two)
        assert snapshot.place_of(np.array([3])) == Place("desk", "bob", two)
        with pytest.raises(NotFoundError, match="no clip 99 in this archive"):
            snapshot.place_of(np.array([1, 99]))


def test_the_rank_of_a_score_is_the_share_of_clips_that_have_less(sqlite: Database, tmp_path: Path):
    archive = VectorArchive(sqlite, tmp_path / "index", DIM)
    archive.add(np.eye(10, DIM, dtype=np.float32) + 1)  # odd ones are angry, by a hundredth each
    with archive.searcher().open() as snapshot:
        assert snapshot.rank("angry", 0.05) == 70.0
        assert snapshot.rank("angry", 0.0501) == 80.0
        assert snapshot.rank("calm", 1.0) == 100.0


def test_model_info_survives_the_database(world: World):
    assert world.model == ModelInfo(1, "test", "f" * 64, DIM, ())

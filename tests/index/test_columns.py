"""Columns in memory are what the database says, whatever changes, and whoever changes it."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, text

from emotion_search.index.database.classifiers import ClassifierInfo, delete_classifier
from emotion_search.index.database.clusterings import add_clustering, delete_clustering
from emotion_search.index.database.columns import Columns
from emotion_search.index.database.connection import Database, Session
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.labels import set_labels
from emotion_search.index.database.matching import matching_ids
from emotion_search.index.database.models import score_anew
from emotion_search.index.database.predictions import put_predictions
from emotion_search.index.database.recordings import Annotations, annotate, remove_recording
from emotion_search.index.database.recut import recut_recording
from emotion_search.index.database.schema import ClassifierRow, Embedding
from emotion_search.index.database.scoring import rescore
from emotion_search.index.search import Searcher
from tests.conftest import examples
from tests.index.worlds import VectorArchive, ask

DIM = 4
NOW = datetime(2026, 1, 1, tzinfo=UTC)
FILTERS = (
    ClipFilter(),
    ClipFilter(sources=("s", "new")),
    ClipFilter(not_source="new"),
    ClipFilter(speakers=("anna",), after=NOW),
    ClipFilter(before=NOW),
    ClipFilter(labels=("rare",)),
    ClipFilter(labels=("loud", "common"), not_speaker="anna"),
    ClipFilter(labels=("loud",), task="mood"),
    ClipFilter(predicted=("joy",), min_probability=0.5),
    ClipFilter(predicted=("joy",)),
    ClipFilter(min_probability=0.5),
    ClipFilter(clusters=("moods:0", "moods:noise")),
    ClipFilter(emotions=("angry",)),
    ClipFilter(min_score=0.5),
    ClipFilter(min_arousal=0.2, max_arousal=0.5),
    ClipFilter(min_valence=-0.3, max_valence=-0.1),
    ClipFilter(metadata={"queue": "7"}),
    ClipFilter(channels=("agent",)),
)


class World:
    """An archive that changes, and two searchers as two processes would have them."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.archive = VectorArchive(database, folder, DIM)
        self.random = np.random.default_rng(0)
        self.add()
        self.searchers = [self.archive.searcher(), self.archive.searcher()]

    def vectors(self, count: int) -> np.ndarray:
        return self.random.normal(size=(count, DIM)).astype(np.float32)

    def add(self) -> None:
        self.archive.add(self.vectors(12), clips_each=3)

    def write(self, step: str, number: int) -> None:
        """One change of the archive."""
        if step == "add":
            self.add()
            return
        with self.archive.database.write() as session:
            recordings = session.scalars(text("SELECT id FROM recordings ORDER BY id")).all()
            clips = session.scalars(text("SELECT id FROM clips ORDER BY id")).all()
            if clips:
                changes = CHANGES[step]
                recording, clip = recordings[number % len(recordings)], clips[number % len(clips)]
                changes(self, session, recording, clip)

    def check(self, searcher: Searcher) -> None:
        with searcher.open() as snapshot:
            columns, session = snapshot._loaded.columns, snapshot.session
            for wanted in FILTERS:
                passes = columns.ids[columns.passing(session, wanted)].tolist()
                assert passes == matching_ids(session, wanted).tolist(), wanted
            columns.scores(session)
            assert columns.differences(session) == 0


def _label(world: World, session: Session, _recording: int, clip: int) -> None:
    set_labels(session, [(clip, "emotion", "loud"), (clip + 1, "mood", "loud")])


def _unlabel(world: World, session: Session, _recording: int, clip: int) -> None:
    set_labels(session, [(clip, "emotion", None)])


def _annotate(world: World, session: Session, recording: int, clip: int) -> None:
    given = [
        Annotations(speaker="anna", recorded_at=NOW.replace(year=2020 + clip % 9)),
        Annotations(source="new", metadata={"queue": "7"}),
        Annotations(labels={"emotion": "rare"}),
    ]
    annotate(session, {recording: given[clip % 3]})


def _predict(world: World, session: Session, recording: int, clip: int) -> None:
    about = {"task": "emotion", "method": "linear", "space_version": 0, "provenance": {}}
    row = {"id": 1, "version": 1, "model_id": 1, "classes": ["joy"], "parameters": b""}
    if session.get(ClassifierRow, 1) is None:
        session.execute(insert(ClassifierRow), [{**about, **row, "created_at": NOW}])
    known = ClassifierInfo(1, "emotion", 1, "linear", ("joy",), "test", 0, {}, NOW, 0)
    put_predictions(session, known, np.array([clip]), ["joy"], np.array([clip % 10 / 10]), [])


def _drop_predictions(world: World, session: Session, recording: int, clip: int) -> None:
    if session.get(ClassifierRow, 1) is not None:
        delete_classifier(session, "emotion", 1)


def _cluster(world: World, session: Session, recording: int, clip: int) -> None:
    ids = np.arange(clip, clip + 5)
    add_clustering(
        session,
        world.archive.model,
        name="moods",
        method="kmeans",
        k=2,
        space_version=0,
        parameters={},
        summary=[],
        ids=ids,
        clusters=(ids % 3 - 1).astype(np.int32),
        replace=True,
    )


def _drop_clusters(world: World, session: Session, recording: int, clip: int) -> None:
    if session.scalar(text("SELECT count(*) FROM clusterings")):
        delete_clustering(session, "moods")


def _rescore(world: World, session: Session, recording: int, clip: int) -> None:
    score_anew(session, world.archive.model)
    rescore(
        session,
        world.archive.model,
        lambda vectors, _=None: np.eye(2, dtype=np.float32)[(np.arange(len(vectors)) + clip) % 2],
    )


def _recut(world: World, session: Session, recording: int, clip: int) -> None:
    """Its first span under another name of its channel."""
    recut_recording(session, 1, recording, [], {(None, 0, 1000): "agent"}, "by hand")


def _remove(world: World, session: Session, recording: int, clip: int) -> None:
    remove_recording(session, recording)


CHANGES: dict[str, Callable[[World, Session, int, int], None]] = {
    "label": _label,
    "unlabel": _unlabel,
    "annotate": _annotate,
    "predict": _predict,
    "drop predictions": _drop_predictions,
    "cluster": _cluster,
    "drop clusters": _drop_clusters,
    "rescore": _rescore,
    "recut": _recut,
    "remove": _remove,
}


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    return World(database, tmp_path / "index")


@pytest.mark.parametrize("step", ["add", *CHANGES])
def test_each_kind_of_change_is_seen_by_the_next_search(world: World, step: str):
    world.check(world.searchers[0])  # so that the columns of tasks are read before
    for number in range(0, 12, 5):
        for other in ("predict", "cluster") if step.startswith("drop") else ():
            world.write(other, number)
            world.check(world.searchers[0])
        world.write(step, number)
        world.check(world.searchers[0])


@examples(5, 15)
def test_any_history_leaves_columns_equal_to_the_database(world: World, count: int):
    @given(
        steps=st.lists(
            st.tuples(st.sampled_from(["add", "save", "new", *CHANGES]), st.integers(0, 40)),
            max_size=10,
        )
    )
    @settings(max_examples=count, deadline=None)
    def holds(steps) -> None:
        for step, number in steps:
            which = number % 2
            if step == "save":
                world.searchers[which].keeper.save()
            elif step == "new":
                world.searchers[which] = world.archive.searcher()
            else:
                world.write(step, number)
            world.check(world.searchers[which])
        for searcher in world.searchers:
            world.check(searcher)

    holds()


def test_columns_saved_and_loaded_know_the_same_and_nothing_of_what_is_gone(
    world: World, tmp_path: Path
):
    world.write("annotate", 0)
    world.write("annotate", 4)
    with world.archive.database.read() as session:
        columns = Columns.read(session, world.archive.model, 9)
    with world.archive.database.write() as session:
        remove_recording(session, 1)
    columns.remove(np.array([1, 2, 3]))
    columns.save(tmp_path / "columns.npz")
    loaded = Columns.load(tmp_path / "columns.npz", world.archive.model)
    assert loaded.revision == 9
    assert b"anna" not in (tmp_path / "columns.npz").read_bytes()
    with world.archive.database.read() as session:
        assert loaded.differences(session) == 0
        assert (loaded.count, len(loaded.ids)) == (9, 9)
    for harm in (b"", (tmp_path / "columns.npz").read_bytes()[:-30]):
        (tmp_path / "harmed.npz").write_bytes(harm)
        with pytest.raises((OSError, ValueError, KeyError)):
            Columns.load(tmp_path / "harmed.npz", world.archive.model)


def test_differences_are_counted_by_clip(world: World):
    with world.archive.database.read() as session:
        columns = Columns.read(session, world.archive.model, 0)
    for step in ("annotate", "rescore"):  # of three clips, of all
        world.write(step, 0)
        with world.archive.database.read() as session:
            expected = 3 if step == "annotate" else 12
            assert columns.differences(session) == expected
            assert columns.differences(session, np.array([2])) == 1
    world.write("remove", 0)
    world.add()
    with world.archive.database.read() as session:
        assert columns.differences(session) == 9 + 3 + 12


@pytest.mark.parametrize("later", [[2, 13], [2, 24], [23, 24]])
def test_clips_that_are_embedded_later_than_younger_ones_are_in_their_places(
    world: World, later: list[int]
):
    world.add()
    with world.archive.database.write() as session:
        of_them = Embedding.clip_id.in_(later)
        rows = session.execute(select(Embedding.__table__).where(of_them)).mappings().all()
        session.execute(delete(Embedding).where(of_them))
        columns = Columns.read(session, world.archive.model, 0)
        assert columns.count == 22
        columns.scores(session)
        session.execute(insert(Embedding.__table__), [dict(row) for row in rows])
        columns.update(session, np.array(later))
        assert columns.ids.tolist() == list(range(1, 25))
        assert columns["recording"].tolist() == [(i - 1) // 3 + 1 for i in range(1, 25)]
        columns.scores(session)
        assert columns.differences(session) == 0
        assert columns.text("source", 1) == "s"
        assert columns.text("channel_name", 1) is None


def test_a_label_alone_that_is_another_is_a_difference_once_it_was_asked_for(world: World):
    with world.archive.database.write() as session:
        columns = Columns.read(session, world.archive.model, 0)
        columns.passing(session, ClipFilter(labels=("rare",)))
        session.execute(text("UPDATE labels SET value = 'odd' WHERE clip_id = 5"))
        assert columns.differences(session) == 1
        assert columns.differences(session, np.array([5])) == 1
        assert columns.differences(session, np.array([4, 6])) == 0


def test_columns_of_an_archive_without_clips_differ_in_nothing(world: World):
    for _ in range(4):
        world.write("remove", 0)
        world.check(world.searchers[0])


def test_verification_counts_clips_of_which_the_index_knows_something_else(world: World):
    searcher = world.searchers[0]
    assert searcher.verify().is_sound
    with world.archive.database.write() as session:  # behind the back of whoever writes
        session.execute(text("UPDATE recordings SET source = 'x' WHERE id = 1"))
    verdict = searcher.verify()
    assert (verdict.differing, verdict.is_sound) == (3, False)
    searcher.keeper.rebuild()
    assert searcher.verify().is_sound


def test_a_restored_database_at_the_same_revision_is_read_anew(world: World):
    world.write("label", 3)
    searcher = world.searchers[0]
    searcher.keeper.save()
    with world.archive.database.write() as session:  # it came to that revision by another way
        session.execute(text("UPDATE recordings SET speaker = 'other'"))
    fresh = world.archive.searcher()
    assert len(ask(fresh, np.ones(DIM, np.float32), 20, ClipFilter(speakers=("other",)))) == 12


def test_a_search_waits_for_nobody_and_sees_what_was_committed_before(world: World, monkeypatch):
    """Where another thread brings the index ahead of a search's snapshot, it takes a new one."""
    searcher = world.searchers[0]
    searcher.refresh()
    original = type(searcher.keeper).at
    calls = []

    def ahead(self, session):
        found = original(self, session)
        if not calls:
            calls.append(1)
            from emotion_search.index.database.spaces import standing

            standing(session, world.archive.model)  # the snapshot begins
            world.write("label", 2)
            world.searchers[0].refresh()
        return found

    monkeypatch.setattr(type(searcher.keeper), "at", ahead)
    with searcher.open() as snapshot:
        wanted = ClipFilter(labels=("loud",))
        assert snapshot._loaded.columns.passing(snapshot.session, wanted).sum() == 1
        assert matching_ids(snapshot.session, wanted).tolist() == [3]


def test_a_few_clips_more_go_behind_many(world: World):
    world.archive.add(world.vectors(60), clips_each=3)
    one, _ = world.searchers
    world.check(one)
    for _ in range(4):  # some need room, some find it
        world.archive.add(world.vectors(4), clips_each=2)
        world.check(one)

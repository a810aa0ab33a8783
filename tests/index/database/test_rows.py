"""Rows as they are written, counted and filtered, on both databases alike."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, insert, select, text, update

from emotion_search.index.database.bulk import insert_or_replace
from emotion_search.index.database.classifiers import ClassifierInfo
from emotion_search.index.database.columns import Columns
from emotion_search.index.database.connection import Database
from emotion_search.index.database.files import add_failure, list_failures, remove_failures_under
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.known_values import count
from emotion_search.index.database.matching import matching_ids
from emotion_search.index.database.predictions import next_unclassified
from emotion_search.index.database.schema import (
    ClassifierRow,
    Clip,
    ClusteringRow,
    ClusterMember,
    Label,
    Prediction,
    Recording,
)
from emotion_search.index.errors import InvalidInputError
from tests.index.worlds import VectorArchive

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def archive(database: Database, tmp_path: Path) -> VectorArchive:
    made = VectorArchive(database, tmp_path / "index", 4)
    made.add(np.ones((6, 4), np.float32))
    return made


def classifier(archive: VectorArchive, number: int, predicted: dict[int, str]) -> ClassifierInfo:
    """A classifier of the emotion, and what it says of clips."""
    about = {
        "id": number,
        "task": "emotion",
        "version": number,
        "method": "linear",
        "space_version": 0,
        "provenance": {},
        "created_at": NOW,
    }
    with archive.database.write() as session:
        session.execute(
            insert(ClassifierRow),
            [{**about, "model_id": archive.model.id, "classes": ["joy"], "parameters": b""}],
        )
        rows = [
            {"task": "emotion", "clip_id": clip, "value": value, "probability": clip / 10}
            for clip, value in predicted.items()
        ]
        insert_or_replace(session, Prediction, [{**row, "classifier_id": number} for row in rows])
    return ClassifierInfo(**about, model="test", classes=("joy",), predictions=0)


def test_of_rows_with_the_same_key_the_last_counts(archive: VectorArchive):
    labels = [{"clip_id": 1, "task": "mood", "value": value} for value in ("bad", "worse", "good")]
    with archive.database.write() as session:
        insert_or_replace(session, Label, labels[:1])
        insert_or_replace(session, Label, labels)
        query = select(Label.value).where(Label.task == "mood")
        assert session.scalars(query).all() == ["good"]


def test_failures_under_a_prefix_are_those_that_begin_so_letter_by_letter(database: Database):
    paths = [
        "/a/B.csv: line 1",
        "/a/b.csv: line 1",
        "/a/b.csv: line 20é",
        "/a/b.csv",
        "/a/b_csv: l",
    ]
    with database.write() as session:
        for path in paths:
            add_failure(session, path, "reason")
        remove_failures_under(session, "/a/b.csv: line ")
        assert {one.path for one in list_failures(session)} == {paths[0], paths[3], paths[4]}
        if database.is_sqlite:
            plan = session.execute(
                text("EXPLAIN QUERY PLAN DELETE FROM failures WHERE path >= 'a' AND path < 'b'")
            )
            assert "USING INDEX" in str(plan.all())


@pytest.mark.parametrize("shortest", [3.0, 3.0004])
def test_a_length_is_meant_to_the_millisecond(archive: VectorArchive, shortest):
    with archive.database.write() as session:
        session.execute(update(Clip).where(Clip.id == 2).values(start=1.1, end=4.1))  # 2.9999999996
        session.execute(update(Clip).where(Clip.id == 3).values(start=0.1, end=3.1 + 1e-12))
        session.execute(update(Clip).where(Clip.id == 4).values(start=0.0, end=2.999))
        session.execute(update(Clip).where(Clip.id == 5).values(start=0.0, end=3.001))
        at_least = matching_ids(session, ClipFilter(min_duration=shortest))
        exactly = matching_ids(session, ClipFilter(min_duration=3.0, max_duration=3.0))
        assert at_least.tolist() == [2, 3, 5]
        assert exactly.tolist() == [2, 3]


def test_a_task_that_no_database_can_hold_is_refused():
    with pytest.raises(InvalidInputError, match="filter task"):
        ClipFilter(labels=("x",), task="emo\0tion")


def test_a_source_may_be_called_as_clips_without_one_are(archive: VectorArchive):
    with archive.database.write() as session:
        session.execute(update(Recording).where(Recording.id < 3).values(source="(none)"))
        session.execute(update(Recording).where(Recording.id == 3).values(source=None))
        assert count(session).sources == {"(none)": 3, "s": 3}


def test_what_is_predicted_and_what_cluster_choose_the_same_one_by_one(archive: VectorArchive):
    classifier(archive, 1, {1: "joy", 2: "joy", 3: "fear", 4: "joy"})
    with archive.database.write() as session:
        about = {"method": "kmeans", "k": 2, "space_version": 0, "parameters": {}, "summary": []}
        session.execute(
            insert(ClusteringRow),
            [
                {**about, "id": i, "name": name, "model_id": archive.model.id, "created_at": NOW}
                for i, name in ((1, "moods"), (2, "calls"))
            ],
        )
        session.execute(
            insert(ClusterMember),
            [
                {"clip_id": clip, "clustering_id": clustering, "cluster": cluster}
                for clip, clustering, cluster in [(1, 1, 0), (2, 1, -1), (4, 1, 1), (5, 2, 0)]
            ],
        )
        cases = [
            (ClipFilter(predicted=("joy",)), [1, 2, 4]),
            (ClipFilter(predicted=("joy",), min_probability=0.2), [2, 4]),
            (ClipFilter(min_probability=0.25), [3, 4]),
            (ClipFilter(predicted=("joy",), task="other"), []),
            (ClipFilter(clusters=("moods:0",)), [1]),
            (ClipFilter(clusters=("moods:noise", "calls:0")), [2, 5]),
            (ClipFilter(clusters=("moods:1",), predicted=("joy",)), [4]),
            (ClipFilter(clusters=("nothing:0",)), []),
        ]
        columns = Columns.read(session, archive.model, 0)
        for wanted, expected in cases:
            assert matching_ids(session, wanted).tolist() == expected, wanted
            assert columns.ids[columns.passing(session, wanted)].tolist() == expected, wanted


def test_clips_to_classify_may_be_chosen_by_what_was_predicted(archive: VectorArchive):
    classifier(archive, 1, {1: "joy", 2: "joy", 3: "fear"})
    second = classifier(archive, 2, {2: "joy"})
    with archive.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Prediction)) == 3
        wanted = ClipFilter(predicted=("joy", "fear"))
        ids, vectors = next_unclassified(
            session, archive.model, second, wanted, [second.id], after_id=0
        )
        assert ids.tolist() == [1, 3]
        assert vectors.shape == (2, 4)

"""Names of emotions that mean the same, and values of filters that no clip has."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import insert, update

from emotion_search.index.database.columns import Columns
from emotion_search.index.database.connection import Database
from emotion_search.index.database.emotion_names import common, one_spelling, spellings
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.known_values import count_values, unknown_values
from emotion_search.index.database.matching import matching_ids
from emotion_search.index.database.schema import Clip, ClusteringRow, Label, Metadatum, Recording
from emotion_search.index.errors import NotFoundError
from tests.conftest import new_database
from tests.index.worlds import START, VectorArchive

LABELS = ["Anger", "sadness", "worried", "happy"]


@pytest.fixture
def archive(database: Database, tmp_path: Path) -> VectorArchive:
    """Four clips; odd ones are of the class angry, even ones calm."""
    return fill(database, tmp_path)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def known(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VectorArchive]:
    """The same for all tests that only read."""
    folder = tmp_path_factory.mktemp("known")
    with new_database(request, folder) as url:
        database = Database(url)
        database.create_or_require()
        yield fill(database, folder)
        database.close()


def fill(database: Database, folder: Path) -> VectorArchive:
    made = VectorArchive(database, folder / "index", 4)
    made.add(np.eye(4, dtype=np.float32))
    with database.write() as session:
        for clip, label in enumerate(LABELS, start=1):
            session.execute(update(Label).where(Label.clip_id == clip).values(value=label))
        session.execute(update(Recording).values(source="support", speaker="anna"))
        session.execute(update(Clip).where(Clip.id == 2).values(speaker="ben"))
        session.execute(update(Clip).where(Clip.id == 2).values(channel=0, channel_name="agent"))
    return made


def test_nouns_adjectives_and_chinese_words_have_one_common_name():
    same = ["anger", "Angry", " ANGER ", "生气"]
    assert {common(name) for name in same} == {"angry"}
    assert common("fear") == common("afraid") == common("恐惧") == "fearful"
    assert common("Worried") == "worried"
    assert {"Anger", "anger", "angry", "Angry", "生气"} <= set(spellings(["anger"]))
    assert "sad" not in spellings(["anger"])
    assert set(spellings(["Worried", "x"])) == {"Worried", "worried", "WORRIED", "x", "X"}


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (ClipFilter(emotions=("anger",)), [1, 3]),
        (ClipFilter(emotions=("平静",)), [2, 4]),
        (ClipFilter(labels=("angry",)), [1]),
        (ClipFilter(labels=("sad", "joy")), [2, 4]),
        (ClipFilter(labels=("Worried",)), [3]),
        (ClipFilter(labels=("angry",), task="mood"), []),
    ],
)
def test_a_filter_finds_an_emotion_by_any_of_its_names(
    known: VectorArchive, wanted: ClipFilter, ids: list[int]
):
    with known.database.read() as session:
        columns = Columns.read(session, known.model, 0)
        assert matching_ids(session, wanted).tolist() == ids
        assert columns.ids[columns.passing(session, wanted)].tolist() == ids


def test_another_task_has_its_values_as_they_are(archive: VectorArchive):
    with archive.database.write() as session:
        session.execute(update(Label).values(task="mood"))
    found = [ClipFilter(labels=(name,), task="mood") for name in ("Anger", "anger", "angry")]
    with archive.database.read() as session:
        assert [matching_ids(session, one).tolist() for one in found] == [[1], [], []]
        with pytest.raises(NotFoundError, match="mood label angry; did you mean Anger"):
            unknown_values(session, archive.model, found[2])


def test_recordings_of_no_known_time_are_counted_where_a_filter_asks_for_one(
    archive: VectorArchive,
):
    with archive.database.write() as session:
        session.execute(update(Recording).where(Recording.id > 1).values(recorded_at=None))
    for wanted in (ClipFilter(after=START), ClipFilter(before=START)):
        with archive.database.read() as session:
            (sentence,) = unknown_values(session, None, wanted)
        assert sentence.startswith("recordings left out, of no known time")
        assert sentence.endswith(": 3")


def test_where_nothing_is_predicted_no_prediction_is_known(known: VectorArchive):
    wanted = ClipFilter(predicted=("anger",))
    nothing = pytest.raises(
        NotFoundError, match=r"^no clip has a prediction under the task emotion$"
    )
    with known.database.read() as session, nothing:
        unknown_values(session, known.model, wanted)


KNOWN = ClipFilter(
    sources=("support",),
    speakers=("anna", "ben"),
    channels=("agent",),
    labels=("anger", "worried"),
    emotions=("angry", "Calm", "anger"),
)


def test_of_values_that_clips_have_nothing_is_said(known: VectorArchive):
    with known.database.read() as session:
        assert unknown_values(session, known.model, KNOWN) == []
        assert unknown_values(session, None, ClipFilter(emotions=("x",))) == []


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("sources", "suport", "no clip has source suport; did you mean support?"),
        ("speakers", "Bem", "no clip has speaker Bem; did you mean ben?"),
        ("channels", "agnt", "no clip has channel agnt; did you mean agent?"),
        ("channels", "7", "no clip has channel 7; there are 0, agent"),
        ("labels", "angerr", "no clip has emotion label angerr; did you mean Anger?"),
        ("emotions", "mad", "no clip has emotion mad; there are angry, calm"),
    ],
)
def test_a_value_that_no_clip_has_is_named_with_the_nearest(
    known: VectorArchive, field: str, value: str, sentence: str
):
    beside = replace(KNOWN, **{field: (*getattr(KNOWN, field), value)})
    with known.database.read() as session:
        assert unknown_values(session, known.model, beside) == [sentence]
        with pytest.raises(NotFoundError) as refused:
            unknown_values(session, known.model, replace(KNOWN, **{field: (value,)}))
    assert str(refused.value) == sentence


def test_a_cluster_that_there_is_not_is_named_with_the_nearest(archive: VectorArchive):
    summary = [{"cluster": 1}, {"cluster": -1}]
    about = {"method": "kmeans", "k": 2, "space_version": 0, "parameters": {}, "summary": summary}
    row = {**about, "name": "moods", "model_id": archive.model.id, "created_at": START}
    with archive.database.write() as session:
        session.execute(insert(ClusteringRow), [row])
        assert unknown_values(session, archive.model, ClipFilter(clusters=("moods:1",))) == []
        beside = ClipFilter(clusters=("moods:noise", "mood:1"))
        assert unknown_values(session, archive.model, beside) == [
            "no clip has cluster mood:1; did you mean moods:1 or moods:noise?"
        ]


def test_values_are_counted_the_most_clips_first_and_those_without_one(archive: VectorArchive):
    with archive.database.write() as session:
        for clips, source in (((1,), None), ((2, 4), "b")):
            session.execute(update(Recording).where(Recording.id.in_(clips)).values(source=source))
        session.execute(update(Recording).where(Recording.id == 3).values(source="a"))
        session.execute(update(Clip).where(Clip.id == 4).values(recording_id=2))
        found = [(one.value, one.recordings, one.clips) for one in count_values(session, "source")]
        session.execute(insert(Label), [{"clip_id": 1, "task": "mood", "value": "low"}])
        of_task = [
            [
                (one.value, one.clips)
                for one in count_values(session, "label", ClipFilter(task=task))
            ]
            for task in ("emotion", "mood")
        ]
    assert found == [("b", 1, 2), (None, 1, 1), ("a", 1, 1)]
    assert of_task == [[(label, 1) for label in sorted(LABELS)], [("low", 1)]]


def test_a_name_is_near_by_one_of_its_words(archive: VectorArchive):
    with archive.database.write() as session:
        session.execute(update(Recording).values(source="support-2026-winter"))
    with archive.database.read() as session:
        wanted = ClipFilter(sources=("suport",))
        with pytest.raises(NotFoundError, match="did you mean support-2026-winter"):
            unknown_values(session, archive.model, wanted)


@pytest.mark.parametrize(
    ("pair", "sentence"),
    [
        ({"lang": "de"}, "no clip has metadata lang; did you mean language?"),
        ({"language": "fr"}, "no clip has language fr; there are de"),
    ],
)
def test_metadata_that_no_recording_has_is_named(archive: VectorArchive, pair, sentence):
    with archive.database.write() as session:
        session.add(Metadatum(recording_id=1, key="language", value="de"))
    with archive.database.read() as session:
        assert unknown_values(session, archive.model, ClipFilter(metadata={"language": "de"})) == []
        with pytest.raises(NotFoundError) as refused:
            unknown_values(session, archive.model, ClipFilter(metadata=pair))
    assert str(refused.value) == sentence


def test_labels_of_one_emotion_go_by_the_name_that_most_of_them_have():
    labels = ["anger", "angry", "ANG", "anger", "joy", "worried"]
    assert one_spelling(labels) == ["anger", "anger", "anger", "anger", "joy", "worried"]


def test_many_values_are_not_listed(known: VectorArchive):
    few = replace(known.model, classes=tuple("abcdefghijkl"))
    many = replace(known.model, classes=tuple("abcdefghijklm"))
    wanted = ClipFilter(emotions=("zz",))
    with known.database.read() as session:
        with pytest.raises(NotFoundError, match="there are a, b"):
            unknown_values(session, few, wanted)
        with pytest.raises(NotFoundError, match=r"^no clip has emotion zz$"):
            unknown_values(session, many, wanted)

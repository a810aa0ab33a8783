"""Which clips pass a filter: each condition and its edges, beside the same condition in Python."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import insert, update

from emotion_search.index.database.columns import Columns
from emotion_search.index.database.connection import Database
from emotion_search.index.database.filters import NOISE, ClipFilter, cluster_of
from emotion_search.index.database.matching import matching_ids
from emotion_search.index.database.recording_details import recordings_to_forget
from emotion_search.index.database.schema import Clip, Metadatum, Recording
from emotion_search.index.errors import InvalidInputError
from emotion_search.index.lifecycle.gallery import ClipGallery
from tests.index.worlds import START, VectorArchive

IDS = range(1, 25)
"""Clips; each two are of a recording."""


def recording(clip: int) -> int:
    return (clip - 1) // 2 + 1


@pytest.fixture
def archive(database: Database, tmp_path: Path) -> VectorArchive:
    """Clips whose source, speaker, language, channel and length follow from their ids."""
    made = VectorArchive(database, tmp_path / "index", 4)
    made.add(np.eye(4, dtype=np.float32)[np.array(IDS) % 4], clips_each=2)
    with made.database.write() as session:
        for i in sorted(set(map(recording, IDS))):
            values = {"source": "ab"[i % 2], "speaker": [None, "anna", "ben"][i % 3]}
            session.execute(update(Recording).where(Recording.id == i).values(values))
            pairs = [("language", "de" if i % 2 else "en"), ("note", "x" * 200 + str(i % 4))]
            session.execute(
                insert(Metadatum),
                [{"recording_id": i, "key": key, "value": value} for key, value in pairs],
            )
        for i in IDS:
            values = {"channel": i % 2, "channel_name": "agent" if i % 2 else None}
            values |= {"start": 0.1 * i, "end": 0.1 * i + i / 10}
            session.execute(update(Clip).where(Clip.id == i).values(values))
    return made


CASES: list[tuple[ClipFilter, Callable[[int], bool]]] = [
    (ClipFilter(), lambda i: True),
    (ClipFilter(sources=("a",)), lambda i: recording(i) % 2 == 0),
    (ClipFilter(sources=("a", "none such")), lambda i: recording(i) % 2 == 0),
    (ClipFilter(speakers=("anna",)), lambda i: recording(i) % 3 == 1),
    (ClipFilter(not_speaker="anna"), lambda i: recording(i) % 3 != 1),
    (ClipFilter(not_recordings=(1, 3)), lambda i: recording(i) not in (1, 3)),
    (ClipFilter(labels=("rare",)), lambda i: i % 10 == 0),
    (ClipFilter(labels=("rare",), task="other"), lambda i: False),
    (ClipFilter(after=START + timedelta(hours=3)), lambda i: recording(i) >= 3),
    (ClipFilter(before=START + timedelta(hours=3)), lambda i: recording(i) < 3),
    (ClipFilter(metadata={"language": "de"}), lambda i: recording(i) % 2 == 1),
    (
        ClipFilter(metadata={"language": "de", "note": "x" * 200 + "3"}),
        lambda i: recording(i) % 4 == 3,
    ),
    (ClipFilter(channels=("agent",)), lambda i: i % 2 == 1),
    (ClipFilter(channels=("0",)), lambda i: i % 2 == 0),
    (ClipFilter(channels=("0", "agent")), lambda i: True),
    (ClipFilter(channels=("00000",)), lambda i: False),
    (ClipFilter(emotions=("angry",)), lambda i: i % 2 == 1),
    (ClipFilter(min_score=0.07), lambda i: i >= 7),
    (ClipFilter(emotions=("calm",), min_score=0.07), lambda i: i >= 7 and i % 2 == 0),
    (ClipFilter(min_arousal=0.04), lambda i: i >= 7 and i % 2 == 1),
    (ClipFilter(max_arousal=0.04), lambda i: i < 7 or i % 2 == 0),
    (ClipFilter(min_valence=-0.034), lambda i: i < 7 or i % 2 == 0),
    (ClipFilter(max_valence=-0.034, emotions=("angry",)), lambda i: i >= 7 and i % 2 == 1),
    (ClipFilter(min_duration=0.7), lambda i: i >= 7),
    (ClipFilter(max_duration=0.7), lambda i: i <= 7),
    (ClipFilter(min_duration=0.7006), lambda i: i >= 8),
    (ClipFilter(max_duration=0.6994), lambda i: i <= 6),
    (
        ClipFilter(sources=("a",), labels=("common",), min_duration=1.0),
        lambda i: recording(i) % 2 == 0 and i % 10 != 0 and i >= 10,
    ),
]


def test_a_filter_passes_the_clips_that_meet_every_condition(archive: VectorArchive):
    with archive.database.read() as session:
        columns = Columns.read(session, archive.model, 0)
        assert columns["recording"].tolist() == [recording(i) for i in columns.ids]
        for wanted, meets in CASES:
            right = [i for i in IDS if meets(i)]
            assert matching_ids(session, wanted).tolist() == right, wanted
            assert columns.ids[columns.passing(session, wanted)].tolist() == right, wanted
            ids = recordings_to_forget(session, wanted)
            assert ids == sorted(set(map(recording, right))), wanted
            assert wanted.is_empty == (len(right) == len(IDS) and not wanted.channels)


def test_what_can_be_reached_counts_so_many_of_each_recording(archive: VectorArchive):
    with archive.searcher().keeper.snapshot() as (session, loaded, _):
        query = np.ones(loaded.index.dimension, np.float32)
        for wanted, without, per_recording, expected in [
            (ClipFilter(), (), 1, 12),
            (ClipFilter(), (), 2, 24),
            (ClipFilter(), (1, 2, 3), 1, 11),
            (ClipFilter(), (1, 2, 3), 2, 21),
            (ClipFilter(channels=("agent",)), (1,), 2, 11),
        ]:
            gallery = ClipGallery(session, loaded, query, wanted, without)
            assert gallery.reachable(per_recording) == expected
            assert gallery.count == len(gallery.ids())
            assert not set(without) & set(gallery.ids().tolist())


def test_a_filter_of_another_task_alone_is_empty():
    assert ClipFilter(task="mood").is_empty
    assert not ClipFilter(task="mood", labels=("low",)).is_empty


@pytest.mark.parametrize("field", ["sources", "labels", "speakers", "channels", "emotions"])
def test_a_filter_takes_a_hundred_values(field: str):
    ClipFilter(**{field: ("x",) * 100})
    with pytest.raises(InvalidInputError, match="more than 100 values"):
        ClipFilter(**{field: ("x",) * 101})


def test_a_filter_takes_ten_pairs_of_metadata():
    ClipFilter(metadata={str(i): "x" for i in range(10)})
    with pytest.raises(InvalidInputError, match="filter metadata has more than 20 values"):
        ClipFilter(metadata={str(i): "x" for i in range(11)})


@pytest.mark.parametrize("field", ["min_duration", "max_duration"])
def test_durations_of_a_filter_are_in_their_range(field: str):
    with pytest.raises(InvalidInputError, match=f"{field} is 0 to 1e\\+09, not nan"):
        ClipFilter(**{field: float("nan")})


@pytest.mark.parametrize(
    ("field", "least"), [("min_score", 0), ("min_arousal", -1), ("max_valence", -1)]
)
def test_scores_of_a_filter_are_in_their_range(field: str, least: int):
    for number in (least, 1):
        ClipFilter(**{field: number})
    for number in (least - 0.01, 73, float("nan")):
        with pytest.raises(InvalidInputError, match=f"{field} is {least} to 1, not"):
            ClipFilter(**{field: number})


@pytest.mark.parametrize("text", ["voices", ":3", "voices:", "voices:x", "3", "voices:1234567"])
def test_a_cluster_is_a_clustering_and_a_number(text):
    assert cluster_of("my:voices:123456") == ("my:voices", 123456)
    assert cluster_of("voices:noise") == ("voices", NOISE)
    with pytest.raises(InvalidInputError, match="name it as NAME:3, or NAME:noise"):
        cluster_of(text)


def test_a_probability_is_0_to_1():
    assert ClipFilter(min_probability=0).min_probability == 0
    assert ClipFilter(min_probability=1).min_probability == 1
    for wrong in (-0.001, 1.001):
        with pytest.raises(InvalidInputError, match="min_probability is 0 to 1"):
            ClipFilter(min_probability=wrong)

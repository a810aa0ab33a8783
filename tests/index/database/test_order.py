"""Clips in an order: by whose score, ties by id, unknown last, pages that fit together."""

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import select, update

from emotion_search.index.database.connection import Database
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.order import Order
from emotion_search.index.database.schema import Clip, Embedding, Recording
from emotion_search.index.errors import AbsentError, InvalidInputError
from emotion_search.index.search import SortedPage
from tests.index.worlds import START, VectorArchive

CALM = [0.1, 0.7, 0.7, 0.3, 0.7, 0.2]
"""Of clips 1 to 6, three of each recording; anger has the rest."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VectorArchive]:
    folder = tmp_path_factory.mktemp("order")
    database = Database(f"sqlite:///{folder / 'archive.db'}")
    database.create_or_require()
    made = VectorArchive(database, folder, 4)
    made.add(np.eye(6, 4, dtype=np.float32) + 1, clips_each=3)
    with database.write() as session:
        for clip, calm in enumerate(CALM, 1):
            scores = np.array([calm, 1 - calm], "<f4")
            values = {
                "scores": scores.tobytes(),
                "scores_crc32": None,
                "confidence": float(scores.max()),
            }
            session.execute(update(Embedding).where(Embedding.clip_id == clip).values(values))
            session.execute(update(Clip).where(Clip.id == clip).values(end=float(clip % 3 + 1)))
        session.execute(update(Recording).where(Recording.id == 1).values(recorded_at=None))
    yield made
    database.close()


def page(archive: VectorArchive, by: str, wanted: ClipFilter | None = None, **how) -> SortedPage:
    with archive.searcher().open() as snapshot:
        return snapshot.sorted(wanted or ClipFilter(), Order(by, **how))


def ids(found: SortedPage) -> list[int]:
    return [one.clip.id for one in found.clips]


def test_an_emotion_sorts_by_its_own_score_whichever_is_highest(archive: VectorArchive):
    found = page(archive, "calm")

    assert ids(found) == [2, 3, 5, 4, 6, 1]
    assert [one.key for one in found.clips] == pytest.approx(sorted(CALM, reverse=True))
    assert ids(page(archive, "Calmness")) == ids(found)
    assert page(archive, "calm", limit=6).next is None
    assert page(archive, "calm", limit=5).next is not None


def test_the_score_is_that_of_the_class_scored_highest(archive: VectorArchive):
    assert ids(page(archive, "score")) == [1, 6, 2, 3, 4, 5]


def test_affect_is_that_of_the_clip_whatever_its_emotion(archive: VectorArchive):
    with archive.database.read() as session:
        rows = session.execute(select(Embedding.clip_id, Embedding.arousal)).all()
    found = [(one.clip.id, one.key) for one in page(archive, "arousal").clips]
    assert found == sorted(map(tuple, rows), key=lambda row: (-row[1], row[0]))


def test_ascending_reverses_keys_but_neither_ties_nor_what_is_unknown(archive: VectorArchive):
    assert ids(page(archive, "calm", ascending=True)) == [1, 6, 4, 2, 3, 5]
    assert ids(page(archive, "duration", ascending=True)) == [3, 6, 1, 4, 2, 5]
    for ascending in (True, False):
        assert ids(page(archive, "recorded_at", ascending=ascending)) == [4, 5, 6, 1, 2, 3]


def test_times_are_told_as_microseconds_and_unknown_ones_as_not_a_number(archive: VectorArchive):
    found = page(archive, "recorded_at").clips

    at = START + timedelta(hours=2)
    assert found[0].key == at.timestamp() * 1e6
    assert math.isnan(found[-1].key)


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize("by", ["calm", "score", "duration", "recorded_at"])
def test_pages_are_the_whole_list(archive: VectorArchive, by: str, ascending: bool):
    with archive.searcher().open() as snapshot:
        whole = ids(snapshot.sorted(ClipFilter(), Order(by, ascending)))
        for limit in (1, 2, 4):
            found, after = [], None
            while found == [] or after is not None:
                one = snapshot.sorted(ClipFilter(), Order(by, ascending, limit, after))
                found += ids(one)
                after = one.next
            assert found == whole


def test_filters_and_the_most_of_a_recording_hold(archive: VectorArchive):
    assert ids(page(archive, "calm", ClipFilter(min_duration=2.5))) == [2, 5]
    assert ids(page(archive, "calm", per_recording=1)) == [2, 5]
    assert ids(page(archive, "calm", per_recording=2)) == [2, 3, 5, 4]
    assert ids(page(archive, "calm", per_recording=2, limit=3)) == [2, 3, 5]
    assert ids(page(archive, "recorded_at", per_recording=1, limit=2)) == [4, 1]  # 4-6 go first


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"by": "zorn"}, "cannot be sorted by zorn; choose one of score, .*, calm, angry"),
        ({"by": "calm", "after": "x"}, "x is no place in a list sorted so"),
        ({"limit": 0}, "limit must be at least 1, not 0"),
        ({"per_recording": 0}, "per_recording must be at least 1, not 0"),
    ],
)
def test_what_cannot_be_meant_is_refused(archive: VectorArchive, wrong: dict, message: str):
    with pytest.raises(InvalidInputError, match=message):
        page(archive, **{"by": "score", **wrong})


@pytest.mark.parametrize("other", [Order("score"), Order("calm", ascending=True)])
def test_a_place_in_another_order_is_none_in_this(archive: VectorArchive, other: Order):
    first = page(archive, "calm", limit=2)
    with archive.searcher().open() as snapshot:
        with pytest.raises(AbsentError, match="no place in a list sorted so"):
            snapshot.sorted(ClipFilter(), replace(other, after=first.next))
        assert snapshot.sorted(ClipFilter(), Order("Calmness", after=first.next)).clips


def test_a_clip_that_goes_between_pages_takes_no_other_with_it(archive: VectorArchive):
    with archive.searcher().open() as snapshot:
        first = snapshot.sorted(ClipFilter(), Order("calm", limit=2))
        snapshot._loaded.columns.remove(np.array([3]))
        rest = snapshot.sorted(ClipFilter(), Order("calm", after=first.next))

    assert ids(rest) == [5, 4, 6, 1]

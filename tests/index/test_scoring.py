"""Scores made anew: whatever happened, each is that of its embedding by the centre it has now."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from emotion_search.engine.quality.tune import recalibrate
from emotion_search.index.database.connection import Database
from emotion_search.index.database.models import active_model, revision_and_space
from emotion_search.index.database.recordings import Annotations, annotate
from emotion_search.index.database.schema import Embedding, Model
from emotion_search.index.database.scoring import (
    FEWEST,
    adapted_to,
    archive_mean,
    are_stale,
    centre_at,
    rescore,
    stop_adapting,
)
from emotion_search.index.vectors.arrays import normalise
from emotion_search.index.vectors.baselines import Place
from tests.conftest import examples
from tests.index.test_baselines import Grouped

CLASSES = ("angry", "calm")


def scorer(vectors, centre=None):
    """A head that says how far an embedding is from its centre."""
    moved = normalise(vectors) - (np.float32(0) if centre is None else centre)
    return moved[:, :2]


class Scored(Grouped):
    """Clips whose scores follow those who speak."""

    def __init__(self, database: Database, folder) -> None:
        super().__init__(database, folder)
        with database.write() as session:
            session.execute(update(Model).values(classes=list(CLASSES), score_version=1))
            self.model = active_model(session)

    def write(self, number: int) -> None:
        """As an ingest writes: scores are made in the transaction of the clips."""
        with self.database.read() as session:
            before = revision_and_space(session, self.model.id)[0]
        self.speak(number)
        with self.database.write() as session:
            rescore(session, self.model, scorer, since=before)

    def rescore(self) -> int:
        with self.database.write() as session:
            return rescore(session, self.model, scorer)

    def check(self, clips=None) -> None:
        """The scores of clips, of all if none are named, are those by their centres."""
        with self.database.read() as session:
            mean = archive_mean(session, self.model)
            rows = session.execute(
                select(Embedding.clip_id, Embedding.scores, Embedding.emotion, Embedding.confidence)
            ).all()
        assert {row[0] for row in rows} == set(self.truth)
        for clip, scores, emotion, confidence in rows:
            if clips is not None and clip not in clips:
                continue
            recording, vector = self.truth[clip]
            centre = mean
            if self.version:
                centre = self.fitted[self.version].centre(self.places[recording])
            expected = scorer(vector[None].astype(np.float32), centre)[0]
            assert np.frombuffer(scores, "<f4") == pytest.approx(expected, abs=1e-6)
            assert emotion == CLASSES[int(expected.argmax())]
            assert confidence == pytest.approx(expected.max(), abs=1e-6)


@pytest.fixture
def world(database: Database, tmp_path) -> Scored:
    return Scored(database, tmp_path / "index")


@examples(8, 25)
def test_after_any_history_scores_are_those_by_the_centres_that_count(world: Scored, count: int):
    @given(
        steps=st.lists(st.tuples(st.sampled_from("aawwtvcrkp"), st.integers(0, 29)), max_size=20)
    )
    @settings(max_examples=count, deadline=None)
    def holds(steps) -> None:
        for step, number in steps:
            recordings = sorted(world.places)
            before = set(world.truth)
            if step == "a":  # by somebody who has no model, as an import
                world.speak(number)
            elif step == "w":
                world.write(number)
                world.check(set(world.truth) - before)  # at once, whatever is stale
            elif step == "t":
                world.tune()
            elif step == "v":
                world.restore(number)
            elif step == "c" and recordings:
                world.correct(recordings[number % len(recordings)], number)
            elif step == "r" and recordings:
                world.leave(recordings[number % len(recordings)])
            elif step == "k":
                recalibrate(world.database, world.model)
            elif step == "p":
                world.rescore()
                world.check()
        world.rescore()
        world.check()

    holds()


def test_the_mean_counts_from_twenty_clips_on_and_follows_an_archive_that_changes(world: Scored):
    def means() -> list:
        recalibrate(world.database, world.model)
        with world.database.read() as session:
            facts = (archive_mean, are_stale, adapted_to)
            return [fact(session, world.model) for fact in facts]

    for _ in range(FEWEST - 1):
        world.speak(0)
    world.rescore()
    assert means() == [None, False, None]
    world.speak(0)
    first, *rest = means()
    assert rest == [True, "mean"]
    unit = normalise(np.stack([v for _, v in world.truth.values()]).astype(np.float32))
    np.testing.assert_allclose(first, unit.mean(axis=0), atol=1e-6)
    world.rescore()
    world.speak(7)  # two clips more are a tenth, no more
    assert np.array_equal(means()[0], first)
    world.speak(6)
    assert not np.array_equal(means()[0], first)
    for recording in list(world.places)[5:]:
        world.leave(recording)
    assert means()[::2] == [None, None]
    world.rescore()
    world.check()


def test_a_mean_that_does_not_count_makes_nothing_anew(world: Scored):
    for number in range(18):
        world.speak(number)
    world.tune()
    world.rescore()
    recalibrate(world.database, world.model)  # takes a mean, but baselines serve
    assert world.rescore() == 0
    world.restore(0)
    assert world.rescore() == len(world.truth)
    world.check()


def test_another_task_or_a_name_makes_nothing_anew_but_another_speaker_its_own_clips(world: Scored):
    for number in range(18):
        world.speak(number)
    world.tune()
    world.rescore()
    clip = min(world.truth)
    recording = world.truth[clip][0]
    with world.database.write() as session:
        annotate(session, {recording: Annotations(name="other.wav", speaker="ann")})
    assert world.rescore() == 0
    world.correct(recording, 1)
    assert world.rescore() == sum(r == recording for r, _ in world.truth.values())
    world.check()


def test_what_a_killed_pass_left_the_next_one_does(world: Scored, monkeypatch):
    monkeypatch.setattr("emotion_search.index.database.scoring.BATCH", 7)
    for number in range(12):
        world.speak(number)
    world.tune()
    assert world.rescore() == 7
    with pytest.raises(RuntimeError), world.database.write() as session:  # killed before its commit
        rescore(session, world.model, scorer)
        raise RuntimeError
    left = len(world.truth) - 7
    while left:
        some = world.rescore()
        assert some == min(7, left)
        left -= some
    assert world.rescore() == 0
    world.check()


def test_a_model_that_does_not_adapt_is_asked_once(world: Scored):
    for number in range(18):
        world.speak(number)
    world.tune()
    with world.database.write() as session:
        stop_adapting(session, world.model)
        assert not are_stale(session, world.model)


def test_a_file_from_outside_has_the_mean_or_the_baseline_of_whom_it_names(world: Scored):
    for number in range(18):
        world.speak(number)
    some = np.ones((1, world.model.dimension), np.float32)

    def centre(place: Place):
        with world.database.read() as session:
            return centre_at(session, world.model, place, some)

    assert centre(Place("x", "ann")) is None
    recalibrate(world.database, world.model)
    unit = normalise(np.stack([v for _, v in world.truth.values()]).astype(np.float32))
    np.testing.assert_allclose(centre(Place("x", "ann")), unit.mean(axis=0), atol=1e-6)
    world.tune()
    expected = world.fitted[1].centre(Place("x", "ann"))
    np.testing.assert_allclose(centre(Place("x", "ann")), expected, atol=1e-6)

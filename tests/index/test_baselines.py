"""Search in a space of baselines: whoever speaks, corrected and forgotten, on both databases."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from emotion_search.index.database.baselines import fit, located, places_of
from emotion_search.index.database.connection import Database
from emotion_search.index.database.embeddings import stream
from emotion_search.index.database.recordings import Annotations, annotate
from emotion_search.index.database.schema import BaselineRow
from emotion_search.index.database.spaces import active_space, add_space, use_space
from emotion_search.index.errors import InvalidInputError
from emotion_search.index.search import Example, Target
from emotion_search.index.vectors.arrays import normalise
from emotion_search.index.vectors.baselines import Baselines, Group, Place, fit_baselines
from emotion_search.index.vectors.space import Method, Space
from emotion_search.index.vectors.topk import Wish
from tests.conftest import examples
from tests.index.test_search import DIM, World

NAMES = ("ann", "bob", None)


class Grouped(World):
    """A world whose clips have speakers, and the baselines that should serve."""

    def __init__(self, *given) -> None:
        super().__init__(*given)
        self.places: dict[int, Place] = {}  # by recording
        self.fitted: dict[int, Baselines] = {}
        self.version = 0

    def speak(self, number: int) -> None:
        speaker, source = NAMES[number % 3], "xy"[number % 2]
        recording = self.add(number, clips=1 + number % 6, speaker=speaker, source=source)
        self.places[recording] = Place(source, speaker, recording)

    def tune(self) -> None:
        with self.database.write() as session:
            fitted = fit(session, self.model)
            if fitted is not None:
                self.version = add_space(
                    session,
                    self.model,
                    Space(Method.BASELINE, fitted.mean),
                    task=None,
                    clips=fitted.clips,
                    gain=None,
                    baselines=fitted,
                )
                self.fitted[self.version] = fitted

    def restore(self, number: int) -> None:
        self.version = number % (len(self.fitted) + 1)
        with self.database.write() as session:
            use_space(session, self.model, self.version)

    def correct(self, recording: int, number: int) -> None:
        speaker = NAMES[number % 2]
        with self.database.write() as session:
            annotate(session, {recording: Annotations(speaker=speaker)})
        self.places[recording] = self.places[recording]._replace(speaker=speaker)

    def leave(self, recording: int) -> None:
        """With any recording goes the baseline of whoever is in none, in every version."""
        self.remove(recording)
        del self.places[recording]
        left = {(one.source, one.speaker) for one in self.places.values()}
        for version, fitted in self.fitted.items():
            groups = {
                key: one
                for key, one in fitted.groups.items()
                if one.place.recording in {None, *self.places}
                and (one.place.speaker is None or (one.place.source, one.place.speaker) in left)
            }
            self.fitted[version] = replace(fitted, groups=groups)

    def turned(self, vector: np.ndarray, place: Place) -> np.ndarray:
        unit = vector / np.linalg.norm(vector)
        if self.version:
            unit = unit - self.fitted[self.version].centre(place)
        if np.linalg.norm(unit) < 1e-6:  # the centre itself has no direction
            return np.eye(DIM)[0]
        return unit / np.linalg.norm(unit)

    def best(self, clip: int, k: int) -> list[float]:
        """The similarities of the k best to a clip, by brute force."""
        all_turned = {c: self.turned(v, self.places[r]) for c, (r, v) in self.truth.items()}
        query = all_turned.pop(clip)
        return sorted((float(v @ query) for v in all_turned.values()), reverse=True)[:k]

    def found_like(self, clip: int, k: int, which: int) -> list[float]:
        target = Target([Example(clips=np.array([clip]))], Wish(k), without=[clip])
        return [hit.similarity for hit in self.searchers[which].search(target)]


@pytest.fixture
def world(database: Database, tmp_path) -> Grouped:
    return Grouped(database, tmp_path / "index")


@examples(8, 20)
def test_any_history_leaves_search_equal_to_brute_force(world: Grouped, count: int):
    @given(steps=st.lists(st.tuples(st.sampled_from("aaactvrsn"), st.integers(0, 29)), max_size=14))
    @settings(max_examples=count, deadline=None)
    def holds(steps) -> None:
        for step, number in steps:
            recordings = sorted(world.places)
            if step == "a":
                world.speak(number)
            elif step == "t":
                world.tune()
            elif step == "v":
                world.restore(number)
            elif step == "c" and recordings:
                world.correct(recordings[number % len(recordings)], number)
            elif step == "r" and recordings:
                world.leave(recordings[number % len(recordings)])
            elif step == "s":
                world.searchers[number % 2].keeper.save()
            elif step == "n":
                world.searchers[number % 2] = world.searcher()
            if world.truth:
                clip = sorted(world.truth)[number % len(world.truth)]
                found = world.found_like(clip, 7, number % 2)
                assert found == pytest.approx(world.best(clip, 7), abs=2e-6)

    holds()


def test_another_speaker_is_another_baseline_at_once(world: Grouped):
    for number in (5, 11, 4, 10, 16):  # five of bob's in x and more
        world.speak(number)
    world.tune()
    clip = min(world.truth)
    before = [world.found_like(clip, 5, which) for which in (0, 1)]
    world.correct(world.truth[clip][0], 0)
    for which in (0, 1):
        found = world.found_like(clip, 5, which)
        assert found == pytest.approx(world.best(clip, 5), abs=2e-6)
        assert found != pytest.approx(before[which], abs=1e-4)


def test_a_speaker_corrected_back_is_as_before(world: Grouped):
    for number in (4, 5, 11):  # of bob five clips
        world.speak(number)
    world.tune()
    clip = min(world.truth)
    before = world.found_like(clip, 5, 0)
    recording = world.truth[clip][0]
    world.correct(recording, 0)
    world.correct(recording, 1)
    assert world.found_like(clip, 5, 0) == before


def test_names_that_the_archive_has_not_are_refused_and_others_found(world: Grouped):
    for number in range(6):
        world.speak(number)
    with world.database.read() as session:
        assert located(session, Place("x", "ann")) == Place("x", "ann")
        assert located(session, Place("x")) == Place("x")
        assert located(session, Place(None, "ann")) == Place(None, "ann")  # of two sources
        for place in (Place(None, "nobody"), Place(None, ""), Place("z"), Place("z", "ann")):
            with pytest.raises(InvalidInputError, match="the archive has no recording of"):
                located(session, place)
    for recording, place in list(world.places.items()):
        if place[:2] == ("y", "ann"):
            world.leave(recording)
    with world.database.read() as session:
        assert located(session, Place(None, "ann")) == Place("x", "ann")


def test_what_a_forgotten_speaker_was_like_is_nowhere_kept(world: Grouped):
    for number in (5, 11, 4, 10):
        world.speak(number)
    world.tune()
    world.tune()

    def kept() -> set[str | None]:
        with world.database.read() as session:
            return set(session.scalars(select(BaselineRow.speaker)))

    assert "bob" in kept()
    for recording, place in list(world.places.items()):
        if place.speaker == "bob":
            world.leave(recording)
    assert "bob" not in kept()


def test_an_example_from_outside_takes_the_baseline_that_it_names_or_seems_to_have(world: Grouped):
    for number in range(18):
        world.speak(number)
    world.tune()
    with world.database.read() as session:
        space = active_space(session, world.model)
        fitted = world.fitted[world.version]
        seen: list[Group] = []
        some = normalise(np.stack([v for _, v in world.truth.values()]).astype(np.float32))

        def centre(place: Place, rows=1):
            found, group = space.centre_at(session, place, some[:rows])
            seen.append(group)
            return found

        known = Place("x", "ann")
        assert centre(known) == pytest.approx(fitted.centre(known))
        parent = fitted.centre(Place("y"))
        assert centre(Place("y", "nobody")) == pytest.approx(parent)
        assert centre(Place("y"), 4) == pytest.approx(parent)
        own = (some[:5].sum(axis=0) + 10 * parent) / 15
        assert centre(Place("y"), 5) == pytest.approx(own, abs=1e-6)
        sources = [fitted.centre(Place(name)) for name in "xy"]
        near = sources[int(np.linalg.norm(np.array(sources) - some[0], axis=1).argmin())]
        assert centre(Place()) == pytest.approx(near)
        nearest = "xy"[int(np.linalg.norm(np.array(sources) - some[0], axis=1).argmin())]
        assert seen == [
            Group("source", "x"),  # of ann in x there are three clips
            Group("source", "y"),
            Group("source", "y"),
            Group("recording", "y"),
            Group("nearest source", nearest),
        ]


def test_a_speaker_of_several_sources_gives_the_nearest_baseline_of_theirs(world: Grouped):
    for number in range(18):
        world.speak(number)
    world.tune()
    fitted = world.fitted[world.version]
    with world.database.read() as session:
        space = active_space(session, world.model)
        for clip in (1, 20):
            row = normalise(world.truth[clip][1][None].astype(np.float32))
            of_bob = {source: fitted.centre(Place(source, "bob")) for source in "xy"}
            near = min(of_bob, key=lambda source: float(np.linalg.norm(of_bob[source] - row[0])))
            found, group = space.centre_at(session, Place(None, "bob"), row)
            assert found == pytest.approx(of_bob[near])
            assert group == Group("speaker", near, "bob")


def test_a_speaker_of_no_source_and_of_another_gives_the_nearest_baseline(world: Grouped):
    for number in range(12):
        world.add(number, clips=3, speaker="bob", source=(None, "x")[number % 2])
        world.add(number + 20, clips=3, speaker="ann", source="x")
    world.tune()
    fitted = world.fitted[world.version]
    taken = set()
    with world.database.read() as session:
        space = active_space(session, world.model)
        for clip in list(world.truth)[:20]:
            row = normalise(world.truth[clip][1][None].astype(np.float32))
            of_bob = {source: fitted.centre(Place(source, "bob")) for source in (None, "x")}
            near = min(of_bob, key=lambda source: float(np.linalg.norm(of_bob[source] - row[0])))
            _, group = space.centre_at(session, Place(None, "bob"), row)
            assert group == Group("speaker", near, "bob")
            taken.add(near)
    assert taken == {None, "x"}


def test_the_answer_names_the_closest_group_that_has_a_baseline(world: Grouped):
    for number in range(18):
        world.speak(number)
    clip = {
        number: min(c for c, (r, _) in world.truth.items() if r == number + 1)
        for number in range(6)
    }

    def groups(*clips: int) -> tuple[Group, ...]:
        examples = [Example(clips=np.array([one])) for one in clips]
        with world.searchers[0].open() as snapshot:
            (hit,) = snapshot.search(Target(examples, Wish(1), without=clips))
        return hit.baselines

    assert groups(clip[0]) == ()
    world.tune()
    assert groups(clip[0]) == (Group("source", "x"),)  # of ann in x there are three clips
    assert groups(clip[2]) == (Group("source", "x"),)  # three clips of the recording
    assert groups(clip[3]) == (Group("speaker", "y", "ann"),)
    assert groups(clip[5]) == (Group("recording", "y", None, 6),)
    assert groups(clip[3], clip[0], clip[2]) == (Group("speaker", "y", "ann"), Group("source", "x"))


def test_baselines_from_the_database_are_those_of_all_its_clips(world: Grouped):
    for number in range(6):
        world.speak(number)
    with world.database.read() as session:
        fitted = fit(session, world.model)
        (ids, vectors), *_ = stream(session, world.model)
        places = places_of(session, ids)
        assert [place.recording for place in places] == [world.truth[i][0] for i in ids.tolist()]
        assert places_of(session, np.array([10**6, ids[0]])) == [Place(), places[0]]
    again = fit_baselines([(places, vectors)])
    assert fitted.groups.keys() == again.groups.keys()
    for key, one in fitted.groups.items():
        np.testing.assert_allclose(one.mean, again.groups[key].mean, atol=1e-6)

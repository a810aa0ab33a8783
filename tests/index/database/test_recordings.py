"""Recordings as they are written: which annotation goes before which, what indexes read anew."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy import delete, select

from emotion_search.index.database.connection import Database
from emotion_search.index.database.files import (
    FileFacts,
    add_failure,
    add_locations,
    find_by_sha256,
    hashes_at,
    ids_of_hashes,
    list_failures,
    recording_at,
)
from emotion_search.index.database.models import ModelInfo, activate_model
from emotion_search.index.database.recordings import (
    Annotations,
    NewClip,
    NewRecording,
    add_recordings,
    add_spans,
    annotate,
    remove_recording,
    replace_content,
)
from emotion_search.index.database.schema import Clip, Label, Recording
from emotion_search.index.database.spaces import standing
from emotion_search.index.database.spans import Side, Span
from emotion_search.index.errors import NotFoundError

MOMENT = datetime(2026, 1, 2, tzinfo=UTC)
EMPTY = np.empty(0, np.float32)


@pytest.fixture
def model(sqlite: Database) -> ModelInfo:
    with sqlite.write() as session:
        return activate_model(session, name="m", fingerprint="f" * 64, dimension=2, classes=())


def clip(start: float, channel: int | None = None) -> NewClip:
    return NewClip(channel, start, start + 1, np.ones(2, np.float32), EMPTY)


def call(number: int, about: Annotations | None = None, *clips: NewClip) -> NewRecording:
    """A recording at ``/calls/NUMBER.wav`` of two channels, each of a second in two clips."""
    return NewRecording(
        FileFacts(f"/calls/{number}.wav", 10, number),
        f"{number}.wav",
        f"{number:064x}",
        duration=2.0,
        sample_rate=8000,
        channels=2,
        annotations=about or Annotations(),
        clips=clips or [clip(start, channel) for channel in (0, 1) for start in (0.0, 1.0)],
    )


def labels(session) -> dict[int, str]:
    return dict(map(tuple, session.execute(select(Label.clip_id, Label.value))))


def speakers(session) -> tuple[str | None, list[str | None]]:
    """Of the recording, and of its clips where these have their own."""
    return session.scalar(select(Recording.speaker)), list(
        session.scalars(select(Clip.speaker).order_by(Clip.id))
    )


def test_annotations_go_before_their_defaults_one_by_one():
    given = Annotations(name="a", speaker="ann", labels={"x": "1"}, sides={0: Side("s")})
    others = Annotations(
        "b", "desk", "bob", MOMENT, {"x": "2", "y": "3"}, {"k": "v"}, {1: Side("t")}, (Span(0, 1),)
    )
    assert given.over(others) == Annotations(
        name="a",
        source="desk",
        speaker="ann",
        recorded_at=MOMENT,
        labels={"x": "1", "y": "3"},
        metadata={"k": "v"},
        sides={0: Side("s"), 1: Side("t")},
        spans=(Span(0, 1),),
    )
    assert others.over(given).source == others.source
    assert others.over(given).spans == others.spans


def test_a_label_of_all_clips_goes_before_a_clips_own_and_that_of_its_channel_before_both(
    sqlite: Database, model: ModelInfo
):
    spans = (Span(0.0, 1.0, 0, {"emotion": "own"}), Span(5.0, 6.0, 0, {"emotion": "nowhere"}))
    sides = {1: Side(labels={"emotion": "side"})}
    with sqlite.write() as session:
        for number, (about, expected) in enumerate(
            [
                (Annotations(spans=spans), {0: "own"}),
                (Annotations(spans=spans, sides=sides), {0: "own", 2: "side", 3: "side"}),
                (
                    Annotations(spans=spans, sides=sides, labels={"emotion": "all"}),
                    {0: "all", 1: "all", 2: "side", 3: "side"},
                ),
            ]
        ):
            ((recording, _),) = add_recordings(session, model.id, [call(number, about)])
            of_it = select(Clip.id).where(Clip.recording_id == recording).order_by(Clip.id)
            places = {clip: at for at, clip in enumerate(session.scalars(of_it))}
            found = {places[c]: v for c, v in labels(session).items() if c in places}
            assert found == expected
            session.execute(delete(Label))
            annotate(session, {recording: about})  # again, of what is known
            assert {places[c]: v for c, v in labels(session).items()} == expected
            session.execute(delete(Label))


def test_who_speaks_is_of_the_recording_or_of_its_clips(sqlite: Database, model: ModelInfo):
    both = {0: Side("ann"), 1: Side("bob")}
    for about, expected in [
        (Annotations(speaker="ann"), ("ann", [None] * 4)),
        (Annotations(sides=both), (None, ["ann", "ann", "bob", "bob"])),
        (Annotations(sides={0: Side("ann"), 1: Side("ann")}), ("ann", [None] * 4)),
        (
            Annotations(speaker="ann", spans=(Span(0.0, 1.0, 1, {}, "bob"),)),
            (None, ["ann", "ann", "bob", "ann"]),
        ),
    ]:
        with sqlite.write() as session:
            ((recording, _),) = add_recordings(session, model.id, [call(1, about)])
            assert speakers(session) == expected
            annotate(session, {recording: Annotations(speaker="carl")})
            assert speakers(session) == ("carl", [None] * 4)
            annotate(session, {recording: about})
            assert speakers(session) == expected
            remove_recording(session, recording)


@pytest.mark.parametrize(
    ("about", "embeddings", "changes"),
    [
        (Annotations(), 0, 0),
        (Annotations(name="1.wav", source="desk", speaker="ann", recorded_at=MOMENT), 0, 0),
        (Annotations(metadata={"k": "w"}), 0, 0),
        (Annotations(name="other"), 0, 1),
        (Annotations(recorded_at=MOMENT.replace(year=2025)), 0, 1),
        (Annotations(labels={"emotion": "joy"}), 0, 1),
        (Annotations(sides={0: Side(labels={"emotion": "joy"})}), 0, 1),
        (Annotations(spans=(Span(0.0, 1.0, 0, {"emotion": "joy"}),)), 0, 1),
        (Annotations(source="street"), 1, 1),
        (Annotations(speaker="bob"), 1, None),
        (Annotations(sides={0: Side("bob"), 1: Side("ann")}), 1, None),
        (Annotations(spans=(Span(0.0, 1.0, 0, {}, "bob"),)), 1, None),
    ],
)
def test_what_is_annotated_is_read_anew_where_it_changes_something(
    sqlite: Database, model: ModelInfo, about: Annotations, embeddings: int, changes: int | None
):
    first = Annotations(source="desk", speaker="ann", recorded_at=MOMENT, metadata={"k": "v"})
    with sqlite.write() as session:
        ((recording, _),) = add_recordings(session, model.id, [call(1, first)])
        before = standing(session, model)
        annotate(session, {recording: about})
        after = standing(session, model)
    assert after.revision - before.revision == embeddings
    assert changes is None or after.changes - before.changes == changes


def test_what_comes_in_the_same_transaction_needs_not_be_read_anew(
    sqlite: Database, model: ModelInfo
):
    with sqlite.write() as session:
        ((recording, _),) = add_recordings(session, model.id, [call(1)])
        before = standing(session, model)
        about = Annotations(source="street", speaker="bob", labels={"emotion": "joy"})
        annotate(session, {recording: about}, fresh={recording})
        assert standing(session, model) == before
        assert len(labels(session)) == 4


def test_known_bytes_get_what_is_new_of_them_and_no_clips_but_their_first(
    sqlite: Database, model: ModelInfo
):
    one, two, three = (call(number) for number in (1, 2, 3))
    with sqlite.write() as session:
        assert add_recordings(session, model.id, [one, two]) == [(1, True), (2, True)]
        session.execute(delete(Clip).where(Clip.recording_id == 2))
        named = replace(one, annotations=Annotations(source="desk"), file=None)
        assert add_recordings(session, model.id, [three, named, two]) == [
            (3, True),
            (1, False),
            (2, True),
        ]
        owners = session.scalars(select(Clip.recording_id).order_by(Clip.id)).all()
        assert [owners.count(number) for number in (1, 2, 3)] == [4, 4, 4]
        sources = session.scalars(select(Recording.source).order_by(Recording.id)).all()
        assert sources == ["desk", None, None]


def test_spans_that_a_recording_has_not_yet_are_added_to_it(sqlite: Database, model: ModelInfo):
    more = [clip(0.0, 0), clip(0.5, 0), clip(0.0), clip(1.0, 1)]
    with sqlite.write() as session:
        add_recordings(session, model.id, [call(1), call(2, None, clip(0.5, 0))])
        assert add_spans(session, model.id, [(2, more), (1, more)]) == [3, 2]
        assert add_spans(session, model.id, [(1, more), (2, [])]) == [0, 0]
        owners = session.scalars(select(Clip.recording_id)).all()
        assert [owners.count(1), owners.count(2)] == [6, 4]


def test_a_recording_of_other_bytes_keeps_its_clips_and_annotations(
    sqlite: Database, model: ModelInfo
):
    with sqlite.write() as session:
        add_recordings(session, model.id, [call(1, Annotations(source="desk")), call(2)])
        grown = replace(call(3), duration=5.0, sample_rate=16_000, channels=1)
        replace_content(session, 1, grown)
        rows = session.scalars(select(Recording).order_by(Recording.id)).all()
        assert [(one.sha256, one.source, one.duration) for one in rows] == [
            (grown.sha256, "desk", 5.0),
            (call(2).sha256, None, 2.0),
        ]
        assert (rows[0].sample_rate, rows[0].channels) == (16_000, 1)
        assert len(session.scalars(select(Clip.id)).all()) == 8


def test_recordings_are_found_by_their_bytes_and_by_where_these_were(
    sqlite: Database, model: ModelInfo
):
    one, two = call(1), call(2)
    with sqlite.write() as session:
        add_recordings(session, model.id, [one, two])
        add_failure(session, "/calls/2.wav", "not read")
        add_failure(session, "/calls/3.wav", "not read")
        moved = [FileFacts(f"/calls/{number}.wav", 10, 7) for number in (2, 4)]
        add_locations(session, [(1, file) for file in moved])
        assert [recording_at(session, f"/calls/{n}.wav") for n in (1, 2, 3, 4)] == [1, 1, None, 1]
        paths = ["/calls/4.wav", "/calls/3.wav"]
        assert hashes_at(session, paths) == {"/calls/4.wav": one.sha256}
        assert ids_of_hashes(session, [two.sha256, "x"]) == {two.sha256: 2}
        assert find_by_sha256(session, one.sha256) == 1
        assert find_by_sha256(session, "x") is None
        assert [failure.path for failure in list_failures(session)] == ["/calls/3.wav"]
        assert remove_recording(session, 1) == [f"/calls/{number}.wav" for number in (1, 2, 4)]
        assert find_by_sha256(session, one.sha256) is None
        with pytest.raises(NotFoundError, match="no recording 1 in this archive"):
            remove_recording(session, 1)

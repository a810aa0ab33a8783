"""Several examples become one query."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emotion_search.engine.audio.file import decode
from emotion_search.engine.library.library import Library
from emotion_search.engine.query import examples
from emotion_search.engine.query.examples import (
    ClipExample,
    FileExample,
    SpanExample,
    VectorExample,
    resolved,
)
from emotion_search.engine.query.query import Query, answer
from emotion_search.index.database.clips import vectors_of
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.recordings import Annotations, annotate
from emotion_search.index.errors import AudioError, InvalidInputError, NotFoundError
from emotion_search.index.vectors.arrays import normalise
from emotion_search.index.vectors.baselines import Place
from emotion_search.index.vectors.rocchio import rocchio
from tests.archives import blobs, fill
from tests.conftest import tone, write_wav


def search(library: Library, query: Query, **others):
    """The hits of a query."""
    return answer(library, query, **others).hits


def found(library: Library, *positive, negative=(), **options) -> list[int]:
    chosen = {"limit": 100, "per_recording": None, **options}
    return [hit.clip.id for hit in answer(library, Query(positive, negative, **chosen)).hits]


def embedding(library: Library, clip: int) -> np.ndarray:
    with library.database.read() as session:
        return vectors_of(session, library.model(), [clip])[0]


def test_a_clip_alone_is_the_search_by_clip(filled: Library):
    by_library = [hit.clip.id for hit in filled.search(3, limit=100)]
    assert found(filled, ClipExample(3)) == by_library
    assert found(filled, VectorExample(tuple(map(float, embedding(filled, 3))))) == [3, *by_library]


def test_a_clip_has_any_id_that_a_database_has():
    class Everything:
        """A snapshot in which there is every clip."""

        def place_of(self, clips: np.ndarray) -> Place:
            return Place("desk", "ann", 7)

    for clip in (1, 2**63 - 1):
        found = resolved(Everything(), ClipExample(clip))
        assert found.example.clips.tolist() == [clip]
        assert (found.recording, found.speaker, found.source) == (7, "ann", "desk")
    for clip in (0, -1, 2**63):
        with pytest.raises(NotFoundError, match=f"no clip {clip} in this archive"):
            resolved(Everything(), ClipExample(clip))


def test_a_vector_counts_by_its_direction_alone(filled: Library):
    assert found(filled, VectorExample((1e308,) * 256)) == found(
        filled, VectorExample((1e-308,) * 256)
    )


def test_no_example_is_a_hit(filled: Library):
    hits = found(filled, ClipExample(1), ClipExample(2), negative=[ClipExample(3)])
    assert sorted(hits) == list(range(4, 13))


def test_a_negative_example_turns_the_query_away(filled: Library):
    query = rocchio(
        [normalise(embedding(filled, 1))],
        [normalise(normalise(embedding(filled, 5)) + normalise(embedding(filled, 9)))],
    )
    turned = found(filled, ClipExample(1), negative=[ClipExample(5), ClipExample(9)])
    by_vector = found(filled, VectorExample(tuple(map(float, query))))
    assert turned == [clip for clip in by_vector if clip not in (1, 5, 9)]
    assert turned != [clip for clip in found(filled, ClipExample(1)) if clip not in (5, 9)]


def test_a_span_is_the_weighted_mean_of_its_clips(
    fixed_windows, sqlite_settings, tmp_path, monkeypatch
):
    path = tmp_path / "long.wav"
    rng = np.random.default_rng(0)
    swell = np.sin(np.arange(16_000 * 40) / 3000) ** 2  # noise of one level is no clip
    write_wav(path, (swell * rng.uniform(-0.5, 0.5, 16_000 * 40)).astype(np.float32))
    settings = sqlite_settings.model_copy(update={"segments": "fixed"})
    with Library.open(settings, create=True) as library:
        from emotion_search.engine.files.scan import find_audio

        library.ingest(find_audio([str(path)]).files)
        one, two, three = (normalise(embedding(library, clip)) for clip in (1, 2, 3))
        vectors = []
        monkeypatch.setattr(
            "emotion_search.index.search.Snapshot.search",
            lambda self, target: (
                vectors.append((self._direction(target.positive[0])[0], target.without)) or []
            ),
        )
        search(library, Query([SpanExample(1, 12.0, 16.0)]))
        search(library, Query([SpanExample(1, 15.0, 30.0)]))
        search(library, Query([SpanExample(1)]))
        (weighted, own), (exact, its_own), (whole, all_own) = vectors
        assert weighted == pytest.approx(normalise((3 * one + 1 * two) / 4), abs=1e-6)
        assert (own, its_own, all_own) == ({1, 2}, {2}, {1, 2, 3})
        assert exact == pytest.approx(two, abs=1e-6)
        assert whole == pytest.approx(normalise((15 * one + 15 * two + 10 * three) / 40), abs=1e-6)
        with pytest.raises(InvalidInputError, match="no clip between"):
            search(library, Query([SpanExample(1, 50.0, 60.0)]))


def test_per_recording_leaves_exactly_the_best_of_each(fixed_windows, sqlite_settings, tmp_path):
    settings = sqlite_settings.model_copy(update={"segments": "fixed", "window": 1.0})
    for i in range(6):
        write_wav(tmp_path / "in" / f"{i}.wav", tone(5.0, 150 + 20 * i) + np.float32(0.001 * i))
    with Library.open(settings, create=True) as library:
        from emotion_search.engine.files.scan import find_audio

        library.ingest(find_audio([str(tmp_path / "in")]).files)
        everything = search(library, Query([ClipExample(1)], limit=1000, per_recording=None))
        first: dict[int, int] = {}
        for hit in everything:
            first.setdefault(hit.clip.recording_id, hit.clip.id)
        query = Query([ClipExample(1)], limit=5, per_recording=1)
        assert [hit.clip.id for hit in search(library, query)] == list(first.values())[:5]
        assert search(library, Query([ClipExample(1)], limit=5)) == search(library, query)
        two = search(library, replace(query, per_recording=2, limit=100))
        assert len(two) == 12


NONSENSE = [
    (Query([]), InvalidInputError, "positive example"),
    (Query([ClipExample(1)], limit=0), InvalidInputError, "limit must be 1 to 1000, not 0"),
    (Query([ClipExample(1)], limit=1001), InvalidInputError, "limit must be 1 to 1000, not 1001"),
    (Query([ClipExample(1)], distinct=1.01), InvalidInputError, "from -1 to 1, not 1.01"),
    (Query([ClipExample(1)], distinct=-1.01), InvalidInputError, "from -1 to 1, not -1.01"),
    (Query([ClipExample(1)] * 60, [ClipExample(2)] * 41), InvalidInputError, "100 examples"),
    (Query([ClipExample(1)], speaker="voice0"), InvalidInputError, "say whose files are"),
    (Query([ClipExample(1)], source="studio"), InvalidInputError, "say whose files are"),
    (Query([ClipExample(1)], per_recording=0), InvalidInputError, "per_recording"),
    (Query([ClipExample(99)]), NotFoundError, "no clip 99"),
    (Query([ClipExample(2**70)]), NotFoundError, "no clip"),
    (Query([SpanExample(99)]), NotFoundError, "no recording 99"),
    (Query([SpanExample(2**63)]), NotFoundError, "no recording"),
    (Query([SpanExample(1, 2.0, 1.0)]), InvalidInputError, "no span"),
    (Query([SpanExample(1, 1.0, 1.0)]), InvalidInputError, "1 to 1 s is no span"),
    (Query([SpanExample(1, -0.5, 1.0)]), InvalidInputError, "-0.5 to 1 s is no span"),
    (Query([SpanExample(1, channel=5)]), InvalidInputError, "no clip of channel"),
    (Query([VectorExample((1.0,))]), InvalidInputError, "have 256"),
    (Query([VectorExample((0.0,) * 256)]), InvalidInputError, "no direction"),
    (Query([VectorExample((float("inf"),) * 256)]), InvalidInputError, "no direction"),
    (Query([ClipExample(1)] * 101), InvalidInputError, "100 examples"),
    (
        Query([ClipExample(1), ClipExample(2)], exclude_same="speaker"),
        InvalidInputError,
        "several speakers",
    ),
    (
        Query([VectorExample((1.0,) * 256)], exclude_same="recording"),
        InvalidInputError,
        "not in the archive",
    ),
]


def test_what_makes_no_sense_is_named(filled: Library):
    for query, error, message in NONSENSE:
        with pytest.raises(error, match=message):
            search(filled, query)
    most = Query([ClipExample(1)] * 60, [ClipExample(2)] * 40, limit=1000, distinct=1.0)
    assert len(search(filled, most)) == 10
    assert len(search(filled, replace(most, distinct=-1.0))) == 1  # all others are as like as that


def test_a_file_is_refused_if_any_of_its_windows_gets_no_usable_embedding(
    sqlite_settings, voices_archive, tmp_path, monkeypatch
):
    voices_archive.place(sqlite_settings)
    path = write_wav(tmp_path / "x.wav", tone(32.0))
    answers = iter([True, False])
    monkeypatch.setattr(examples, "usable", lambda _: next(answers))
    with (
        Library.open(sqlite_settings) as library,
        pytest.raises(AudioError, match=r"x\.wav gets no usable embedding"),
    ):
        library.search(path)
    assert list(answers) == []


def test_filters_and_exclusions_hold(filled: Library):
    hits = search(
        filled,
        Query(
            [ClipExample(1), ClipExample(2)],
            limit=100,
            wanted=ClipFilter(labels=("anger", "sadness")),
            exclude_same="recording",
        ),
    )
    assert {hit.clip.label for hit in hits} <= {"anger", "sadness"}
    assert not {hit.clip.recording_id for hit in hits} & {1, 2}


def test_hits_tell_whose_they_are_and_only_others_can_be_asked_for(filled: Library):
    with filled.database.write() as session:
        for clip, source in ((1, "a"), (2, "a"), (3, "b")):
            annotate(session, {filled.clip(clip).recording_id: Annotations(source=source)})
    hits = {hit.clip.id: hit for hit in search(filled, Query([ClipExample(1)], limit=100))}
    own = filled.clip(1).speaker
    for hit in hits.values():
        assert hit.same_speaker is (hit.clip.speaker == own)
        assert hit.same_source is (hit.clip.id == 2)
    across = search(filled, Query([ClipExample(1)], limit=100, exclude_same="source"))
    assert {hit.clip.id for hit in across} == set(hits) - {2}
    vector = VectorExample(tuple(map(float, embedding(filled, 1))))
    named = Query([vector], limit=100, exclude_same="speaker", speaker=own)
    assert {hit.clip.id for hit in search(filled, named)} == {
        i for i, hit in hits.items() if not hit.same_speaker
    }
    for name in ("nobody", ""):
        with pytest.raises(InvalidInputError, match="the archive has no recording of speaker"):
            search(filled, Query([vector], exclude_same="speaker", speaker=name))
    unknown = search(filled, Query([vector], limit=1))[0]
    assert (unknown.same_speaker, unknown.same_source) == (None, None)


def test_who_speaks_in_a_file_can_be_said_where_it_is_not_known(settings):
    with Library.open(settings.model_copy(update={"model": None}), create=True) as library:
        fill(library.database, blobs()[0])
        vector = VectorExample(tuple(range(1, 1 + library.model().dimension)))
        for name in ("speaker", "source"):
            with pytest.raises(InvalidInputError, match=f"archive; --example-{name} names it$"):
                search(library, Query([vector], exclude_same=name))
            with pytest.raises(InvalidInputError, match=f"the example's {name} is .* archive$"):
                search(library, Query([ClipExample(1)], exclude_same=name))


def test_what_is_no_example_and_nothing_to_exclude_is_told(filled: Library):
    with pytest.raises(InvalidInputError, match=r"'x\.wav' is no example: .* a file as Path"):
        filled.search("x.wav")
    with pytest.raises(InvalidInputError, match="exclude_same nope: choose recording, speaker"):
        filled.search(1, exclude_same="nope")


def test_a_file_that_is_too_long_is_refused_by_name(filled: Library, tmp_path):
    path = write_wav(tmp_path / "x.wav", tone(3.0))
    with pytest.raises(AudioError, match=r"her\.wav is longer than 2 s"):
        search(filled, Query([FileExample(path, "her.wav")]), longest=2)
    assert search(filled, Query([FileExample(path, "her.wav")]), longest=3)


def test_silence_around_speech_is_no_part_of_an_example(
    sqlite_settings, emodb: Path, tmp_path: Path
):
    from emotion_search.engine.files.scan import find_audio

    names = ["03a01Fa.flac", "03a01Wa.flac", "03a01Nc.flac"]
    silence = np.zeros(20 * 16_000, np.float32)
    clip = decode(emodb / names[1])
    path = write_wav(tmp_path / "padded.wav", np.concatenate([silence, clip, silence]))
    with Library.open(sqlite_settings, create=True) as library:
        library.ingest(find_audio([str(emodb / name) for name in names]).files)
        hits = library.search(path, limit=3)
    assert hits[0].clip.name == names[1]
    assert hits[0].similarity > 0.95

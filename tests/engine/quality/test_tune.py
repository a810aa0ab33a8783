"""Tuning an archive: the space that serves, percentiles, and the way back."""

import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emotion_search.engine.embedders.acoustic.model import WEIGHTS
from emotion_search.engine.files.scan import find_audio
from emotion_search.engine.library.library import Library
from emotion_search.engine.quality import methods
from emotion_search.engine.quality import tune as tuning
from emotion_search.engine.quality.confounds import confounds
from emotion_search.engine.quality.labelled import LabelledVectors
from emotion_search.engine.quality.methods import Quality, compare_methods
from emotion_search.engine.settings import Settings
from emotion_search.index.database.files import FileFacts
from emotion_search.index.database.models import activate_model, active_model
from emotion_search.index.database.recordings import (
    Annotations,
    NewClip,
    NewRecording,
    add_recordings,
)
from emotion_search.index.database.spaces import get_calibration, get_space
from emotion_search.index.database.spans import Span
from emotion_search.index.errors import InvalidInputError, NotFoundError
from emotion_search.index.vectors.space import Method

DIM = 12


def speech(speakers: int = 8, each: int = 4) -> LabelledVectors:
    """Three emotions by some speakers, whose voices differ more than the emotions do."""
    rng = np.random.default_rng(0)
    emotions, voices = rng.normal(size=(3, DIM)), 2 * rng.normal(size=(speakers, DIM))
    rows = [(e, s) for e in range(3) for s in range(speakers) for _ in range(each)]
    vectors = [10 + emotions[e] + voices[s] + 0.5 * rng.normal(size=DIM) for e, s in rows]
    return LabelledVectors(
        np.array(vectors, dtype=np.float32),
        np.array([f"emotion{e}" for e, _ in rows]),
        np.array([f"speaker{s}" for _, s in rows]),
        np.array([str(i) for i in range(len(rows))]),
        "made",
    )


def fill(library: Library, data: LabelledVectors, *, labelled: bool = True) -> None:
    """Put the vectors into the archive, as if a model had made them."""
    with library.database.write() as session:
        model = activate_model(
            session, name="acoustic", fingerprint="f" * 64, dimension=DIM, classes=()
        )
        new = []
        for i, vector in enumerate(data.vectors):
            annotations = Annotations(
                speaker=str(data.speakers[i]) or None if labelled else None,
                source=str(data.sources[i]) if data.sources is not None else None,
                metadata={"text": data.sentences[i]} if data.sentences is not None else {},
                labels={"emotion": str(data.labels[i])} if labelled else {},
            )
            clip = NewClip(None, 0.0, 1.0, vector, np.empty(0, np.float32))
            facts = FileFacts(f"/made/{i}.wav", 1, 1)
            sha = f"{i:064d}"
            new.append(NewRecording(facts, f"{i}.wav", sha, 1.0, 16_000, 1, annotations, [clip]))
        add_recordings(session, model.id, new)


@pytest.fixture
def settings(sqlite_settings: Settings) -> Settings:
    return sqlite_settings


@pytest.fixture
def spoken(library: Library) -> Library:
    """An archive of labelled vectors."""
    fill(library, speech())
    return library


def test_what_is_learned_serves_speakers_it_never_met():
    quality = compare_methods(speech())
    assert quality[Method.LEARNED].precision > quality[Method.PLAIN].precision + 0.1


def test_where_some_speakers_are_unknown_the_others_are_still_told_apart(library: Library):
    data = speech()
    fill(library, replace(data, speakers=np.array(["", *data.speakers[1:]])))
    found, _ = library.labelled("emotion")
    assert found.speakers is None
    assert found.groups.tolist() == ["recording 1", *(f"speaker {s}" for s in data.speakers[1:])]


def test_labels_that_mean_nothing_teach_nothing():
    data = speech()
    shuffled = LabelledVectors(
        data.vectors,
        np.random.default_rng(1).permutation(data.labels),
        data.speakers,
        data.recordings,
        "x",
    )
    quality = compare_methods(shuffled)
    assert abs(quality[Method.LEARNED].precision - quality[Method.PLAIN].precision) < 0.06


def test_tuning_takes_the_best_method_and_search_follows(spoken: Library):
    before = spoken.search(1, limit=5)
    assert {hit.space for hit in before} == {0}
    result = spoken.tune()
    assert (result.version, result.method) == (2, Method.BASELINE_LEARNED)
    after = spoken.search(1, limit=5)
    assert {hit.space for hit in after} == {2}
    assert [hit.similarity for hit in after] != [hit.similarity for hit in before]
    assert after[0].similarity < 0.999  # no longer crowded

    def same(hits):
        return np.mean([hit.clip.label == "emotion0" for hit in hits])

    others = spoken.search(1, limit=20, exclude_same="speaker")
    assert same(others) > 0.6


def test_the_old_space_can_be_restored_exactly(spoken: Library):
    before = spoken.search(1, limit=5)
    spoken.tune()
    spoken.restore_space(0)
    assert spoken.search(1, limit=5)[0].similarity == before[0].similarity
    spoken.restore_space(1)
    assert spoken.search(1, limit=1)[0].space == 1
    with pytest.raises(NotFoundError, match="no space 7"):
        spoken.restore_space(7)


def test_another_process_follows_the_space_at_its_next_search(spoken: Library, settings: Settings):
    with Library.open(settings) as other:
        other.search(1, limit=3)
        spoken.tune()
        assert [hit.similarity for hit in other.search(1, limit=3)] == [
            hit.similarity for hit in spoken.search(1, limit=3)
        ]
    with Library.open(settings) as later:  # from the saved index
        assert later.search(1, limit=1)[0].space == 2


def test_every_fit_is_a_version_of_its_own(spoken: Library):
    spoken.tune(method=Method.CENTRED)
    spoken.tune(method=Method.WHITENED)
    shown = [(one.version, one.method.value, one.active) for one in spoken.spaces()]
    assert shown == [(0, "plain", False), (1, "centred", False), (2, "whitened", True)]


def test_hits_carry_their_percentile_among_random_pairs(spoken: Library):
    spoken.tune()
    hits = spoken.search(1, limit=95)
    percentiles = [hit.percentile for hit in hits]
    assert percentiles == sorted(percentiles, reverse=True)
    assert percentiles[0] > 95
    assert percentiles[-1] < 10


def test_pairs_of_the_same_speaker_do_not_count_among_percentiles(library: Library):
    data = speech(each=8)
    _, of_speaker = np.unique(data.speakers, return_inverse=True)
    voices = np.eye(8, DIM)[of_speaker] + 0.01 * data.vectors
    fill(library, replace(data, vectors=voices.astype(np.float32)))
    library.tune(method=Method.CENTRED)
    hits = library.search(1, limit=100)
    assert {hit.percentile for hit in hits if hit.clip.speaker == "speaker0"} == {100.0}


def test_percentiles_of_a_learned_space_are_of_clips_that_did_not_teach_it(
    library: Library, monkeypatch: pytest.MonkeyPatch
):
    data = speech(speakers=20)
    fill(library, data)
    library.tune(method=Method.LEARNED)
    with library.database.read() as session:
        model = active_model(session)
        kept = get_calibration(session, model, 1)
    taught = []
    fit = tuning.fit_space

    def spy(method, vectors, *others):
        taught.append(len(vectors))
        return fit(method, vectors, *others)

    monkeypatch.setattr(tuning, "fit_space", spy)
    with library.database.write() as session:
        session.connection().exec_driver_sql("DELETE FROM calibrations")
    tuning.recalibrate(library.database, model)
    assert taught == [240 - 24] * 10  # two of twenty speakers left out at a time
    with library.database.read() as session:
        again = get_calibration(session, model, 1)
    assert np.array_equal(kept.quantiles, again.quantiles)


def test_without_labels_the_space_is_centred(library: Library):
    fill(library, speech(), labelled=False)
    result = library.tune()
    assert result.method is Method.CENTRED
    assert result.quality == {}
    with pytest.raises(InvalidInputError, match="has the 5 clips that a baseline needs"):
        library.tune(method=Method.BASELINE)
    with pytest.raises(InvalidInputError, match="two classes by four speakers"):
        library.tune(method=Method.LEARNED)


def calls(library: Library, numbers: range, *, labels: bool = False) -> None:
    """Recordings of eight clips each of one voice, whose speaker nobody named."""
    rng = np.random.default_rng(numbers.start)
    emotions = np.random.default_rng(0).normal(size=(4, DIM))
    with library.database.write() as session:
        model = activate_model(
            session, name="acoustic", fingerprint="f" * 64, dimension=DIM, classes=()
        )
        for i in numbers:
            voice = 10 + 2 * rng.normal(size=DIM)
            vectors = [voice + emotions[k % 4] + 0.3 * rng.normal(size=DIM) for k in range(8)]
            clips = [
                NewClip(None, float(k), k + 1.0, vector.astype(np.float32), np.empty(0, np.float32))
                for k, vector in enumerate(vectors)
            ]
            spans = tuple(Span(float(k), k + 1.0, None, {"emotion": f"e{k % 4}"}) for k in range(8))
            new = NewRecording(
                FileFacts(f"/calls/{i}.wav", 1, 1),
                f"{i}.wav",
                f"{i:064d}",
                8.0,
                16_000,
                1,
                Annotations(spans=spans if labels else ()),
                clips,
            )
            add_recordings(session, model.id, [new])


def test_without_labels_baselines_serve_where_groups_are_many(
    library: Library, caplog: pytest.LogCaptureFixture
):
    calls(library, range(10))
    result = library.tune()
    assert (result.version, result.method, result.clips) == (1, Method.BASELINE, 80)
    assert (
        result.why
        == "10 speakers or recordings and 0 sources have baselines; too few labels to judge by"
    )
    model = library.model()
    calls(library, range(10, 12))
    tuning.resettle(library.database, model, at=0)
    assert library.spaces()[-1].version == 1  # 96 clips are not a quarter more
    calls(library, range(12, 13))
    with caplog.at_level(logging.WARNING):
        tuning.resettle(library.database, model, at=0)
    assert [(one.version, one.clips, one.active) for one in library.spaces()[1:]] == [
        (1, 80, False),
        (2, 104, True),
    ]
    assert "takes the baselines of 104 clips" in caplog.text
    new = library.search(96, limit=3)
    assert {hit.space for hit in new} == {2}


def test_baselines_taken_anew_leave_what_was_learned(library: Library):
    calls(library, range(10), labels=True)
    result = library.tune(method=Method.BASELINE_LEARNED)
    assert (result.version, result.task) == (2, "emotion")
    calls(library, range(10, 14))
    tuning.resettle(library.database, library.model(), at=0)
    last, now = library.spaces()[2], library.spaces()[4]
    assert (now.method, now.task, now.gain) == (last.method, last.task, last.gain)
    with library.database.read() as session:
        before, after = (get_space(session, library.model(), version) for version in (2, 4))
    np.testing.assert_array_equal(before.map.matrix, after.map.matrix)
    assert (before.baselines, after.baselines) == (1, 3)
    assert not np.array_equal(before.map.mean, after.map.mean)


def test_a_learned_space_that_does_no_better_is_refused(
    spoken: Library, monkeypatch: pytest.MonkeyPatch
):
    worse = dict.fromkeys(Method, Quality(0.5, 0.5)) | {Method.LEARNED: Quality(0.4, 0.5)}
    monkeypatch.setattr(tuning, "compare_methods", lambda *_: worse)
    with pytest.raises(InvalidInputError, match="no better than the plain one"):
        spoken.tune(method=Method.LEARNED)
    assert [one.version for one in spoken.spaces()] == [0]


def test_where_no_space_beats_the_plain_one_it_serves(
    spoken: Library, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(
        tuning,
        "compare_methods",
        lambda *_: {m: Quality(0.9 - 0.1 * i, 0.5) for i, m in enumerate(Method)},
    )
    assert spoken.tune().version == 0
    assert [one.active for one in spoken.spaces()] == [True]


def test_a_gain_of_next_to_nothing_is_not_worth_a_space(
    spoken: Library, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(
        tuning,
        "compare_methods",
        lambda *_: {m: Quality(0.5, 0.5 + 0.02 * (m is Method.BASELINE)) for m in Method},
    )
    assert spoken.tune().method is Method.BASELINE  # by the triplets alone
    spoken.restore_space(0)
    monkeypatch.setattr(
        tuning,
        "compare_methods",
        lambda *_: {m: Quality(0.9 + 0.001 * i, 0.5) for i, m in enumerate(Method)},
    )
    assert spoken.tune().version == 0


def test_methods_are_compared_by_distractors_of_the_same_sentence_and_source_too(
    library: Library, monkeypatch: pytest.MonkeyPatch
):
    data = speech()
    numbers = np.arange(len(data.labels))
    sentences, sources = numbers % 3, numbers % 2
    fill(library, replace(data, sentences=sentences.astype(str), sources=sources.astype(str)))
    kinds = set()

    def noted(*args, **options):
        found = confounds(*args, **options)
        kinds.update(found.triplets)
        return found

    monkeypatch.setattr(methods, "confounds", noted)
    library.tune()
    assert kinds == {"nothing", "sentence", "speaker", "source", "both"}


def test_where_no_speaker_is_known_a_space_is_judged_on_recordings(library: Library):
    fill(library, replace(speech(), speakers=np.full(96, "")))
    result = library.tune()
    assert result.why.endswith("; judged on unseen recordings")


def test_a_method_goes_by_its_name(spoken: Library):
    assert spoken.tune(method="centred").method is Method.CENTRED
    with pytest.raises(InvalidInputError, match="method curved: choose plain, centred"):
        spoken.tune(method="curved")


def test_a_task_without_labels_is_refused_rather_than_judged_without(spoken: Library):
    with pytest.raises(NotFoundError, match="no clip has a label under the task nope"):
        spoken.tune(task="nope")
    assert [one.version for one in spoken.spaces()] == [0]


def test_an_archive_too_small_or_empty_says_so(library: Library):
    with pytest.raises(NotFoundError, match="empty"):
        library.tune()
    fill(library, speech(speakers=2, each=2))
    with pytest.raises(InvalidInputError, match="needs 50 clips at least; this archive has 12"):
        library.tune()


def test_equal_vectors_everywhere_are_told(library: Library):
    data = speech()
    fill(library, replace(data, vectors=data.vectors + np.eye(96, DIM, dtype=np.float32)))
    with library.database.write() as session:
        session.connection().exec_driver_sql(
            "UPDATE embeddings SET vector_crc32 = NULL,"
            " vector = (SELECT min(vector) FROM embeddings)"
        )
    with pytest.raises(InvalidInputError, match="all embeddings are equal"):
        library.tune()


def test_a_bulk_ingest_fits_the_first_space_and_says_so(
    settings: Settings, voices: Path, caplog: pytest.LogCaptureFixture, monkeypatch
):
    from tests.conftest import ingest_voices

    monkeypatch.setattr(tuning, "FEWEST", 5)
    with (
        Library.open(settings.model_copy(update={"tune_at": 10}), create=True) as library,
        caplog.at_level(logging.WARNING),
    ):
        ingest_voices(library, voices)
        assert [one.active for one in library.spaces()] == [False, True]
        assert "similarity is now taken in space 1" in caplog.text
        library.restore_space(0)
        ingest_voices(library, voices)  # never again by itself
        assert [one.active for one in library.spaces()] == [True, False]


def test_small_archives_keep_the_plain_space_but_tell_percentiles(filled: Library):
    assert [one.version for one in filled.spaces()] == [0]
    hits = filled.search(1, limit=3)
    assert len(hits) == 3
    assert all(0 <= hit.percentile <= 100 for hit in hits)


def test_weights_in_a_file_are_a_model_wherever_one_stands(
    tmp_path: Path, voices: Path, monkeypatch: pytest.MonkeyPatch
):
    shutil.copy(WEIGHTS, tmp_path / "mine.safetensors")
    monkeypatch.chdir(tmp_path)
    settings = Settings(home=tmp_path / "home", model="mine.safetensors")
    with Library.open(settings, create=True) as library:
        library.ingest(find_audio([str(voices / "anger-0.wav")]).files)
    monkeypatch.chdir("/")
    with Library.open(Settings(home=tmp_path / "home")) as library:
        assert library.model().name == str(tmp_path / "mine.safetensors")
        assert len(library.search(voices / "neutral-1.wav")) == 1

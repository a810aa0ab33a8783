"""The built-in model: deterministic, the same in any company, and it hears the voice's manner."""

import csv
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_search.engine.audio.file import decode
from emotion_search.engine.audio.synthetic_voices import MANNERS, speak
from emotion_search.engine.embedders.acoustic.model import WEIGHTS, Acoustic
from emotion_search.engine.quality.labelled import LabelledVectors
from emotion_search.engine.quality.retrieval import Gallery, judge
from emotion_search.index.errors import AudioError
from tests.conftest import tone

FINGERPRINT = "8c5dd84f5803f2afcc866c18fa14da12b51f9e608b93ac0b2fd42435b34fcc74"


@cache
def acoustic() -> Acoustic:
    return Acoustic()


@given(length=st.integers(400, 40_000), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=40)
def test_any_clip_gets_a_finite_vector_the_same_alone_as_among_others(length, seed):
    clip = np.random.default_rng(seed).normal(size=length).astype(np.float32)
    embedder = acoustic()
    alone = embedder.embed([clip])
    among = embedder.embed([tone(0.5), clip, tone(0.1)])
    assert alone.vectors.shape == (1, embedder.dimension)
    assert np.isfinite(alone.vectors).all()
    assert np.array_equal(alone.vectors[0], among.vectors[1])
    assert alone.scores.shape == (1, len(embedder.classes))
    assert alone.scores.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("clip", [np.zeros(16_000), np.full(16_000, 0.3), np.eye(1, 500)[0]])
def test_silence_and_clicks_have_a_direction_too(clip):
    vector = acoustic().embed([clip.astype(np.float32)]).vectors[0]
    assert np.isfinite(vector).all()
    assert np.linalg.norm(vector) > 0


def test_loudness_plays_no_part():
    voice = speak("anger", speaker=1, seed=1)
    loud, quiet = acoustic().embed([voice, voice * np.float32(0.01)]).vectors
    assert np.allclose(loud, quiet, atol=1e-3)


def test_manners_are_heard_across_speakers():
    spoken = [(e, s) for e in MANNERS for s in range(6)]
    vectors = acoustic().embed([speak(e, speaker=s, seed=0) for e, s in spoken]).vectors
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    similar = unit @ unit.T
    hits = []
    for i, (emotion, speaker) in enumerate(spoken):
        others = [j for j, (_, s) in enumerate(spoken) if s != speaker]
        best = sorted(others, key=lambda j: -similar[i, j])[:5]
        hits.append(np.mean([spoken[j][0] == emotion for j in best]))
    assert np.mean(hits) > 0.6  # chance is 0.25


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros(399, np.float32),
        np.full(800, np.nan, np.float32),
        np.zeros((2, 800), np.float32),
        np.zeros(800, np.float64),
        np.zeros(800, np.int16),
    ],
)
def test_what_cannot_be_embedded_is_refused(bad):
    with pytest.raises(AudioError):
        acoustic().embed([bad])


def test_scores_of_stored_vectors_are_those_of_the_clip_whatever_their_length():
    embedded = acoustic().embed([tone(0.5), speak("anger", speaker=1, seed=1)])
    assert np.array_equal(acoustic().scores(embedded.vectors), embedded.scores)
    assert np.allclose(acoustic().scores(embedded.vectors * 3), embedded.scores, atol=1e-6)
    assert acoustic().scores(embedded.vectors[:0]).shape == (0, len(acoustic().classes))


def test_scores_move_an_archive_to_where_training_was():
    embedder = acoustic()
    voices = [speak(e, speaker=s, seed=0) for e in MANNERS for s in range(3)]
    vectors = embedder.embed(voices).vectors
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    centre = unit.mean(axis=0)
    shift = np.random.default_rng(0).normal(0, 0.02, vectors.shape[1]).astype(np.float32)
    moved = embedder.scores(3 * vectors, centre)
    assert embedder.adapts
    assert moved.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert np.abs(moved - embedder.scores(vectors)).max() > 0.05
    assert np.allclose(moved, embedder.scores(vectors, np.tile(centre, (len(unit), 1))), atol=1e-6)
    room = unit + shift
    room /= np.linalg.norm(room, axis=1, keepdims=True)
    there = embedder.scores(room, room.mean(axis=0))
    assert np.abs(there - moved).max() < 0.1  # another room hardly matters once it is known


def test_weights_of_ones_own_do_not_adapt(tmp_path: Path):
    path = tmp_path / "own.safetensors"
    path.write_bytes(WEIGHTS.read_bytes())
    own = Acoustic(path)
    vectors = own.embed([tone(0.5)]).vectors
    assert not own.adapts
    assert np.array_equal(own.scores(vectors, vectors[0]), own.scores(vectors))


def test_the_model_is_the_one_that_archives_know():
    assert acoustic().fingerprint == FINGERPRINT


def test_no_clips_give_no_vectors():
    assert acoustic().embed([]).vectors.shape == (0, acoustic().dimension)


def test_a_long_clip_is_the_mean_of_its_pieces():
    voice = np.tile(speak("sadness", speaker=0, seed=0, seconds=2.0), 20)  # 40 s
    whole = acoustic().embed([voice]).vectors[0]
    pieces = acoustic().embed(np.array_split(voice, 3)).vectors
    assert np.allclose(whole, pieces.mean(axis=0), atol=1e-5)


def test_a_clip_of_one_frame_and_one_of_two_have_vectors():
    for length in (400, 559, 560, 720):
        assert np.isfinite(acoustic().embed([tone(1.0)[:length]]).vectors).all()


def test_the_weights_that_ship_are_small():
    assert WEIGHTS.stat().st_size < 12_000_000


def test_real_emotions_are_found_among_other_speakers(emodb: Path):
    data = labelled_speech(emodb)
    judged = judge(data, Gallery.SPEAKER)
    quality, chance = judged.values[:, 0].mean(), judged.chance[:, 0].mean()
    assert quality > chance + 0.35  # eGeMAPS, z-scored, reaches 0.34 above chance


def labelled_speech(emodb: Path) -> LabelledVectors:
    with (emodb / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))[::3]
    vectors = acoustic().embed([decode(emodb / row["path"]) for row in rows]).vectors
    return LabelledVectors(
        vectors,
        np.array([row["label"] for row in rows]),
        np.array([row["speaker"] for row in rows]),
        np.array([row["path"] for row in rows]),
        "EMO-DB",
    )

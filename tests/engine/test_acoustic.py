"""The built-in model: deterministic, the same in any company, and it hears the voice's manner."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.embedders.acoustic import Acoustic
from engine.voices import MANNERS, speak
from index.errors import AudioError
from tests.conftest import tone


@given(length=st.integers(400, 40_000), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=40)
def test_any_clip_gets_a_finite_vector_the_same_alone_as_among_others(length, seed):
    clip = np.random.default_rng(seed).normal(size=length).astype(np.float32)
    embedder = Acoustic()
    alone = embedder.embed([clip])
    among = embedder.embed([tone(0.5), clip, tone(0.1)])
    assert alone.vectors.shape == (1, embedder.dimension)
    assert np.isfinite(alone.vectors).all()
    assert np.array_equal(alone.vectors[0], among.vectors[1])
    assert alone.scores.shape == (1, 0)


@pytest.mark.parametrize("clip", [np.zeros(16_000), np.full(16_000, 0.3), np.eye(1, 500)[0]])
def test_silence_and_clicks_have_a_direction_too(clip):
    vector = Acoustic().embed([clip.astype(np.float32)]).vectors[0]
    assert np.isfinite(vector).all()
    assert np.linalg.norm(vector) > 0


def test_loudness_plays_no_part():
    voice = speak("anger", speaker=1, seed=1)
    loud, quiet = Acoustic().embed([voice, voice * np.float32(0.01)]).vectors
    assert np.allclose(loud, quiet, atol=1e-3)


def test_manners_are_heard_across_speakers():
    spoken = [(e, s) for e in MANNERS for s in range(6)]
    vectors = Acoustic().embed([speak(e, speaker=s, seed=0) for e, s in spoken]).vectors
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
        Acoustic().embed([bad])


def test_no_clips_give_no_vectors():
    assert Acoustic().embed([]).vectors.shape == (0, Acoustic().dimension)

"""The built-in model ``voice``: the same in any company, adapted to an archive, heard by manner."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from emotion_search.engine.audio.synthetic_voices import MANNERS, speak
from emotion_search.engine.embedders.acoustic.model import WEIGHTS as BESIDE
from emotion_search.engine.embedders.acoustic.model import Acoustic
from emotion_search.engine.embedders.registry import load_embedder
from emotion_search.engine.embedders.voice.model import WEIGHTS, Voice
from emotion_search.engine.embedders.voice.network import EmotionNetwork
from emotion_search.engine.embedders.voice.spectrum import log_mel
from emotion_search.engine.settings import Settings
from emotion_search.index.errors import AudioError, InvalidInputError, ModelUnavailableError
from tests.conftest import tone


@cache
def voice() -> Voice:
    return Voice()


@given(length=st.one_of(st.integers(400, 1000), st.integers(1000, 40_000)), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=25)
def test_any_clip_gets_a_finite_vector_the_same_alone_as_among_others(length, seed):
    clip = np.random.default_rng(seed).normal(size=length).astype(np.float32)
    alone = voice().embed([clip])
    among = voice().embed([tone(0.5), clip, tone(0.1)])
    assert alone.vectors.shape == (1, voice().dimension) == (1, 384)
    assert np.isfinite(alone.vectors).all()
    assert np.array_equal(alone.vectors[0], among.vectors[1])
    assert np.array_equal(alone.vectors, voice().embed([clip]).vectors)
    assert alone.scores.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("clip", [np.zeros(16_000), np.full(16_000, 0.3), np.eye(1, 500)[0]])
def test_silence_and_clicks_have_a_direction_too(clip):
    vector = voice().embed([clip.astype(np.float32)]).vectors[0]
    assert np.isfinite(vector).all()
    assert np.linalg.norm(vector[256:]) > 0


def test_loudness_and_an_offset_play_no_part():
    spoken = speak("anger", speaker=1, seed=1)
    loud, quiet, shifted = voice().embed([spoken, spoken * np.float32(0.01), spoken + 0.2]).vectors
    assert np.allclose(loud, quiet, atol=1e-3)
    assert np.allclose(loud, shifted, atol=1e-3)


def test_a_clip_beyond_the_window_is_the_mean_of_its_pieces():
    spoken = np.tile(speak("sadness", speaker=0, seed=0, seconds=2.0), 10)  # 20 s
    whole = voice().embed([spoken]).vectors[0]
    pieces = voice().embed(np.array_split(spoken, 3)).vectors
    assert np.allclose(whole, pieces.mean(axis=0), atol=1e-6)
    assert np.allclose(np.linalg.norm(pieces[:, :256], axis=1), 0.8, atol=1e-5)


def test_the_vector_of_acoustic_stands_first_with_what_tells_no_classes_apart_weakened():
    clip = speak("happiness", speaker=2, seed=0)
    (mine,), (theirs,) = (one.embed([clip]).vectors for one in (voice(), Acoustic()))
    weaker = load_file(WEIGHTS)["beside_map"].float().numpy()
    assert np.allclose(np.linalg.eigvalsh(weaker), [0.65] * 250 + [1.0] * 6, atol=1e-3)
    theirs = theirs / np.linalg.norm(theirs) @ weaker
    assert np.allclose(mine[:256], 0.8 * theirs / np.linalg.norm(theirs), atol=1e-6)


def test_manners_are_heard_across_speakers():
    spoken = [(e, s) for e in MANNERS for s in range(5)]
    vectors = voice().embed([speak(e, speaker=s, seed=0) for e, s in spoken]).vectors
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    similar = unit @ unit.T
    hits = []
    for i, (emotion, speaker) in enumerate(spoken):
        others = [j for j, (_, s) in enumerate(spoken) if s != speaker]
        best = sorted(others, key=lambda j: -similar[i, j])[:4]
        hits.append(np.mean([spoken[j][0] == emotion for j in best]))
    assert np.mean(hits) > 0.6  # chance is 0.25


def test_scores_of_stored_vectors_are_those_of_the_clip_whatever_their_length():
    embedded = voice().embed([tone(0.5), speak("anger", speaker=1, seed=1)])
    assert np.array_equal(voice().scores(embedded.vectors), embedded.scores)
    assert np.allclose(voice().scores(embedded.vectors * 3), embedded.scores, atol=1e-6)
    assert voice().scores(embedded.vectors[:0]).shape == (0, len(voice().classes))


def test_scores_move_an_archive_to_where_training_was():
    vectors = (
        voice().embed([speak(e, speaker=s, seed=0) for e in MANNERS for s in range(3)]).vectors
    )
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    centre = unit.mean(axis=0)
    moved = voice().scores(3 * vectors, centre)
    assert voice().adapts
    assert moved.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert np.abs(moved - voice().scores(vectors)).max() > 0.05
    assert np.allclose(moved, voice().scores(vectors, np.tile(centre, (len(unit), 1))), atol=1e-6)


@pytest.mark.parametrize(
    "bad",
    [np.zeros(399, np.float32), np.full(800, np.nan, np.float32), np.zeros((2, 800), np.float32)],
)
def test_what_cannot_be_embedded_is_refused(bad):
    with pytest.raises(AudioError):
        voice().embed([bad])


def test_it_has_no_frames():
    with pytest.raises(InvalidInputError, match="voice has no frames"):
        voice().frames(tone(1.0))


def test_no_clips_give_no_vectors():
    assert voice().embed([]).vectors.shape == (0, 384)


def test_a_spectrum_is_whispers():
    assert log_mel(torch.zeros(400)).shape == (80, 2)
    spectrum = log_mel(0.3 * torch.sin(2 * torch.pi * 1000 / 16_000 * torch.arange(16_000)))
    assert spectrum.shape == (80, 100)
    assert spectrum.max() - spectrum.min() <= 2.0 + 1e-6
    # mels of Slaney's scale: 1000 Hz is mel 15 of 45.2, at band 15 / 45.2 * 81 - 1
    assert (spectrum[:, 50].argmax() - (15 / 45.245 * 81 - 1)).abs() <= 0.5


def test_padding_changes_nothing():
    network = EmotionNetwork().eval()
    spectra = torch.rand(1, 80, 60)
    padded = torch.cat([spectra, torch.zeros(1, 80, 40)], dim=2)
    known = torch.arange(100)[None] < 60
    with torch.inference_mode():
        assert torch.allclose(network(spectra), network(padded, known), atol=1e-4)


def test_other_weights_are_another_model_and_broken_ones_are_refused(tmp_path: Path):
    path = tmp_path / "own.voice.safetensors"
    path.write_bytes(WEIGHTS.read_bytes() + b" ")
    with pytest.raises(ModelUnavailableError, match="does not hold weights"):
        Voice(path)
    path.write_bytes(WEIGHTS.read_bytes())
    assert load_embedder(str(path), Settings()).fingerprint == voice().fingerprint
    assert voice().fingerprint != Acoustic().fingerprint
    with pytest.raises(ModelUnavailableError, match="lacks weights of the model voice"):
        Voice(BESIDE)
    tensors = load_file(WEIGHTS)
    metadata = {"emotion_search": '{"classes": ["angry"]}'}
    tensors["network.embedding.bias"][0] += 1
    save_file(tensors, path, metadata)
    assert Voice(path).fingerprint != voice().fingerprint
    del tensors["centre"]
    save_file(tensors, path, metadata)
    with pytest.raises(ModelUnavailableError, match="lacks weights of the model voice"):
        Voice(path)


def test_it_ships_small_with_its_notices():
    assert WEIGHTS.stat().st_size + BESIDE.stat().st_size < 25_000_000
    card = (WEIGHTS.parent / "README.md").read_text()
    for name, words in {"LICENSE-whisper": "OpenAI", "LICENSE-smart-turn": "Daily"}.items():
        assert words in (WEIGHTS.parent / name).read_text()
        assert name in card

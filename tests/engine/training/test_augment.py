"""Augmentation: every change leaves a usable voice of the same or a near length."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.training import augment as change

VOICE = speak("neutral", speaker=0, seed=0, seconds=1.0)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), length=st.integers(400, 16_000))
def test_any_chain_gives_finite_audio_of_a_near_length(seed: int, length: int):
    random = np.random.default_rng(seed)
    made = change.augment(VOICE[:length], random, others=lambda: VOICE)
    assert made.dtype == np.float32
    assert np.isfinite(made).all()
    assert 0.8 * length < len(made) < 1.25 * length


def test_the_same_random_state_gives_the_same_audio():
    first, second = (
        change.augment(VOICE, np.random.default_rng(7), others=lambda: VOICE) for _ in range(2)
    )
    assert np.array_equal(first, second)


def power(x: np.ndarray, low: float, high: float) -> float:
    hz = np.fft.rfftfreq(len(x), 1 / 16_000)
    return float((np.abs(np.fft.rfft(x)) ** 2)[(hz >= low) & (hz < high)].sum())


@pytest.mark.parametrize("seed", range(6))
def test_a_telephone_passes_only_its_band(seed: int):
    noise = np.random.default_rng(0).normal(size=16_000).astype(np.float32)
    changed = change.telephone(noise, np.random.default_rng(seed))
    assert power(changed, 4200, 8000) < 1e-3 * power(changed, 300, 3400)
    assert power(changed, 0, 100) < 0.02 * power(changed, 300, 3400)


def test_codecs_keep_the_voice_recognisable():
    narrow = VOICE[::2] / np.abs(VOICE).max() * 0.5
    assert np.corrcoef(narrow, change.ulaw(narrow))[0, 1] > 0.999
    decoded = change.amr(narrow)
    assert len(decoded) == len(narrow)
    delays = [
        np.corrcoef(narrow[:-200], decoded[d : len(decoded) - 200 + d])[0, 1] for d in range(100)
    ]
    assert max(delays) > 0.6


def test_speed_moves_the_pitch():
    tone = np.sin(2 * np.pi * 200 * np.arange(16_000) / 16_000).astype(np.float32)
    faster = change.change_speed(tone, 1.1)
    assert len(faster) == pytest.approx(16_000 / 1.1, abs=2)
    peak = np.argmax(np.abs(np.fft.rfft(faster))) * 16_000 / len(faster)
    assert peak == pytest.approx(220, abs=2)


def test_noise_comes_as_loud_as_drawn():
    ratios = []
    for seed in range(40):
        noisy = change.add_noise(VOICE, np.random.default_rng(seed), lambda: VOICE[::-1])
        ratios.append(10 * np.log10(np.mean(VOICE**2) / np.mean((noisy - VOICE) ** 2)))
    assert 4.9 < min(ratios) < max(ratios) < 35.1

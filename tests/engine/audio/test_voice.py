"""Silence and tones are no voices, at any level and length; quiet, short and plain voices are."""

from pathlib import Path

import numpy as np
import pytest
import soxr

from emotion_search.engine.audio import voice
from emotion_search.engine.audio.file import decode
from emotion_search.engine.audio.synthetic_voices import MANNERS, speak
from emotion_search.engine.audio.voice import voiceless
from emotion_search.engine.files.scan import find_audio
from emotion_search.engine.inference.predict import predict_files
from emotion_search.engine.library.library import Library
from emotion_search.index.errors import AudioError
from tests.conftest import tone, write_wav

RNG = np.random.default_rng(0)
LOW, HIGH = (697, 770, 852, 941), (1209, 1336, 1477, 1633)


def sine(hz: float, seconds: float = 2.0) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * 16_000)) / 16_000)


def wave(hz: np.ndarray, harmonics: int = 1) -> np.ndarray:
    """A tone whose frequency is told sample by sample."""
    phase = 2 * np.pi * np.cumsum(hz) / 16_000
    return 0.2 * sum(np.sin(n * phase) / n for n in range(1, harmonics + 1))


def coloured(slope: float, size: int = 80_000) -> np.ndarray:
    """Noise whose power falls by 6 ``slope`` dB an octave."""
    spectrum = np.fft.rfft(RNG.normal(size=size)) / np.arange(1.0, size // 2 + 2) ** slope
    noise = np.fft.irfft(spectrum)
    return 0.3 * noise / np.abs(noise).max()


def dialling(on: float, off: float) -> np.ndarray:
    pairs = zip(RNG.choice(LOW, 12), RNG.choice(HIGH, 12), strict=True)
    digits = [sine(low, on) + sine(high, on) for low, high in pairs]
    return np.concatenate([part for one in digits for part in (one, np.zeros(round(off * 16_000)))])


def telephone(samples: np.ndarray) -> np.ndarray:
    """At 8 kHz, in the steps of 8 bits of µ-law."""
    narrow = soxr.resample(samples, 16_000, 8_000)
    law = np.sign(narrow) * np.log1p(255 * np.abs(narrow)) / np.log(256)
    law = np.round(law * 127) / 127
    return soxr.resample(np.sign(law) * (256 ** np.abs(law) - 1) / 255, 8_000, 16_000)


def bell(hz: float, seconds: float = 2.0) -> np.ndarray:
    """Partials that decay, the higher the faster."""
    at = np.arange(round(seconds * 16_000)) / 16_000
    partials = ((0.5, 1), (1, 1.5), (1.2, 2), (1.5, 2.5), (2, 3), (2.5, 3.5))
    return sum(0.1 * np.exp(-fade * at) * np.sin(2 * np.pi * hz * n * at) for n, fade in partials)


def beeps(*hz: float, on: float, off: float) -> np.ndarray:
    one = np.concatenate([sum(sine(one, on) for one in hz), np.zeros(round(off * 16_000))])
    return np.tile(one, 5)


TONES = {
    "sine": sine(440),
    "long": sine(1000, 15.0),
    "short": sine(300, 0.3),
    "beep": sine(1000, 0.1),
    "shortest": sine(220, 0.03),
    "hum": sine(50),
    "dial": sine(350) + sine(440),
    "ringing": sine(440) + sine(480),
    "ringing with pauses": beeps(440, 480, on=1.0, off=2.0),
    "engaged": np.tile(np.concatenate([sine(480, 0.5) + sine(620, 0.5), np.zeros(8000)]), 3),
    "square": np.sign(sine(440)) / 5,
    "beeps": np.tile(np.concatenate([np.sign(sine(1000, 0.4)) / 5, np.zeros(9600)]), 4),
    "short beeps": np.tile(np.concatenate([sine(1000, 0.1), np.zeros(14_400)]), 3),
    "faint pause": 0.3 * np.tile(np.concatenate([sine(1000, 0.06), np.zeros(15_040)]), 3)
    + 0.002 * RNG.normal(size=48_000),
    "short pairs": beeps(480, 620, on=0.05, off=0.3),
    "shorter pairs": beeps(1000, 1400, on=0.03, off=0.1),
    "pairs that are near": beeps(350, 440, on=0.08, off=0.9),
    "bell": bell(440),
    "bells": np.tile(bell(1200, 0.5), 4),
    "chords": np.concatenate([bell(hz, 1.0) + bell(1.5 * hz, 1.0) for hz in (262, 330, 294)]),
    "sweep": wave(np.linspace(200, 4000, 80_000)),
    "falling whistle": wave(np.geomspace(3000, 300, 16_000)),
    "siren": wave(1000 + 500 * np.sin(np.arange(80_000) / 3000), 2),
    "two-tone horn": wave(np.where(np.arange(80_000) // 8000 % 2, 440, 585), 5),
    "dtmf": dialling(0.1, 0.1),
    "fast dtmf": dialling(0.05, 0.05),
    "joined dtmf": dialling(0.1, 0.0),
}
SILENT = {
    "shortest": np.zeros(400),
    "zeros": np.zeros(80_000),
    "offset": np.full(80_000, 0.1),
    "last bit": RNG.integers(-1, 2, 80_000) / 32_768,
    "hiss": 1e-4 * RNG.normal(size=80_000),
    "white noise": 0.05 * RNG.normal(size=80_000),
    "half a second of noise": 0.3 * RNG.normal(size=8_000),
    "pink noise": coloured(0.5),
    "brown noise": coloured(1.0),
    "blue noise": coloured(-0.5),
    "half a second of brown noise": coloured(1.0, 8_000),
}

AT = np.arange(80_000)
CLICKS = {
    "one click": 0.9 * (AT == 40_000),
    "clicks": 0.8 * (AT % 16_000 == 0),
    "a click of 20 ms": 0.5 * (abs(AT - 40_000) < 160) * RNG.normal(size=80_000),
    "a click in hiss": 0.9 * (AT == 40_000) + SILENT["hiss"],
    "a step": 0.3 * (AT > 40_000),
}


@pytest.mark.parametrize("size", [512, 1024])
@pytest.mark.parametrize("count", [300, 5000])
def test_spectra_are_of_windowed_frames_a_quarter_apart_without_what_is_not_heard(
    size: int, count: int
):
    samples = RNG.normal(size=count).astype(np.float32)
    padded = np.append(samples, np.zeros(max(0, size - count), np.float32))
    frames = [padded[i : i + size] for i in range(0, len(padded) - size + 1, size // 4)]
    expected = np.abs(np.fft.rfft(np.array(frames) * np.hanning(size), axis=1)) ** 2
    hz = np.fft.rfftfreq(size, 1 / 16_000)
    expected[:, hz <= 35] = 0
    assert voice._spectra(samples, size) == pytest.approx(expected, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("hz", [101.3, 440.0, 1000.7, 3456.7])
def test_the_pitch_of_a_tone_is_found_between_the_bins(hz: float):
    found = voice._pitch(voice._spectra(sine(hz).astype(np.float32), 1024))
    assert found == pytest.approx(hz, abs=0.5)


def test_the_share_of_the_two_strongest_peaks_is_told_and_where_these_are():
    two = voice._spectra((sine(700) + 2 * sine(1300)).astype(np.float32), 1024)
    share, hz = voice._peaks(two, 1024)
    assert share.min() > 0.999
    assert hz[:, 0] == pytest.approx(1300, abs=8)  # half a bin
    assert hz[:, 1] == pytest.approx(700, abs=8)
    three = voice._spectra((sine(700) + 2 * sine(1300) + sine(3000)).astype(np.float32), 1024)
    assert voice._peaks(three, 1024)[0] == pytest.approx(5 / 6, abs=0.01)
    assert voice._peaks(voice._spectra(RNG.normal(size=16_000), 1024), 1024)[0].mean() < 0.1


def test_loud_frames_are_a_tenth_of_the_loudest_and_steady_ones_as_loud_as_those_around():
    levels = np.array([1.0] * 12 + [0.1] * 12 + [0.099] * 12 + [0.5] * 5 + [0.7] + [0.85] * 12)
    loud, steady = voice._steady(levels[:, None])
    assert np.array_equal(loud, levels >= 0.1)
    around = [levels[max(0, i - 4) : i + 5].max() for i in range(len(levels))]
    assert np.array_equal(steady, loud & (levels >= 0.8 * np.array(around)))
    assert 0 < steady.sum() < loud.sum()


@pytest.mark.parametrize(("db", "fade", "size", "is_noise"), [
    (-61, 0, 7_000, True), (-59, 0, 7_000, False), (-70, 2, 80_000, True), (-70, 5, 80_000, False),
    (-20, 0, 8_000, True), (-20, 0, 7_900, False), (-20, 2, 80_000, True), (-20, 5, 80_000, False),
])  # fmt: skip
def test_noise_is_of_a_level_that_stays_and_quiet_or_half_a_second(
    db: float, fade: float, size: int, is_noise: bool
):
    noise = np.random.default_rng(0).normal(size=size)
    noise *= 10 ** (np.linspace(0, -fade, size) / 20)
    noise *= 10 ** (db / 20) / np.sqrt(np.mean(noise**2))
    peak = np.abs(noise).max()
    samples = (noise / peak).astype(np.float32)
    assert voice._is_noise(samples, voice._spectra(samples, 1024), peak) is is_noise


@pytest.mark.parametrize("seconds", [0.5, 2.0])
@pytest.mark.parametrize("hz", [100, 150, 206, 220, 300, 500])
def test_a_hum_whose_pitch_moves_is_no_noise(hz: float, seconds: float):
    hum = tone(seconds, hz)
    samples = hum / np.abs(hum).max()
    assert not voice._is_noise(samples, voice._spectra(samples, 1024), 0.4)


@pytest.mark.parametrize("name", CLICKS)
def test_clicks_are_no_voices(name: str):
    assert voiceless(CLICKS[name].astype(np.float32))


def test_a_word_between_clicks_is_a_voice():
    word = np.pad(speak("anger", speaker=0, seed=0, seconds=0.5), (30_000, 42_000))
    assert not voiceless((word + CLICKS["clicks"]).astype(np.float32))


@pytest.mark.parametrize("gain", [1.0, 0.01])
@pytest.mark.parametrize("name", TONES)
def test_tones_are_no_voices(name: str, gain: float):
    assert voiceless((gain * TONES[name]).astype(np.float32))
    if gain == 1.0:
        assert voiceless(telephone(TONES[name]).astype(np.float32))


@pytest.mark.parametrize("name", SILENT)
def test_silence_is_no_voice(name: str):
    assert voiceless(SILENT[name].astype(np.float32))


@pytest.mark.parametrize("manner", MANNERS)
@pytest.mark.parametrize("seconds", [0.3, 1.0, 5.0])
@pytest.mark.parametrize("gain", [1.0, 0.01])
def test_voices_are_voices(manner: str, seconds: float, gain: float):
    voice = gain * speak(manner, speaker=1, seed=2, seconds=seconds)
    assert not voiceless(np.round(voice * 32_768).astype(np.float32) / 32_768)
    assert not voiceless(telephone(voice / gain).astype(np.float32) * np.float32(gain))


@pytest.mark.parametrize(("manner", "seed", "seconds"), [
    ("sadness", 15, 0.7), ("sadness", 55, 1.0), ("neutral", 6, 0.7),
])  # fmt: skip
def test_a_voice_that_hardly_moves_is_one(manner: str, seed: int, seconds: float):
    assert not voiceless(speak(manner, speaker=seed // 4, seed=seed, seconds=seconds))


def test_what_is_too_short_for_a_clip_is_not_judged():
    assert not voiceless(np.zeros(399, np.float32))


def test_dialling_is_a_pair_of_the_keys_tones_and_little_else():
    key, noise = sine(770, 0.3) + sine(1336, 0.3), RNG.normal(size=4_800)
    assert voice._is_dialling(key)
    for other in (sine(770) + sine(1900), sine(500) + sine(1336), key + 0.2 * noise):
        assert not voice._is_dialling(other)


def test_breath_is_let_pass():
    swell = np.sin(np.pi * np.arange(16_000) / 16_000)
    assert not voiceless((0.02 * swell * RNG.normal(size=16_000)).astype(np.float32))
    assert not voiceless(0.02 * RNG.normal(size=7_000).astype(np.float32))


def test_a_voice_after_tones_is_a_voice():
    voice = speak("anger", speaker=0, seed=0, seconds=2.0)
    assert not voiceless(np.concatenate([TONES["dtmf"], voice]).astype(np.float32))


def test_real_speech_is_speech_at_any_level(emodb: Path):
    refused = 0
    for path in sorted(emodb.glob("**/*.flac"))[::5]:
        samples = decode(path)
        quiet = np.round(samples * 327.68).astype(np.float32) / 32_768
        refused += voiceless(samples) + voiceless(quiet) + voiceless(telephone(samples))
    assert refused == 0


@pytest.mark.parametrize("seconds", [1.0, 40.0])
def test_tones_are_ingested_and_searched_for_as_without_speech(
    library: Library, tmp_path: Path, seconds: float
):
    path = write_wav(tmp_path / "tone.wav", sine(440, seconds).astype(np.float32))
    voice = write_wav(tmp_path / "voice.wav", speak("anger", speaker=0, seed=0, seconds=1.0))
    report = library.ingest(find_audio([str(path), str(voice)]).files)
    assert (report.silent, report.recordings, report.failed) == (1, 1, [])
    with pytest.raises(AudioError, match=r"tone\.wav has no speech in it"):
        library.search(path)


@pytest.mark.parametrize("granularity", ["utterance", "window"])
def test_silence_has_no_emotion(library: Library, tmp_path: Path, granularity: str):
    path = write_wav(tmp_path / "x.wav", np.zeros(32_000, np.float32))
    *_, whole = predict_files([path], library.embedder(), granularity)
    assert whole.emotion is None
    assert "no speech" in (whole.error or "")


def test_a_silent_stretch_does_not_change_the_whole(library: Library, tmp_path: Path):
    voice = speak("anger", speaker=0, seed=0, seconds=15.0)
    silent = np.zeros(30 * 16_000, np.float32)
    alone = write_wav(tmp_path / "alone.wav", voice)
    (first,) = predict_files([alone], library.embedder())
    both = write_wav(tmp_path / "both.wav", np.concatenate([voice, silent]))
    (again,) = predict_files([both], library.embedder())
    assert again.scores == pytest.approx(first.scores, abs=1e-3)

"""What cannot be a voice: silence, noise, sirens, and tones such as those of a telephone."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from emotion_search.engine.audio.samples import SAMPLE_RATE, SHORTEST, Samples
from emotion_search.engine.audio.speech import LEAST_S, spoken
from emotion_search.index.errors import AudioError

NO_VOICE = "has no speech in it: it is silent, or a tone"

Array = NDArray[np.floating]

_PIECE = SAMPLE_RATE // 2  # samples that are searched for speech at a time
_STEP = 0.6 / (1 << 15)  # amplitude below which 16 bits hold nothing
_QUIET_DB, _EVEN_DB = -60.0, 3.0  # level of hiss, and how far most of its frames lie apart
_CONSTANT_DB, _SEVERAL = 1.4, 28  # the same of sirens, in half a second of frames
_FAR = 1.25  # ratio of their pitches, of most frames
_FREQUENCIES = 80  # that are audible in noise, at least; hums have half as many
_AUDIBLE = 1e-6  # share of the strongest one's power in them
_BREATH_S = 0.5  # that is as loud for longer is none
_NOISE_DB = 2.0, 10.0  # deviations of most frequencies: 5.6, and near that in few frames
_LOUD, _STEADY = 0.1, 0.8  # of the power of the loudest frame, of the frames around
_LOBE_HZ = 47.0  # on either side of a peak that belong to it
_IN_PEAKS = 0.9975  # share of the power that is in the two peaks of a tone
_BRIEF, _IN_BEEP = 2048, 0.9985  # samples, of which two peaks have this share in a beep
_ALIKE, _SAME = 0.985, 0.997  # cosine of spectra 32 ms apart; of voices 0.982
_DRIFT_HZ, _STILL_HZ = 0.32, 0.1  # of the strongest peak of a tone, in 16 ms
_SUSTAINED = 0.7  # share of the loud frames that are steady in tones with harmonics
_MOST = 0.25  # quantile of frames beyond which these hold
_FEWEST = 4  # frames to judge that by
_RUMBLE_HZ = 35.0  # below which nothing is heard
_LOW = np.array([697.0, 770.0, 852.0, 941.0])  # Hz of DTMF: ITU-T Q.23
_HIGH = np.array([1209.0, 1336.0, 1477.0, 1633.0])
_OFF = 0.025  # share by which they may be off
_CLICK_S, _CLICK_STEP = 0.03, 64  # that a click lasts at most; samples of a step of 4 ms
_BEEP_LEVEL = 0.02  # of the loudest 10 ms, below which is silence
_CLICK_LEVEL = 0.05  # of the strongest change of the signal, below which a click has ended


def voiceless(samples: Samples) -> bool:
    """Whether nothing in mono float32 samples (n,) at 16 kHz can be a voice.

    Silent is what 16 bits do not hold. Noise is about as loud in every frame, for half a second or
    below -60 dBFS; what is shorter and louder may be breath, and so may noise that swells, fades
    or pulses: both are let pass. Sirens and sweeps are as loud in every frame, and their pitch
    moves far. A tone, also one that fades as a bell does, has a spectrum that stays, or nearly all
    its power in two peaks, and a pitch that stays; those of a voice move. Clicks, and steps from
    one level to another, last less than a syllable does. What has a quarter of a second of speech
    is none of it, and so it is for the most part, by its louder frames. What is too short for a
    clip is let pass.
    """
    if len(samples) < SHORTEST:
        return False
    centred = samples - samples.mean(dtype=np.float64).astype(np.float32)
    peak = float(np.abs(centred).max())
    if peak < _STEP:
        return True
    centred = centred / np.float32(peak)
    if spoken(centred[i : i + _PIECE] / 2 for i in range(0, len(centred), _PIECE)) >= LEAST_S:
        return False
    power = _spectra(centred, 1024)
    return (
        _is_noise(centred, power, peak)
        or _is_siren(power)
        or _is_tone(power)
        or _are_beeps(centred)
        or _is_dialling(centred)
        or _is_clicks(centred)
    )


def _is_noise(samples: Array, power: Array, peak: float) -> bool:
    """Whether the level stays and samples are quiet, once their peak is what it was; or half a
    second or more is noise of some colour: all frequencies together, made as loud as each other,
    stay, and the power of one has an exponential distribution."""
    level = 10 * np.log10(np.mean(np.square(samples, dtype=np.float64))) + 20 * np.log10(peak)
    if level < _QUIET_DB and _spread(power.sum(axis=1)) < _EVEN_DB:
        return True
    if len(samples) < _BREATH_S * SAMPLE_RATE:
        return False
    mean = power.mean(axis=0)
    audible = mean >= _AUDIBLE * mean.max()
    if (
        audible.sum() < _FREQUENCIES
        or _spread((power[:, audible] / mean[audible]).sum(axis=1)) > _EVEN_DB
    ):
        return False
    apart = power[::4, audible]  # frames that share no sample
    deviations = np.std(10 * np.log10(apart + 1e-12 * apart.max()), axis=0)
    least, most = np.quantile(deviations, [0.1, 0.9])
    return bool(_NOISE_DB[0] < least and most < _NOISE_DB[1])


def _is_siren(power: Array) -> bool:
    """Whether all frames are about as loud as each other, as those of no voice are, and their pitch
    is that of a pure tone or moves far, as in sweeps."""
    if len(power) < _SEVERAL or _spread(power.sum(axis=1)) >= _CONSTANT_DB:
        return False
    low, high = np.quantile(_pitch(power), [0.1, 0.9])
    return bool(high >= _FAR * low or np.quantile(_peaks(power, 1024)[0], _MOST) >= _IN_PEAKS)


def _spread(levels: Array) -> float:
    """How far most powers lie apart, in dB."""
    decibels = 10 * np.log10(np.maximum(levels, 1e-20))
    return float(np.quantile(decibels, 0.9) - np.quantile(decibels, 0.1))


def _is_tone(power: Array) -> bool:
    """Whether spectra, 16 ms apart, are those of tones: loud ones stay exactly as they are; or
    nearly, and their pitch exactly, though they may fade as a bell does; or steady ones stay, or
    have two peaks, and their pitch hardly moves."""
    loud, steady = _steady(power)
    moved = np.abs(np.diff(_pitch(power)))
    spectra = np.sqrt(power)
    spectra /= np.maximum(np.linalg.norm(spectra, axis=1, keepdims=True), 1e-20)
    cosines = (spectra[2:] * spectra[:-2]).sum(axis=1)[loud[2:] & loud[:-2]]
    alike = np.quantile(cosines, _MOST) if len(cosines) >= _FEWEST else 0.0
    sustained = steady.sum() >= _SUSTAINED * loud.sum()
    if alike >= _SAME and sustained:  # of two tones as loud, neither is always the strongest
        return True
    if alike >= _ALIKE and np.median(moved[loud[1:] & loud[:-1]]) <= _STILL_HZ:
        return True
    pairs = steady[1:] & steady[:-1]
    if pairs.sum() < _FEWEST or np.median(moved[pairs]) > _DRIFT_HZ:
        return False
    if alike >= _ALIKE and sustained:
        return True
    return bool(np.quantile(_peaks(power[steady], 1024)[0], _MOST) >= _IN_PEAKS)


def _are_beeps(samples: Array) -> bool:
    """Whether every sound that stands out of silence is a short beep."""
    size = SAMPLE_RATE // 100
    steps = samples[: len(samples) // size * size].reshape(-1, size)
    power = np.square(steps, dtype=np.float64).sum(axis=1)
    loud = np.concatenate([[False], power > _BEEP_LEVEL**2 * power.max(), [False]])
    edges = np.flatnonzero(np.diff(loud.astype(np.int8))) * size
    return all(_is_beep(samples[a:b]) for a, b in zip(edges[::2], edges[1::2], strict=True))


def _is_beep(samples: Array) -> bool:
    """Whether samples too short for several frames have all their power in two peaks, as a voice of
    EMO-DB has in one of 3,276 places."""
    size = len(samples)
    if size >= _BRIEF:
        return False
    power = np.square(np.abs(np.fft.rfft(samples * np.hanning(size), _BRIEF)))
    power[: int(_RUMBLE_HZ * _BRIEF / SAMPLE_RATE) + 1] = 0
    lobe = 2.2 * SAMPLE_RATE / size  # Hz on either side; of a Hann window it is 2
    return bool(_peaks(power[None], _BRIEF, lobe)[0][0] >= _IN_BEEP)


def _pitch(power: Array) -> Array:
    """The strongest frequency of each frame of 1024 samples, in Hz, by a parabola through the
    logarithms of the bins around it."""
    rows, last = np.arange(len(power)), power.shape[1] - 2
    peak = np.clip(power.argmax(axis=1), 1, last)
    before, at, after = (np.log(power[rows, peak + i] + 1e-30) for i in (-1, 0, 1))
    shift = 0.5 * (before - after) / (before - 2 * at + after - 1e-12)
    return np.asarray((peak + shift) * SAMPLE_RATE / 1024)


def _spectra(samples: Array, size: int) -> Array:
    """Power spectra of frames of ``size`` samples, a quarter of that apart: (frames, bins)."""
    if len(samples) < size:
        samples = np.pad(samples, (0, size - len(samples)))
    frames = sliding_window_view(samples, size)[:: size // 4] * _window(size)
    fft = sys.modules.get("scipy.fft", np.fft)  # six times as fast, where somebody has loaded it
    power = np.square(np.abs(fft.rfft(frames, axis=1)))
    power[:, : int(_RUMBLE_HZ * size / SAMPLE_RATE) + 1] = 0
    return np.asarray(power)


@cache
def _window(size: int) -> Array:
    return np.hanning(size).astype(np.float32)


def _steady(power: Array) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which frames are loud; and which of them are as loud as those that overlap them."""
    levels = power.sum(axis=1)
    loud = levels >= _LOUD * levels.max()
    around = sliding_window_view(np.pad(levels, 4, mode="symmetric"), 9).max(axis=1)
    return loud, loud & (levels >= _STEADY * around)


def _peaks(power: Array, size: int, lobe: float = _LOBE_HZ) -> tuple[Array, Array]:
    """The share of each frame's power that is in its two strongest peaks: (frames,); and their
    frequencies in Hz: (frames, 2)."""
    step = SAMPLE_RATE / size
    bins = np.arange(power.shape[1])
    left, places = power.copy(), []
    for _ in range(2):
        place = left.argmax(axis=1)
        left[np.abs(bins - place[:, None]) <= lobe / step] = 0
        places.append(place * step)
    share = 1 - left.sum(axis=1) / np.maximum(power.sum(axis=1), 1e-20)
    return share, np.stack(places, axis=1)


def _is_clicks(samples: Array) -> bool:
    """Whether nothing loud lasts longer than a click."""
    change = np.abs(np.diff(samples))
    change = change[: len(change) // _CLICK_STEP * _CLICK_STEP].reshape(-1, _CLICK_STEP)
    loud = np.flatnonzero(change.max(axis=1) >= _CLICK_LEVEL * change.max())
    ends = np.flatnonzero(np.diff(loud, append=len(samples)) > 1)  # of runs of loud steps
    longest = np.diff(ends, prepend=-1).max()
    return bool(longest * _CLICK_STEP < _CLICK_S * SAMPLE_RATE < len(samples) / 10)


def _is_dialling(samples: Array) -> bool:
    """Whether most steady frames are pairs of DTMF tones, which may be as short as 40 ms."""
    power = _spectra(samples, 512)
    share, hz = _peaks(power[_steady(power)[1]], 512)
    hz.sort(axis=1)
    half = SAMPLE_RATE / 512 / 2
    low = (np.abs(hz[:, :1] - _LOW) <= half + _OFF * _LOW).any(axis=1)
    high = (np.abs(hz[:, 1:] - _HIGH) <= half + _OFF * _HIGH).any(axis=1)
    return bool(np.mean(low & high & (share > 0.9)) > 0.5)


def require_voice(blocks: Iterable[Samples]) -> Iterator[Samples]:
    """The blocks of a recording, mono float32 at 16 kHz.

    Raises:
        AudioError: at its end, if no block can have been a voice.
    """
    voice = False
    for block in blocks:
        voice = voice or not voiceless(block)
        yield block
    if not voice:
        raise AudioError(NO_VOICE)

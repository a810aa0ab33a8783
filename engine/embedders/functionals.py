"""Acoustic functionals of a clip: statistics of spectrum, pitch and energy, in numpy alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from engine.audio import SAMPLE_RATE, Samples

Array = NDArray[np.float64]

FRAME = 400
"""Samples of a frame (25 ms at 16 kHz)."""
HOP = 160
"""Samples between frames (10 ms)."""
BANDS = 32
_FFT = 512
_PITCH_FRAME = 640  # 40 ms: two periods of the lowest pitch
_PITCH_HZ = (60.0, 500.0)
_VOICED = 0.45  # normalised autocorrelation from which a frame counts as voiced
_ACTIVE_DB = 35.0  # frames quieter than the loudest by more are pauses
_ANALYSED_S = 30.0  # frames analysed at once; bounds memory


@dataclass(frozen=True, eq=False)
class Group:
    """Functionals of one kind, which weigh together as much as any other group of weight 1."""

    name: str
    values: Array
    weight: float


def functionals(samples: Samples) -> list[Group]:
    """Groups of functionals of a clip (float32, (n,), 16 kHz, n >= 400), always of the same sizes.

    Level plays no part: the clip is scaled to unit RMS first.

    Source: the kinds of descriptors and functionals follow eGeMAPS (Eyben et al., IEEE Trans.
    Affective Computing 7(2), 2016) in spirit; the definitions are our own.
    """
    x = samples.astype(np.float64)
    x -= x.mean()
    rms = float(np.sqrt(np.mean(x * x)))
    x /= rms if rms > 1e-9 else 1.0
    power = _power_spectra(x)
    mel = np.log(power @ _mel_filters().T + 1e-6)
    energy = 10 * np.log10(power.sum(axis=1) + 1e-6)
    active = energy > energy.max() - _ACTIVE_DB
    pitch, strength = _pitch(x)
    return [
        Group("cepstrum", _cepstral_means(mel[active]), 0.5),
        Group("bands", mel[active].std(axis=0), 0.7),
        Group("change", _change(mel), 0.7),
        Group("shape", _spectral_shape(power[active]), 1.0),
        Group("pitch", _pitch_statistics(pitch, strength), 1.2),
        Group("energy", _energy_statistics(energy, active), 0.8),
    ]


def _frames(x: Array, size: int) -> Array:
    """Frames of ``size`` samples every ``HOP``, the end padded with zeros to fill one at least."""
    if len(x) < size:
        x = np.pad(x, (0, size - len(x)))
    return np.lib.stride_tricks.sliding_window_view(x, size)[::HOP]


def _power_spectra(x: Array) -> Array:
    """Power spectra of Hann-windowed frames, (frames, _FFT // 2 + 1)."""
    frames = _frames(x, FRAME)
    window = np.hanning(FRAME)
    return np.abs(np.fft.rfft(frames * window, _FFT)) ** 2 / FRAME


@cache
def _mel_filters() -> Array:
    """Triangular filters, evenly spaced in mel from 60 Hz to 7600 Hz: (BANDS, _FFT // 2 + 1)."""

    def mel(hz: float) -> float:
        return float(2595 * np.log10(1 + hz / 700))

    edges = 700 * (10 ** (np.linspace(mel(60.0), mel(7600.0), BANDS + 2) / 2595) - 1)
    hz = np.fft.rfftfreq(_FFT, 1 / SAMPLE_RATE)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    return np.maximum(0, np.minimum((hz - low) / (middle - low), (high - hz) / (high - middle)))


def _cepstral_means(mel: Array) -> Array:
    """Mean of cepstral coefficients 1 to 12 (level, coefficient 0, is left out)."""
    k = np.arange(1, 13)[:, None]
    basis = np.cos(np.pi * k * (np.arange(BANDS) + 0.5) / BANDS) / BANDS
    return np.asarray(mel.mean(axis=0) @ basis.T)


def _change(mel: Array) -> Array:
    """Mean absolute change of neighbouring pairs of bands over 20 ms."""
    if len(mel) < 3:
        return np.zeros(BANDS // 2)
    change = np.abs(mel[2:] - mel[:-2]).mean(axis=0)
    return np.asarray(change.reshape(-1, 2).mean(axis=1))


def _spectral_shape(power: Array) -> Array:
    """Mean and deviation of centroid (octaves), tilt, high-to-low ratio, roll-off, flux."""
    hz = np.fft.rfftfreq(_FFT, 1 / SAMPLE_RATE)
    total = power.sum(axis=1) + 1e-9
    centroid = np.log2((power @ hz) / total + 50)
    low = power[:, (hz >= 50) & (hz < 1000)].sum(axis=1) + 1e-6
    middle = power[:, (hz >= 1000) & (hz < 3000)].sum(axis=1) + 1e-6
    high = power[:, hz >= 3000].sum(axis=1) + 1e-6
    below = (np.cumsum(power, axis=1) < 0.85 * total[:, None]).sum(axis=1)
    rolloff = np.log2(hz[np.minimum(below, len(hz) - 1)] + 50)
    rows = np.stack([centroid, np.log(middle / low), np.log(high / low), rolloff])
    share = power / total[:, None]
    flux = np.abs(np.diff(share, axis=0)).sum(axis=1) if len(power) > 1 else np.zeros(1)
    return np.concatenate([rows.mean(axis=1), rows.std(axis=1), [flux.mean(), flux.std()]])


def _pitch(x: Array) -> tuple[Array, Array]:
    """Pitch (log2 Hz) and periodicity (0 to 1) of each frame.

    The first high peak of the normalised autocorrelation (Boersma, IFA Proceedings 17, 1993).
    """
    parts = [
        _pitch_of(frames)
        for frames in np.array_split(
            _frames(x, _PITCH_FRAME),
            max(1, round(len(x) / SAMPLE_RATE / _ANALYSED_S)),
        )
    ]
    return np.concatenate([p for p, _ in parts]), np.concatenate([s for _, s in parts])


def _pitch_of(frames: Array) -> tuple[Array, Array]:
    window = np.hanning(_PITCH_FRAME)
    size = 2048

    def autocorrelation(rows: Array) -> Array:
        return np.fft.irfft(np.abs(np.fft.rfft(rows, size)) ** 2)

    own = autocorrelation(window[None])[0]
    shortest, longest = (round(SAMPLE_RATE / hz) for hz in reversed(_PITCH_HZ))
    centred = frames - frames.mean(axis=1, keepdims=True)
    rows = autocorrelation(centred * window)
    rows = rows / np.maximum(rows[:, :1], 1e-9) / np.maximum(own / own[0], 1e-3)
    lags = rows[:, shortest - 1 : longest + 2]
    middle = lags[:, 1:-1]
    peak = (middle >= lags[:, :-2]) & (middle >= lags[:, 2:])
    height = np.where(peak, middle, -1.0)
    best = height.max(axis=1)
    first = np.argmax(height >= 0.9 * best[:, None], axis=1)  # not an octave below
    strength = np.clip(height[np.arange(len(height)), first], 0, 1)
    return np.log2(SAMPLE_RATE / (first + shortest)), strength


def _pitch_statistics(pitch: Array, strength: Array) -> Array:
    """Level, spread, movement and clarity of the pitch; neutral values for an unvoiced clip."""
    voiced = strength > _VOICED
    share = voiced.mean()
    if voiced.sum() < 5:
        return np.array([7.4, 0.0, 0.0, 0.0, 0.0, 0.0, share, strength.mean()])
    p10, p50, p90 = np.percentile(pitch[voiced], [10, 50, 90])
    together = voiced[1:] & voiced[:-1]
    step = np.diff(pitch)[together]
    step = step[np.abs(step) < 0.25]  # an octave error is no movement
    move = np.abs(step).mean() if len(step) else 0.0
    slope = step.mean() if len(step) else 0.0
    return np.array(
        [
            p50,
            p90 - p50,
            p50 - p10,
            pitch[voiced].std(),
            move,
            slope,
            share,
            strength[voiced].mean(),
        ]
    )


def _energy_statistics(energy: Array, active: Array) -> Array:
    """Spread and movement of the level (dB), share of pauses, and rhythm (2 to 16 Hz)."""
    level = energy[active]
    p10, p50, p90 = np.percentile(level, [10, 50, 90])
    step = np.abs(np.diff(energy)) if len(energy) > 1 else np.zeros(1)
    contour = np.maximum(energy, energy.max() - _ACTIVE_DB)
    spectrum = np.abs(np.fft.rfft((contour - contour.mean()) * np.hanning(len(contour)), 512))
    hz = np.fft.rfftfreq(512, HOP / SAMPLE_RATE)
    bands = [
        spectrum[(hz >= low) & (hz < 2 * low)].mean() / np.sqrt(len(contour)) for low in (2, 4, 8)
    ]
    pause = 1 - active.mean()
    return np.array([p90 - p50, p50 - p10, level.std(), step.mean(), step.std(), pause, *bands])

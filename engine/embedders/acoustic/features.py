"""Features of a clip for the built-in network: log-mel, pitch and energy, in torch."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from emotion_search.engine.audio.file import SAMPLE_RATE

FRAME = 400
"""Samples of a frame (25 ms at 16 kHz)."""
HOP = 160
"""Samples between frames (10 ms)."""
MELS = 64
CHANNELS = MELS + 4
"""Rows of the features: mel bands, energy, periodicity, pitch within the clip, pitch."""

_FFT = 512
_MEL_HZ = (60.0, 7600.0)
_FLOOR = 1e-5  # of the mean power: 50 dB down, what lies under it is the room
_PITCH_FRAME = 640  # 40 ms: two periods of the lowest pitch
_PITCH_FFT = 1024
_PITCH_HZ = (60.0, 500.0)
_VOICED = 0.5  # normalised autocorrelation from which a frame counts as voiced
_MIDDLE_HZ = 180.0  # between the pitch of men and of women
_QUIET = 1e-9  # mean power under which a clip is silence
_ANALYSED = 3000  # frames whose pitch is found at once (30 s); bounds memory


def features(samples: Tensor) -> Tensor:
    """Features of a clip: float32, (``CHANNELS``, frames), frames = 1 + (n - 400) // 160.

    Level plays no part: the clip is brought to the same mean power first. Frames are centred on
    the same instants for all rows. Rows: ``MELS`` log mel bands (nats over the clip's mean, from
    -11.5 on), log energy (likewise), periodicity (0 to 1), then, in octaves and 0 where unvoiced,
    pitch relative to the clip's median and pitch relative to 180 Hz.

    Args:
        samples: float32, (n,), 16 kHz, n >= 400.
    """
    x = samples - samples.mean()
    x = x * torch.rsqrt(torch.clamp(torch.mean(x * x), min=_QUIET))
    frames = x.unfold(0, FRAME, HOP)
    spectra = power(frames * _window(FRAME), _FFT) / FRAME
    mel = spectra @ _mel_filters()
    energy = torch.log(spectra.sum(dim=1) / (_FFT // 2) + _FLOOR)
    strength, pitch = _pitch(x)
    voiced = strength > _VOICED
    voiced_first = torch.where(voiced, pitch, torch.inf).sort().values
    middle = voiced_first[(voiced.sum() - 1).clamp(min=0) // 2]  # their median
    within = torch.where(voiced, (pitch - middle).clamp(-1.0, 1.0), 0.0)
    above = torch.where(voiced, pitch, 0.0)
    rows = [torch.log(mel + _FLOOR).T, energy[None], strength[None], within[None], above[None]]
    return torch.cat(rows)


def power(frames: Tensor, size: int) -> Tensor:
    """Power spectra of frames (n, samples): float32, (n, size // 2 + 1). Of real and imaginary
    parts, which takes a quarter of the time of the square of ``abs()``."""
    spectra = torch.fft.rfft(frames, size)
    squares: Tensor = spectra.real.square() + spectra.imag.square()
    return squares


@cache
def _window(size: int) -> Tensor:
    return torch.hann_window(size, periodic=False)


@cache
def _mel_filters() -> Tensor:
    """Triangular filters of area 1, evenly spaced in mel: (_FFT // 2 + 1, MELS)."""
    low, high = (2595 * torch.log10(torch.tensor(1 + hz / 700)) for hz in _MEL_HZ)
    edges = 700 * (10 ** (torch.linspace(float(low), float(high), MELS + 2) / 2595) - 1)
    hz = torch.linspace(0, SAMPLE_RATE / 2, _FFT // 2 + 1)[:, None]
    left, middle, right = edges[:-2], edges[1:-1], edges[2:]
    rise, fall = (hz - left) / (middle - left), (right - hz) / (right - middle)
    filters = torch.clamp(torch.minimum(rise, fall), min=0)
    return filters / filters.sum(dim=0).clamp(min=1e-6)


def _pitch(x: Tensor) -> tuple[Tensor, Tensor]:
    """Periodicity (0 to 1) and pitch (octaves over 180 Hz) of each frame.

    The first high peak of the normalised autocorrelation (Boersma, IFA Proceedings 17, 1993).
    """
    beside = (_PITCH_FRAME - FRAME) // 2
    frames = torch.nn.functional.pad(x, (beside, beside)).unfold(0, _PITCH_FRAME, HOP)
    parts = [_pitch_of(part) for part in torch.split(frames, _ANALYSED)]
    return torch.cat([s for s, _ in parts]), torch.cat([p for _, p in parts])


@cache
def _window_autocorrelation() -> Tensor:
    own = _autocorrelation(_window(_PITCH_FRAME)[None])[0]
    return torch.clamp(own / own[0], min=1e-3)


def _autocorrelation(rows: Tensor) -> Tensor:
    """At lags 0 to the longest period and one more; no lag of use wraps around."""
    lags: Tensor = torch.fft.irfft(power(rows, _PITCH_FFT))
    return lags[:, : round(SAMPLE_RATE / _PITCH_HZ[0]) + 2]


def _pitch_of(frames: Tensor) -> tuple[Tensor, Tensor]:
    shortest = round(SAMPLE_RATE / _PITCH_HZ[1])
    centred = frames - frames.mean(dim=1, keepdim=True)
    rows = _autocorrelation(centred * _window(_PITCH_FRAME))
    rows = rows / rows[:, :1].clamp(min=1e-3) / _window_autocorrelation()
    lags = rows[:, shortest - 1 :]
    middle = lags[:, 1:-1]
    peak = (middle >= lags[:, :-2]) & (middle >= lags[:, 2:])
    height = torch.where(peak, middle, -1.0)
    best = height.amax(dim=1, keepdim=True)
    first = torch.argmax((height >= 0.9 * best).to(torch.uint8), dim=1)  # not an octave below
    strength = height.gather(1, first[:, None])[:, 0].clamp(0.0, 1.0)
    hz = SAMPLE_RATE / (first + shortest).to(torch.float32)
    return strength, torch.log2(hz / _MIDDLE_HZ)

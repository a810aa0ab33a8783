"""Log-mel spectrum of a clip, scaled as the encoder of Whisper expects it, in torch."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from emotion_search.engine.audio.file import SAMPLE_RATE
from emotion_search.engine.embedders.acoustic.features import power

BANDS = 80
HOP = 160
"""Samples between frames (10 ms at 16 kHz)."""

_FRAME = 400  # samples, 25 ms; also the length of the Fourier transform
_QUIET = 1e-9  # mean power under which a clip is silence
_FLOOR = 1e-10
_RANGE = 8.0  # decades of power under the loudest value; what lies below is lifted to there


def log_mel(samples: Tensor) -> Tensor:
    """Log-mel spectrum of a clip: float32, (``BANDS``, frames), frames = n // 160.

    The clip is brought to mean 0 and variance 1, so that level plays no part. Frames are centred on
    samples 0, 160, …, with the clip mirrored at its ends. A value is a quarter of log10 of the
    power in a band, plus 1, and at most 2 below the clip's highest (Radford et al., *Robust Speech
    Recognition via Large-Scale Weak Supervision*, 2022).

    Args:
        samples: float32, (n,), 16 kHz, n >= 400.
    """
    x = samples - samples.mean()
    x = x * torch.rsqrt(torch.clamp(torch.mean(x * x), min=_QUIET))
    around = functional.pad(x[None], (_FRAME // 2, _FRAME // 2), mode="reflect")[0]
    frames = around.unfold(0, _FRAME, HOP)[: samples.shape[0] // HOP]
    bands = power(frames * _window(), _FRAME) @ _filters()
    logs = torch.log10(torch.clamp(bands, min=_FLOOR)).T
    return (torch.maximum(logs, logs.max() - _RANGE) + 4.0) / 4.0


@cache
def _window() -> Tensor:
    return torch.hann_window(_FRAME)


@cache
def _filters() -> Tensor:
    """Triangular filters of area 1, evenly spaced on Slaney's mel scale, which is linear up to
    1 kHz and logarithmic beyond: (201, ``BANDS``)."""
    step = math.log(6.4) / 27  # of the logarithm of a frequency, for one mel
    highest = 15 + math.log(SAMPLE_RATE / 2 / 1000) / step
    mels = torch.linspace(0, highest, BANDS + 2, dtype=torch.float64)
    edges = torch.where(mels < 15, 200 / 3 * mels, 1000 * torch.exp(step * (mels - 15)))
    hz = torch.linspace(0, SAMPLE_RATE / 2, _FRAME // 2 + 1, dtype=torch.float64)[:, None]
    left, middle, right = edges[:-2], edges[1:-1], edges[2:]
    rise, fall = (hz - left) / (middle - left), (right - hz) / (right - middle)
    filters = torch.clamp(torch.minimum(rise, fall), min=0) * 2 / (right - left)
    return filters.to(torch.float32)

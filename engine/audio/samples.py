"""Audio samples: their type, the rate of all that is embedded, from frames of PyAV, as WAV."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emotion_search.index.errors import AudioError

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

Samples = NDArray[np.float32]

SAMPLE_RATE = 16_000
"""Hz of everything that is embedded."""

SHORTEST = 400
"""Fewest samples of a clip (25 ms at 16 kHz): the receptive field of one frame."""

FRAME_HOP = 320
"""Samples from one frame to the next (20 ms at 16 kHz): 50 frames a second."""


_RATES = (1_000, 768_000)  # Hz
_CHANNELS = 64
_DENSEST = 64 * 48_000  # samples a second of all channels

_SCALES = {"u8": 128, "s16": 1 << 15, "s32": 1 << 31, "flt": 1, "dbl": 1}
"""Sample formats by the number that stands for full scale."""
_TYPES = {"u8": "u1", "s16": "i2", "s32": "i4", "flt": "f4", "dbl": "f8"}


def check_density(rate: int, channels: int) -> None:
    """Raise AudioError where a header is damaged, or an attack."""
    if not _RATES[0] <= rate <= _RATES[1]:
        raise AudioError(f"has a sample rate of {rate} Hz, which is no audio's")
    if not 1 <= channels <= _CHANNELS or rate * channels > _DENSEST:
        raise AudioError(
            f"has {channels} channels at {rate} Hz; up to {_CHANNELS} are taken, and"
            f" {_DENSEST:,} samples a second of all together"
        )


def samples_of(frame: AudioFrame) -> Samples:
    """Samples of a frame of PyAV's: float32, (n, channels), full scale 1.

    Raises:
        ValueError: they are of a format that no decoder gives.
    """
    kind = frame.format
    name = kind.name.removesuffix("p")
    if name not in _SCALES:
        raise ValueError(f"samples of the format {kind.name}")
    channels, count = frame.layout.nb_channels, frame.samples
    array: Any
    if kind.is_planar:  # PyAV's own array of eight channels has a ninth plane, which is none
        planes = (np.frombuffer(one, _TYPES[name], count) for one in frame.planes[:channels])  # type: ignore[call-overload]
        array = np.stack([*planes], axis=1)
    else:
        array = frame.to_ndarray().reshape(-1, channels)
    if name == "u8":
        array = array.astype(np.float32) - 128
    return np.asarray(array * np.float32(1 / _SCALES[name]), np.float32)


def wav(samples: Samples, rate: int) -> bytes:
    """Samples (float32, (n,)) at ``rate`` Hz as a file of 16-bit WAV."""
    import soundfile  # which nothing else here needs

    content = io.BytesIO()
    soundfile.write(content, samples, rate, format="WAV", subtype="PCM_16")
    return content.getvalue()


def gathered(parts: Iterable[Samples], size: int) -> Iterator[Samples]:
    """Parts put together to blocks of ``size`` samples or some more; the last may have fewer."""
    waiting: list[Samples] = []
    have = 0
    for part in parts:
        waiting.append(part)
        have += len(part)
        if have >= size:
            yield np.concatenate(waiting)
            waiting, have = [], 0
    if waiting:
        yield np.concatenate(waiting)

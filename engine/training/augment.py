"""Augmentation of speech: speed, colour, reverberation, noise, codecs, clipping."""

from __future__ import annotations

import io
from collections.abc import Callable

import av
import numpy as np
import soxr
from numpy.typing import NDArray

from emotion_search.engine.audio.file import SAMPLE_RATE, Samples

_TELEPHONE_RATE = 8000
_TELEPHONE_HZ = (300.0, 3400.0)

Random = np.random.Generator


def augment(samples: Samples, random: Random, *, others: Callable[[], Samples]) -> Samples:
    """A clip as another voice, room or line might have brought it: float32, 16 kHz.

    A chain of changes, each with its own probability, in the order in which they happen to a
    voice: speed (with pitch and formants, by up to 17 %), the room's colour and reverberation,
    noise or other voices, overdrive, a telephone line with its codec.

    Args:
        samples: float32, (n,), 16 kHz, n >= 400.
        others: draws another clip, for voices in the background.
    """
    x = samples.astype(np.float32)
    if random.random() < 0.7:
        x = change_speed(x, float(np.exp(random.uniform(-0.16, 0.16))))
    if random.random() < 0.6:
        x = colour(x, random)
    if random.random() < 0.3:
        x = reverberate(x, random)
    if random.random() < 0.5:
        x = add_noise(x, random, others)
    if random.random() < 0.1:
        x = overdrive(x, random)
    if random.random() < 0.35:
        x = telephone(x, random)
    return x


def change_speed(x: Samples, factor: float) -> Samples:
    """The clip played ``factor`` times as fast: pitch and formants move with it."""
    return np.asarray(soxr.resample(x, SAMPLE_RATE * factor, SAMPLE_RATE, quality="MQ"))


def colour(x: Samples, random: Random) -> Samples:
    """The clip through a smooth random filter: up to about 8 dB each way, by the octave."""
    points = np.log2([60, 125, 250, 500, 1000, 2000, 4000, 8000])
    gains = random.normal(0.0, 4.0, len(points)).clip(-8, 8)
    hz = np.fft.rfftfreq(len(x), 1 / SAMPLE_RATE)
    decibels = np.interp(np.log2(np.maximum(hz, 30)), points, gains)
    return _filtered(x, 10 ** (decibels / 20))


def reverberate(x: Samples, random: Random) -> Samples:
    """The clip in a room: noise that decays by 60 dB in 0.1 to 0.7 s follows each sound."""
    seconds = random.uniform(0.1, 0.7)
    n = int(seconds * SAMPLE_RATE)
    tail = random.normal(size=n) * 10 ** (-3 * np.arange(n) / n)
    tail[: SAMPLE_RATE // 400] = 0
    ratio = 10 ** (random.uniform(0, 15) / 20)  # of the direct sound to the room
    tail *= 1 / (ratio * np.sqrt((tail * tail).sum()) + 1e-9)
    tail[0] = 1.0
    size = len(x) + n
    wet = np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(tail, size), size)[: len(x)]
    return wet.astype(np.float32)


def add_noise(x: Samples, random: Random, others: Callable[[], Samples]) -> Samples:
    """The clip over coloured noise (5 to 35 dB below it) or over other voices (10 to 30 dB)."""
    if random.random() < 0.7:
        slope = random.uniform(-1.2, 0.2)
        hz = np.maximum(np.fft.rfftfreq(len(x), 1 / SAMPLE_RATE), 20)
        noise = _filtered(random.normal(size=len(x)).astype(np.float32), hz**slope)
        below = random.uniform(5, 35)
    else:
        noise = np.zeros(len(x), np.float32)
        for _ in range(int(random.integers(1, 5))):
            other = others()
            noise += np.resize(other, len(x)) / (_rms(other) + 1e-6)
        below = random.uniform(10, 30)
    return np.asarray(x + noise * (_rms(x) / (_rms(noise) + 1e-9) * 10 ** (-below / 20)))


def overdrive(x: Samples, random: Random) -> Samples:
    """The clip cut off at a quantile of its own amplitude."""
    limit = float(np.quantile(np.abs(x), random.uniform(0.97, 0.999))) + 1e-6
    return np.clip(x, -limit, limit)


def telephone(x: Samples, random: Random) -> Samples:
    """The clip after a telephone line: 300 to 3400 Hz at 8 kHz, by u-law, AMR or neither."""
    narrow = soxr.resample(x, SAMPLE_RATE, _TELEPHONE_RATE)
    hz = np.fft.rfftfreq(len(narrow), 1 / _TELEPHONE_RATE)
    low, high = _TELEPHONE_HZ
    gain = 1 / (1 + (low / np.maximum(hz, 1)) ** 8) / (1 + (hz / high) ** 24)
    narrow = _filtered(narrow, gain)
    narrow /= max(float(np.abs(narrow).max()), 1e-6) * random.uniform(1.2, 8)
    kind = random.random()
    if kind < 0.4:
        narrow = ulaw(narrow)
    elif kind < 0.7:
        narrow = amr(narrow)
    return np.asarray(soxr.resample(narrow, _TELEPHONE_RATE, SAMPLE_RATE))


def ulaw(x: Samples) -> Samples:
    """The clip through 8-bit u-law, mu = 255 (ITU-T G.711), within -1 to 1."""
    y = np.sign(x) * np.log1p(255 * np.abs(np.clip(x, -1, 1))) / np.log(256)
    y = np.round(y * 127) / 127
    expanded = np.sign(y) * np.expm1(np.abs(y) * np.log(256)) / 255
    return np.asarray(expanded, dtype=np.float32)


def amr(x: Samples) -> Samples:
    """The clip (float32, 8 kHz) through AMR narrow band at 12.2 kbit/s; of the same length."""
    file = io.BytesIO()
    with av.open(file, "w", format="amr") as out:
        stream = out.add_stream("libopencore_amrnb", rate=_TELEPHONE_RATE, layout="mono")
        stream.bit_rate = 12200
        pcm = (np.clip(x, -1, 1) * 32767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        frame.sample_rate = _TELEPHONE_RATE
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r", format="amr") as container:
        parts = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    decoded = np.concatenate(parts).astype(np.float32)
    if parts[0].dtype == np.int16:
        decoded /= 32768
    padded = np.pad(decoded, (0, max(0, len(x) - len(decoded))))
    return np.asarray(padded[: len(x)], dtype=np.float32)


def _filtered(x: Samples, gain: NDArray[np.float64]) -> Samples:
    return np.fft.irfft(np.fft.rfft(x) * gain, len(x)).astype(np.float32)


def _rms(x: Samples) -> float:
    return float(np.sqrt(np.mean(x.astype(np.float64) ** 2)))

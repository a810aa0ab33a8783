"""Synthetic expressive voices: a source-filter synthesiser, for the demo and for tests.

They are caricatures that differ in what emotion changes in a voice (pitch, range, tempo, effort,
breath), after the tables of Murray and Arnott, J. Acoust. Soc. Am. 93(2), 1993. They are no
measure of how well real emotion is found.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.audio.file import SAMPLE_RATE, Samples

Array = NDArray[np.float64]

_VOWELS = (
    (730, 1090, 2440),
    (270, 2290, 3010),
    (530, 1840, 2480),
    (300, 870, 2240),
    (570, 840, 2410),
)
"""First three formants in Hz of a, i, e, u, o (Peterson and Barney, 1952, male averages)."""


@dataclass(frozen=True)
class Manner:
    """How an emotion changes a voice.

    Attributes:
        pitch: factor on the speaker's pitch.
        swing: movement of the pitch in octaves.
        tempo: syllables a second.
        effort: share of energy in high harmonics; 1 is shouting.
        breath: share of noise.
        fall: change of pitch over the utterance in octaves.
    """

    pitch: float
    swing: float
    tempo: float
    effort: float
    breath: float
    fall: float


MANNERS = {
    "anger": Manner(1.35, 0.45, 5.5, 1.0, 0.02, -0.1),
    "happiness": Manner(1.45, 0.70, 5.0, 0.7, 0.04, 0.25),
    "neutral": Manner(1.00, 0.18, 4.2, 0.45, 0.04, -0.15),
    "sadness": Manner(0.90, 0.08, 2.6, 0.15, 0.14, -0.25),
}
"""Manners by emotion label."""


def speak(
    emotion: str, *, speaker: int, seed: int, seconds: float = 2.0, rate: int = SAMPLE_RATE
) -> Samples:
    """An utterance: float32 (n,) at ``rate`` Hz, the same for the same arguments.

    Args:
        emotion: a key of ``MANNERS``.
        speaker: any number; decides pitch and size of the vocal tract.
        seed: any number; decides the syllables.
    """
    manner = MANNERS[emotion]
    who = np.random.default_rng([1, speaker])
    words = np.random.default_rng([2, speaker, seed])
    base = who.uniform(95, 135) if speaker % 2 else who.uniform(170, 225)
    tract = who.uniform(0.95, 1.05) * (1.0 if speaker % 2 else 1.16)
    n = round(seconds * rate)
    time = np.arange(n) / rate
    syllables = max(2, round(seconds * manner.tempo * words.uniform(0.9, 1.1)))
    place = np.minimum((time / seconds * syllables).astype(int), syllables - 1)
    accents = words.normal(0, 1, syllables + 1)
    contour = np.interp(time / seconds * syllables, np.arange(syllables + 1), accents)
    octaves = manner.swing * contour * 0.6 + manner.fall * (time / seconds - 0.5)
    jitter = np.cumsum(words.normal(0, 0.0008, n)) * 0.1
    f0 = base * manner.pitch * 2 ** (octaves + jitter)
    glottis = _glottis(f0, manner.effort, rate)
    source = glottis + manner.breath * words.normal(0, 1, n)
    spoken = _formants(source, place, words.integers(0, len(_VOWELS), syllables), tract, rate)
    within = (time / seconds * syllables) % 1
    loud = np.sin(np.pi * np.clip(within * 1.15, 0, 1)) ** (0.5 if manner.effort > 0.5 else 0.9)
    spoken = spoken * (0.05 + loud) + 0.0005 * words.normal(0, 1, n)
    return np.asarray(0.5 * spoken / np.abs(spoken).max(), dtype=np.float32)


def _glottis(f0: Array, effort: float, rate: int) -> Array:
    """Harmonics of a moving pitch, falling by 6 dB an octave at full effort, 15 dB at none."""
    phase = 2 * np.pi * np.cumsum(f0) / rate
    slope = (15 - 9 * effort) / 6.02
    total = np.zeros_like(phase)
    before, sine, twice = np.zeros_like(phase), np.sin(phase), 2 * np.cos(phase)
    for harmonic in range(1, int(0.45 * rate / f0.min()) + 1):
        audible = f0 * harmonic < 0.45 * rate
        total += audible * sine / harmonic**slope
        before, sine = sine, twice * sine - before  # that of the next multiple of the phase
    return total


def _formants(
    source: Array, place: NDArray[np.int64], vowels: NDArray[np.int64], tract: float, rate: int
) -> Array:
    """The source through the resonances of one vowel a syllable, cross-faded."""
    hz = np.fft.rfftfreq(len(source), 1 / rate)
    spectrum = np.fft.rfft(source)
    fade = np.hanning(max(3, rate // 25))
    length = 1 << (len(source) + len(fade)).bit_length()  # a power of two is quick to transform
    faded = np.fft.rfft(fade / fade.sum(), length)
    out = np.zeros_like(source)
    for vowel in np.unique(vowels):
        gain = sum(
            weight / np.sqrt(1 + ((hz - tract * formant) / (40 + 0.06 * formant)) ** 2)
            for weight, formant in zip((1.0, 0.7, 0.4), _VOWELS[vowel], strict=True)
        )
        share = np.fft.irfft(np.fft.rfft(vowels[place] == vowel, length) * faded, length)
        share = share[(len(fade) - 1) // 2 :][: len(source)]
        out += share * np.fft.irfft(spectrum * gain, len(source))
    return out

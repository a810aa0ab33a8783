"""From a stream of samples to the clips of a recording: fixed windows, or stretches of speech."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.audio.samples import SAMPLE_RATE, SHORTEST, Samples
from emotion_search.engine.audio.speech import CHUNK, LEAST_S, LIKELY, SpeechDetector
from emotion_search.engine.audio.voice import voiceless

_SHORTEST_S = 1.0  # a rest shorter than this joins the window before it


@dataclass(frozen=True, eq=False)
class Window:
    """A span of a recording (seconds) with its samples: float32, (n,), 16 kHz."""

    start: float
    end: float
    samples: Samples


class FixedWindows:
    """Windows of one length, every ``hop`` seconds.

    A recording of up to ``length`` + 1 s is one window. Without overlap a rest under one second
    joins the last window; with overlap the last window ends where the recording does. ``spare`` is
    that second, for windows too short for it.
    """

    def __init__(
        self, length: float, hop: float | None = None, *, spare: float = _SHORTEST_S
    ) -> None:
        self._size = round(length * SAMPLE_RATE)
        self._hop = self._size if hop is None else round(hop * SAMPLE_RATE)
        self._spare = round(spare * SAMPLE_RATE)
        self._buffer = np.empty(0, np.float32)
        self._at = 0
        self._covered = 0  # samples from the start that are in some window

    def feed(self, block: Samples) -> list[Window]:
        """The windows that this block completes."""
        self._buffer = np.concatenate([self._buffer, block])
        found = []
        while len(self._buffer) >= self._size + self._spare:
            found.append(_window(self._at, self._buffer[: self._size]))
            self._covered = self._at + self._size
            self._buffer, self._at = self._buffer[self._hop :], self._at + self._hop
        return found

    def finish(self) -> list[Window]:
        """The last window, if anything is left that is in no window."""
        if self._at + len(self._buffer) <= self._covered:
            return []
        return [_window(self._at, self._buffer)]


_OFF = 0.35  # probability at which speech ends
_PAUSE_S = 0.8  # silence that ends a clip
_AROUND_S = 0.1  # kept before and after


class SpeechWindows:
    """Stretches of speech of up to ``longest`` seconds; silence, tones and music are left out.

    A recording of up to ``longest`` + 1 s is one clip, whole, unless nothing in it can be a voice.
    In a longer one a clip ends where nobody has spoken for 0.8 s, or at the quietest moment of its
    second half once it would grow too long.
    """

    def __init__(self, longest: float, detector: SpeechDetector | None = None) -> None:
        self._longest = round(longest * SAMPLE_RATE)
        self._short = self._longest + round(_SHORTEST_S * SAMPLE_RATE)
        self._detector = detector or SpeechDetector()
        self._samples = np.empty(0, np.float32)
        self._probabilities = np.empty(0, np.float32)
        self._at = 0  # chunks dropped at the front
        self._whole = True  # it may still turn out to be a short recording

    def feed(self, block: Samples) -> list[Window]:
        """The clips that this block completes."""
        self._samples = np.concatenate([self._samples, block])
        if self._whole:
            if len(self._samples) < self._short:
                return []  # a short recording is not listened to
            self._whole, block = False, self._samples
        self._append(self._detector.feed(block))
        return self._cut(ended=False)

    def finish(self) -> list[Window]:
        """The clips that the end completes."""
        if self._whole:
            none = not len(self._samples) or voiceless(self._samples)
            return [] if none else [_window(0, self._samples)]
        self._append(self._detector.finish())
        return self._cut(ended=True)

    def _append(self, probabilities: NDArray[np.float32]) -> None:
        self._probabilities = np.concatenate([self._probabilities, probabilities])

    def _cut(self, *, ended: bool) -> list[Window]:
        found = []
        around = round(_AROUND_S * SAMPLE_RATE / CHUNK)
        while len(self._probabilities):
            speaking = np.flatnonzero(self._probabilities >= LIKELY)
            if not len(speaking):
                self._discard(len(self._probabilities) - (0 if ended else around))
                break
            first = int(speaking[0])
            stop = self._stop(first, ended=ended)
            if stop is None:
                self._discard(max(0, first - around))
                break
            spoken = (self._probabilities[first:stop] >= LIKELY).sum() * CHUNK / SAMPLE_RATE
            if spoken >= LEAST_S:
                begin = max(0, first - around) * CHUNK
                end = min((stop + around) * CHUNK, len(self._samples))
                end = min(end, begin + self._longest)
                if not voiceless(self._samples[begin:end]):  # tones pass for speech at times
                    found.append(_window(self._at * CHUNK + begin, self._samples[begin:end]))
            self._discard(stop)
        return found

    def _stop(self, first: int, *, ended: bool) -> int | None:
        """The chunk before which a clip that begins at ``first`` ends; None if it is not here."""
        pause = round(_PAUSE_S * SAMPLE_RATE / CHUNK)
        most = self._longest // CHUNK - 2 * round(_AROUND_S * SAMPLE_RATE / CHUNK)
        stretch = self._probabilities[first : first + most + pause]
        voiced = np.flatnonzero(stretch >= _OFF)
        gaps = np.diff(np.append(voiced, len(stretch) + (pause if ended else 0)))
        long = np.flatnonzero(gaps > pause)
        if len(long) and voiced[long[0]] < most:
            return first + int(voiced[long[0]]) + 1
        if len(stretch) < most + pause and not ended:
            return None
        half = most // 2
        later = np.pad(stretch[half:most], 2, mode="edge")  # by zeros, the edges would be quietest
        smooth = np.convolve(later, np.ones(5) / 5, mode="valid")
        return first + most - int(np.argmin(smooth[::-1]))  # of equals the last: the longest clip

    def _discard(self, chunks: int) -> None:
        gone = max(0, chunks)
        self._samples = self._samples[gone * CHUNK :]
        self._probabilities = self._probabilities[gone:]
        self._at += gone


class GivenSpans:
    """Spans that were given, in seconds; they may overlap. A span beyond the end is left out.

    Its windows say start and end exactly as they were given, not as samples round them, so that
    whoever gave them knows them again. An end up to 50 ms beyond the recording's is let pass.
    """

    def __init__(self, spans: Iterable[tuple[float, float]]) -> None:
        self._spans = sorted(
            (round(start * SAMPLE_RATE), round(end * SAMPLE_RATE), start, end)
            for start, end in set(spans)
        )
        self._buffer = np.empty(0, np.float32)
        self._at = 0

    def feed(self, block: Samples) -> list[Window]:
        """The clips that this block completes."""
        self._buffer = np.concatenate([self._buffer, block])
        found = self._cut(self._at + len(self._buffer))
        first = self._spans[0][0] if self._spans else self._at + len(self._buffer)
        gone = min(max(0, first - self._at), len(self._buffer))
        self._buffer, self._at = self._buffer[gone:], self._at + gone
        return found

    def finish(self) -> list[Window]:
        """The clips that end a little after the recording does."""
        size = self._at + len(self._buffer)
        self._spans = [
            (first, min(last, size), start, end)
            for first, last, start, end in self._spans
            if last <= size + _BEYOND and min(last, size) - first >= SHORTEST
        ]
        return self._cut(size)

    def _cut(self, size: int) -> list[Window]:
        whole = [span for span in self._spans if span[1] <= size]
        self._spans = [span for span in self._spans if span[1] > size]
        return [
            Window(start, end, self._buffer[first - self._at : last - self._at].copy())
            for first, last, start, end in whole
        ]


Segmenter = FixedWindows | SpeechWindows | GivenSpans
"""Cuts one channel of one recording, fed block by block; about one clip is in memory."""

_BEYOND = SAMPLE_RATE // 20  # samples by which a rounded end may lie beyond the recording's


def cut(blocks: Iterable[Samples], cutter: Segmenter) -> Iterator[Window]:
    """The clips of a channel, given by its blocks."""
    for block in blocks:
        yield from cutter.feed(block)
    yield from cutter.finish()


def _window(at: int, samples: Samples) -> Window:
    return Window(at / SAMPLE_RATE, (at + len(samples)) / SAMPLE_RATE, samples.copy())

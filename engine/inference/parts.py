"""Embeddings and scores of a file of any length: part by part, and of the whole at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.audio.file import FRAME_HOP, SAMPLE_RATE, SHORTEST, Samples
from emotion_search.engine.audio.mono import MonoFile
from emotion_search.engine.audio.speech import CHUNK, LEAST_S, LIKELY, SpeechDetector
from emotion_search.engine.audio.voice import NO_VOICE, require_voice, voiceless
from emotion_search.engine.audio.windows import FixedWindows, SpeechWindows, Window, cut
from emotion_search.engine.embedders.base import Embedder, Embeddings, usable
from emotion_search.engine.inference.context import Adapted, Context, own_context
from emotion_search.engine.inference.frames import stream_frames
from emotion_search.engine.machine.threads import ahead
from emotion_search.index.errors import AudioError, InvalidInputError

GRANULARITIES = ("utterance", "frame", "window")

WINDOW_S = 3.0
"""Seconds of a window by default."""

_WHOLE_S = 15.0  # longest stretch that is embedded at once for a whole recording
_SHORTEST_S = 0.025
_FIRST_S = 600.0  # of a file, before what it is adapted to is fixed
_TINY = 1e-38  # least score whose logarithm is taken

Vector = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Parts:
    """Some consecutive parts of a file.

    Attributes:
        starts, ends: seconds, (n,).
        vectors: float32, (n, dim).
        scores: float32, (n, classes).
        spoken: whether somebody speaks in them, bool, (n,).
    """

    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    vectors: Vector
    scores: Vector
    spoken: NDArray[np.bool_]


@dataclass(frozen=True)
class Granularity:
    """How finely a file is embedded: as one ``utterance``, by ``frame`` (50 a second), or by
    ``window`` of some seconds, one every ``hop`` seconds (None: end to end).

    Raises:
        InvalidInputError: no such granularity; a window or hop that is none.
    """

    name: str = "utterance"
    window: float = WINDOW_S
    hop: float | None = None

    def __post_init__(self) -> None:
        if self.name not in GRANULARITIES:
            choices = f"{', '.join(GRANULARITIES[:-1])} or {GRANULARITIES[-1]}"
            raise InvalidInputError(f"granularity {self.name}: choose {choices}")
        hop = self.window if self.hop is None else self.hop
        if not (_SHORTEST_S <= self.window <= 30 and 0.02 <= hop <= self.window):
            raise InvalidInputError(
                f"windows of {self.window:g} s every {hop:g} s: a window may have 0.025 to 30 s,"
                " the hop 0.02 s up to a window"
            )


class FileEmbedding:
    """A file embedded by a model. Iterate once for its parts; then the whole is known.

    Attributes:
        duration, notices: as ``MonoFile`` has them.
        vector, scores: of the whole, float32 (dim,) and (classes,). Of an utterance: the mean by
            length over stretches of speech of up to 15 s, as an ingest cuts them. Of frames: the
            mean of their vectors, and the softmax of the mean of their logits, which a linear head
            gives for that mean. Of windows: the means by length. Windows, and frames in three
            seconds, in which nobody speaks do not count. Where there is no speech at all, what can
            be a voice does.
        adapted: to what the scores are, known with the first parts.

    Args:
        context: gives the centre that scores are adapted to, if the model adapts, by what is heard
            in the first ten minutes; the recording's own if left out.
    """

    def __init__(
        self,
        audio: MonoFile,
        embedder: Embedder,
        granularity: Granularity,
        context: Context | None = None,
    ) -> None:
        self._audio, self._embedder, self._granularity = audio, embedder, granularity
        self._context = context or own_context(embedder)
        self._speech = _Speech()
        self.adapted: Adapted = "none"
        self.duration, self.notices = 0.0, list[str]()
        self.vector: Vector = np.empty(0, np.float32)
        self.scores: Vector = np.empty(0, np.float32)

    def __iter__(self) -> Iterator[Parts]:
        """Parts in order, some at a time; none of an utterance.

        Raises:
            AudioError: the file cannot be used, or nothing in it can be a voice.
            InvalidInputError: the model has no frames.
        """
        frames = self._granularity.name == "frame"
        spoken, voiced = _Mean(), _Mean()
        for parts in self._adapted(self._frames() if frames else self._windows()):
            lengths = np.ones(len(parts.starts)) if frames else parts.ends - parts.starts
            scores = np.log(np.maximum(parts.scores, _TINY)) if frames else parts.scores
            spoken.add(lengths * parts.spoken, parts.vectors, scores)
            voiced.add(lengths, parts.vectors, scores)
            if self._granularity.name != "utterance":
                yield parts
        if not voiced.weight:
            raise AudioError(NO_VOICE)
        self.duration, self.notices = self._audio.duration, self._audio.notices
        vector, scores = (spoken if spoken.weight else voiced).means()
        self.vector = vector.astype(np.float32)
        if frames and len(scores):  # scores differ from logits by a constant of their frame
            scores = np.exp(scores - scores.max())
            scores /= scores.sum()
        self.scores = scores.astype(np.float32)

    def _adapted(self, found: Iterator[Parts]) -> Iterator[Parts]:
        """Parts with adapted scores; the first come once what they are adapted to is known."""
        if not self._embedder.adapts:
            yield from found
            return
        head: list[Parts] = []
        for parts in found:
            head.append(parts)
            if parts.ends[-1] >= _FIRST_S:
                break
        if not head:
            return
        centre = self._context(self._apart(head))
        self.adapted = centre.of
        for parts in chain(head, found):
            if centre.vector is None:
                yield parts
            else:
                yield replace(parts, scores=self._embedder.scores(parts.vectors, centre.vector))

    def _apart(self, head: Sequence[Parts]) -> Vector:
        """Embeddings of windows that do not overlap, (n, dim); of frames, their means by window;
        of those in which somebody speaks, if there are any."""
        some = [parts for parts in head if parts.spoken.any()]
        vectors = np.concatenate(
            [parts.vectors[parts.spoken] for parts in some] or [parts.vectors for parts in head]
        )
        if self._granularity.name == "frame":
            each = round(WINDOW_S * SAMPLE_RATE / FRAME_HOP)
            firsts = range(0, max(len(vectors) - each, 0) + 1, each)
            return np.stack([vectors[first : first + each].mean(axis=0) for first in firsts])
        kept, until = [], 0.0
        for row, parts in enumerate(some or head):
            if parts.starts[0] >= until - 1e-6:
                kept.append(row)
                until = parts.ends[0]
        return vectors[kept]

    def _frames(self) -> Iterator[Parts]:
        at = 0
        for some in stream_frames(require_voice(self._blocks()), self._embedder):
            if not np.isfinite(some.vectors).all():
                raise AudioError("gets no usable embedding")
            starts = (at + np.arange(len(some.vectors))) * FRAME_HOP / SAMPLE_RATE
            at += len(some.vectors)
            around = self._speech.within(starts - WINDOW_S / 2, starts + WINDOW_S / 2)
            ends = starts + SHORTEST / SAMPLE_RATE
            yield Parts(starts, ends, some.vectors, some.scores, around)

    def _windows(self) -> Iterator[Parts]:
        def embedded(window: Window) -> tuple[Window, Embeddings]:
            return window, self._embedder.embed([window.samples])

        for window, answer in ahead(embedded, self._cut()):
            if not usable(answer.vectors[0]):
                raise AudioError("gets no usable embedding")
            start, end = np.array([window.start]), np.array([window.end])
            spoken = self._speech.within(start, end)
            yield Parts(start, end, answer.vectors, answer.scores, spoken)

    def _blocks(self) -> Iterator[Samples]:
        for block in self._audio.blocks():
            self._speech.listen(block)
            yield block

    def _cut(self) -> Iterator[Window]:
        how = self._granularity
        if how.name != "utterance":
            spare = max(_SHORTEST_S, min(1.0, how.window / 2))
            cutter = FixedWindows(how.window, how.hop, spare=spare)
            yield from cut(require_voice(self._blocks()), cutter)
            return
        stretches = cut(self._blocks(), SpeechWindows(_WHOLE_S))
        first = next(stretches, None)
        if first is None:  # what the detector takes for none may be a voice all the same
            fixed = cut(self._audio.blocks(), FixedWindows(_WHOLE_S))
            yield from (one for one in fixed if not voiceless(one.samples))
            return
        yield first
        yield from stretches


class _Speech:
    """When somebody speaks in a recording, as far as it was listened to, block by block."""

    def __init__(self) -> None:
        self._detector = SpeechDetector()
        self._chunks = np.zeros(1, np.int64)  # with speech, before each chunk

    def listen(self, block: Samples) -> None:
        likely = self._detector.feed(block) >= LIKELY
        self._chunks = np.concatenate([self._chunks, self._chunks[-1] + np.cumsum(likely)])

    def within(self, starts: NDArray[np.float64], ends: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether there is speech for ``LEAST_S``, or half of the span, between times (n,)."""
        last = len(self._chunks) - 1
        first = np.clip(np.floor(starts * SAMPLE_RATE / CHUNK).astype(int), 0, last)
        until = np.clip(np.ceil(ends * SAMPLE_RATE / CHUNK).astype(int), 0, last)
        seconds = (self._chunks[until] - self._chunks[first]) * CHUNK / SAMPLE_RATE
        return np.asarray((seconds > 0) & (seconds >= np.minimum(LEAST_S, (ends - starts) / 2)))


class _Mean:
    """Means of vectors and scores by weight."""

    def __init__(self) -> None:
        self.weight = 0.0
        self._sums: tuple[Any, Any] = (0.0, 0.0)

    def add(self, weights: NDArray[np.float64], vectors: Vector, scores: Vector) -> None:
        vector, score = self._sums
        self.weight += float(weights.sum())
        self._sums = vector + weights @ vectors, score + weights @ scores

    def means(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        vector, score = self._sums
        return vector / self.weight, score / self.weight

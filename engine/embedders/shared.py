"""One model for many callers, on as many threads as there are cores, each with clips of its own."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from emotion_search.engine.audio.file import SAMPLE_RATE, Samples
from emotion_search.engine.embedders.base import (
    Embedder,
    Embeddings,
    Floats,
    Frames,
    TextEmbedder,
    check,
    usable,
)
from emotion_search.engine.machine.threads import cores, own_torch_threads
from emotion_search.index.errors import (
    EmotionSearchError,
    ModelFailedError,
    ModelUnavailableError,
    UnusableError,
)

_BULK_S = 60.0  # of audio; a caller with more waits behind those with less, and as long as it takes
_TOGETHER_S = 15.0  # of audio in one call of the model; more gains nothing there
_ELSEWHERE_S = 240.0  # the same on a GPU
_SUM = 1e-3  # by which the sum of a clip's scores may differ from 1
_MOST_THREADS = 16  # each has some hundred MiB at work; beyond, they spread operations after all


@dataclass(eq=False)
class _Clip:
    samples: Samples
    frames: bool = False  # wanted, in place of one embedding
    answer: Future[Any] = field(default_factory=Future)

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE


class Begun:
    """Clips that a model has been given.

    Args:
        until: moment of ``time.monotonic`` from which nobody waits any more; None for never.
    """

    def __init__(self, clips: Sequence[_Clip], until: float | None = None) -> None:
        self._clips, self._until = clips, until

    def answers(self) -> list[Any]:
        """What the model gave for each clip, once it has."""
        until = self._until
        try:
            return [
                clip.answer.result(None if until is None else max(0.0, until - time.monotonic()))
                for clip in self._clips
            ]
        except FutureTimeoutError as error:
            raise ModelUnavailableError(
                "the model is too busy to answer in time; try again"
            ) from error
        finally:
            self.drop()

    def result(self) -> Embeddings:
        """Their embeddings, which are waited for."""
        found: list[Embeddings] = self.answers()
        vectors = np.concatenate([one.vectors for one in found])
        scores = np.concatenate([one.scores for one in found])
        own = [one.affect for one in found if one.affect is not None]
        return Embeddings(vectors, scores, np.concatenate(own) if own else None)

    def drop(self) -> None:
        """Let go of clips that the model has not begun with."""
        for clip in self._clips:
            clip.answer.cancel()


class SharedEmbedder:
    """An ``Embedder`` in front of another, whose clips go through the model at the same time, those
    of different callers together.

    Args:
        embedder: the model.
        timeout: seconds after which a caller gets an error that the model is too busy.
        threads: on which it runs; one a core if left out, and one where it is not on the CPU.
            Beyond 16 there are 16, each of which spreads operations over several.
    """

    def __init__(
        self, embedder: Embedder, *, timeout: float = 120.0, threads: int | None = None
    ) -> None:
        self.name = embedder.name
        self.fingerprint = embedder.fingerprint
        self.dimension = embedder.dimension
        self.classes = embedder.classes
        self.licence: str | None = getattr(embedder, "licence", None)
        self._embedder = embedder
        self._timeout = timeout
        device = getattr(getattr(embedder, "device", None), "type", "cpu")
        self._together = _TOGETHER_S if device == "cpu" else _ELSEWHERE_S
        usable = threads or (cores() if device == "cpu" else 1)
        self._count = min(usable, _MOST_THREADS)
        self._threads = ThreadPoolExecutor(
            self._count, "embedder", own_torch_threads, (usable // self._count,)
        )
        self._lines: tuple[deque[_Clip], deque[_Clip]] = deque(), deque()  # the first goes first
        self._taking = threading.Lock()
        self._counting = threading.Lock()
        self.spent = (0, 0.0, 0.0)
        """Calls of the model so far, seconds of audio in them, and seconds that they took."""

    def embed(self, clips: Sequence[Samples]) -> Embeddings:
        """Embeddings of clips, each float32, (n,), 16 kHz.

        Raises:
            AudioError: a clip is shorter than 400 samples or not finite; other callers' clips are
                embedded all the same.
            ModelUnavailableError: no answer within the time-out; what had not begun is dropped.
        """
        check(clips)
        if not clips:
            return self._embedder.embed(clips)
        asked = [_Clip(clip) for clip in clips]
        bulk = sum(clip.seconds for clip in asked) > _BULK_S
        return self._ask(asked, bulk=bulk, timeout=None if bulk else self._timeout).result()

    def begin(self, clips: Sequence[Samples]) -> Begun:
        """As ``embed``, of one clip at least; others go first, and nothing is waited for here."""
        check(clips)
        return self._ask([_Clip(clip) for clip in clips], bulk=True)

    @property
    def adapts(self) -> bool:
        """See ``Embedder``."""
        return self._embedder.adapts

    @property
    def centre(self) -> Floats | None:
        """See ``Embedder``."""
        return self._embedder.centre

    def scores(self, vectors: Floats, centre: Floats | None = None) -> Floats:
        """Class scores of embeddings; see ``Embedder``. Too quick to be handed to a thread."""
        return self._embedder.scores(vectors, centre)

    @property
    def knows_texts(self) -> bool:
        """Whether ``embed_text`` is to be had."""
        return isinstance(self._embedder, TextEmbedder)

    def embed_text(self, texts: Sequence[str]) -> Floats:
        """Embeddings of texts; see ``TextEmbedder``. Too few to be handed to a thread.

        Raises:
            InvalidInputError: the model knows no texts, or a text is too long.
            ModelFailedError: it fails, or gives something else than embeddings.
        """
        if not isinstance(self._embedder, TextEmbedder):
            raise UnusableError(
                f"the model {self.name} knows no texts: models of sound and text do, such as"
                " hf:laion/larger_clap_music_and_speech (emotion-search reembed moves an archive)"
            )
        try:
            found = np.asarray(self._embedder.embed_text(texts))
        except (EmotionSearchError, MemoryError):
            raise
        except (Exception, SystemExit) as error:
            raise ModelFailedError(f"the model {self.name} failed: {error!r}") from error
        if found.shape != (len(texts), self.dimension) or not all(map(usable, found)):
            raise ModelFailedError(f"the model {self.name} gave a text no usable embedding")
        return found.astype(np.float32, copy=False)

    def frames(self, clip: Samples) -> Frames:
        """Embeddings of a clip's frames; see ``Embedder``."""
        (frames,) = self._ask([_Clip(clip, frames=True)]).answers()
        assert isinstance(frames, Frames)
        return frames

    def _ask(
        self, clips: Sequence[_Clip], *, bulk: bool = False, timeout: float | None = None
    ) -> Begun:
        with self._taking:  # the longest first, so that the threads come to their end together
            self._lines[bulk].extend(sorted(clips, key=lambda clip: -clip.seconds))
        for _ in clips:
            self._threads.submit(self._work)
        return Begun(clips, None if timeout is None else time.monotonic() + timeout)

    def _work(self) -> None:
        """Embed some of what waits; nothing may be left, for others take several clips."""
        group = [clip for clip in self._take() if clip.answer.set_running_or_notify_cancel()]
        if not group:
            return
        began = time.perf_counter()
        try:
            answers = self._computed(group)
        except BaseException as error:  # noqa: BLE001 - raised in the callers' threads
            for clip in group:
                clip.answer.set_exception(error)
            return
        took = time.perf_counter() - began
        with self._counting:
            calls, seconds, busy = self.spent
            audio = sum(clip.seconds for clip in group)
            self.spent = (calls + 1, seconds + audio, busy + took)
        for clip, answer in zip(group, answers, strict=True):
            clip.answer.set_result(answer)

    def _computed(self, group: Sequence[_Clip]) -> Sequence[Embeddings | Frames]:
        try:
            if group[0].frames:
                return [self._embedder.frames(group[0].samples)]
            found = self._embedder.embed([clip.samples for clip in group])
            shapes = found.vectors.shape, found.scores.shape
        except (EmotionSearchError, MemoryError):
            raise
        except (Exception, SystemExit) as error:
            raise ModelFailedError(f"the model {self.name} failed: {error!r}") from error
        wanted = (len(group), self.dimension), (len(group), len(self.classes))
        if shapes != wanted:
            raise ModelFailedError(
                f"the model {self.name} gave vectors and scores of shape {shapes[0]},"
                f" {shapes[1]}, not {wanted[0]}, {wanted[1]} as it says"
            )
        embedded = np.isfinite(found.vectors).all(axis=1)
        scores = found.scores[embedded]
        likely = (scores >= 0).all(axis=1) & (abs(scores.sum(axis=1) - 1) < _SUM)
        if self.classes and not likely.all():
            raise ModelFailedError(
                f"the model {self.name} gave scores that are no probabilities of its classes"
            )
        own = found.affect
        if own is not None and (
            self.adapts or own.shape != (len(group), 3) or not (abs(own[embedded]) <= 1).all()
        ):
            raise ModelFailedError(
                f"the model {self.name} gave valence, arousal and dominance that are not (clips, 3)"
                " from -1 to 1, or of a model that adapts its scores"
            )
        parts = [slice(i, i + 1) for i in range(len(group))]
        return [
            Embeddings(found.vectors[part], found.scores[part], None if own is None else own[part])
            for part in parts
        ]

    def _take(self) -> list[_Clip]:
        """The next clips: a thread's share of what waits, so that the last come to their end
        together (guided self-scheduling: Polychronopoulos and Kuck, IEEE Trans. Comp. 36, 1987)."""
        with self._taking:
            line = self._lines[0] or self._lines[1]
            waiting = sum(clip.seconds for clip in line)
            room = min(self._together, waiting / self._count)
            taken: list[_Clip] = []
            while line and (not taken or line[0].seconds <= room):
                if taken and (taken[0].frames or line[0].frames):
                    break
                taken.append(line.popleft())
                room -= taken[-1].seconds
            return taken

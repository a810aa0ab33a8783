"""Micro-batching: one model for many threads, whose requests are embedded together."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field

from emotion_search.engine.audio.file import SAMPLE_RATE, Samples
from emotion_search.engine.embedders.base import Embedder, Embeddings, Floats, Frames, check
from emotion_search.index.errors import ModelUnavailableError

_WAIT_S = 0.004  # for company; nothing beside the time that a model takes
_MOST_SECONDS = 60.0  # of audio in one group; a caller with more goes alone


@dataclass(eq=False)
class _Request:
    clips: Sequence[Samples]
    answer: Future[Embeddings] = field(default_factory=Future)

    @property
    def seconds(self) -> float:
        return sum(map(len, self.clips)) / SAMPLE_RATE


class SharedEmbedder:
    """An ``Embedder`` in front of another, for threads that embed a little each.

    Args:
        embedder: the model.
        timeout: seconds after which a caller gets an error that the model is too busy.
    """

    def __init__(self, embedder: Embedder, *, timeout: float = 120.0) -> None:
        self.name = embedder.name
        self.fingerprint = embedder.fingerprint
        self.dimension = embedder.dimension
        self.classes = embedder.classes
        self._embedder = embedder
        self._timeout = timeout
        self._requests: queue.SimpleQueue[_Request] = queue.SimpleQueue()
        self._worker: threading.Thread | None = None
        self._starting = threading.Lock()
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
        request = _Request(clips)
        if request.seconds > _MOST_SECONDS or not clips:
            return self._embedded(clips)
        self._ensure_worker()
        self._requests.put(request)
        try:
            return request.answer.result(self._timeout)
        except FutureTimeoutError as error:
            request.answer.cancel()
            raise ModelUnavailableError(
                f"the model did not answer within {self._timeout:g} s; it is busy, try again"
            ) from error

    @property
    def adapts(self) -> bool:
        """See ``Embedder``."""
        return self._embedder.adapts

    def scores(self, vectors: Floats, centre: Floats | None = None) -> Floats:
        """Class scores of embeddings; see ``Embedder``. Too quick to be grouped."""
        return self._embedder.scores(vectors, centre)

    def frames(self, clip: Samples) -> Frames:
        """Embeddings of a clip's frames; see ``Embedder``."""
        return self._embedder.frames(clip)

    def _embedded(self, clips: Sequence[Samples]) -> Embeddings:
        began = time.perf_counter()
        embeddings = self._embedder.embed(clips)
        took, audio = time.perf_counter() - began, sum(map(len, clips)) / SAMPLE_RATE
        with self._counting:
            calls, seconds, busy = self.spent
            self.spent = (calls + 1, seconds + audio, busy + took)
        return embeddings

    def _ensure_worker(self) -> None:
        with self._starting:
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, name="embedder", daemon=True)
                self._worker.start()

    def _work(self) -> None:
        while True:
            group = self._collect()
            group = [request for request in group if request.answer.set_running_or_notify_cancel()]
            if not group:
                continue
            try:
                together = self._embedded([clip for r in group for clip in r.clips])
            except BaseException as error:  # noqa: BLE001 - raised in the callers' threads
                for request in group:
                    request.answer.set_exception(error)
                continue
            at = 0
            for request in group:
                part = slice(at, at + len(request.clips))
                at = part.stop
                request.answer.set_result(Embeddings(together.vectors[part], together.scores[part]))

    def _collect(self) -> list[_Request]:
        """The next request, and those that come within a few milliseconds."""
        group = [self._requests.get()]
        seconds = group[0].seconds
        until = time.monotonic() + _WAIT_S
        while seconds < _MOST_SECONDS:
            try:
                group.append(self._requests.get(timeout=max(0.0, until - time.monotonic())))
            except queue.Empty:
                break
            seconds += group[-1].seconds
        return group

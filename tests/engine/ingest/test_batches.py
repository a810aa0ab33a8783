"""Batches on their way through the model: one is always ahead, and what is left is let go."""

import threading

import numpy as np

from emotion_search.engine.embedders.base import Embeddings
from emotion_search.engine.embedders.shared import SharedEmbedder
from emotion_search.engine.ingest.batches import Batches


class Gated:
    """A model of one dimension that waits until it may, and remembers what it saw."""

    name, fingerprint, dimension, classes = "gated", "0" * 64, 1, ()

    def __init__(self) -> None:
        self.may, self.begun = threading.Semaphore(0), threading.Semaphore(0)
        self.seen: list[float] = []

    def embed(self, clips):
        self.begun.release()
        assert self.may.acquire(timeout=30)
        self.seen += [float(clip[0]) for clip in clips]
        return Embeddings(np.array([clip[:1] for clip in clips]), np.empty((len(clips), 0)))


def clip(value: float) -> np.ndarray:
    return np.full(16_000, value, np.float32)


def test_a_batch_is_being_embedded_while_the_one_before_is_dealt_with():
    model = Gated()
    batches: Batches[str] = Batches(SharedEmbedder(model, threads=1))
    assert batches.swap([("a", clip(1)), ("b", clip(2))]) == []
    model.may.release()
    model.begun.acquire(timeout=30)
    first = batches.swap([("c", clip(3))])
    assert [(name, float(vector[0])) for name, vector, *_ in first] == [("a", 1.0), ("b", 2.0)]
    assert model.begun.acquire(timeout=30)  # with the second, which nobody waits for yet
    model.may.release()
    ((name, vector, scores, affect),) = batches.swap([])
    assert (name, float(vector[0]), len(scores)) == ("c", 3.0, 0)
    assert affect is None
    assert batches.swap([]) == []


def test_what_was_not_begun_is_let_go():
    model = Gated()
    shared = SharedEmbedder(model, threads=1)
    batches: Batches[int] = Batches(shared)
    batches.swap([(i, clip(i)) for i in range(40)])
    assert model.begun.acquire(timeout=30)
    batches.close()
    model.may.release(2)
    assert shared.embed([clip(99)]).vectors.tolist() == [[99.0]]
    assert model.seen == [*range(15), 99.0]

"""Many callers, one model: grouped, undisturbed by each other, told when it takes too long."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from emotion_search.engine.embedders.acoustic.model import Acoustic
from emotion_search.engine.embedders.base import Embeddings
from emotion_search.engine.embedders.shared import SharedEmbedder
from emotion_search.index.errors import AudioError, ModelUnavailableError
from tests.conftest import tone


class Slow:
    """A model that takes its time, and remembers the sizes of its groups."""

    name, fingerprint, dimension, classes = "slow", "0" * 64, 1, ()

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.groups: list[int] = []
        self.gate = threading.Event()
        self.gate.set()

    def embed(self, clips):
        self.gate.wait()
        self.groups.append(len(clips))
        time.sleep(self.seconds)
        vectors = np.array([clip[:1] for clip in clips], np.float32).reshape(-1, 1)
        return Embeddings(vectors, np.empty((len(clips), 0), np.float32))


def clip(value: float) -> np.ndarray:
    return np.full(400, value, np.float32)


def test_each_caller_gets_its_own_answer_and_few_calls_are_made():
    model = Slow(0.02)
    shared = SharedEmbedder(model, timeout=10)
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda v: shared.embed([clip(v), clip(-v)]).vectors, range(1, 65)))
    assert [a[:, 0].tolist() for a in answers] == [[v, -v] for v in range(1, 65)]
    assert sum(model.groups) == 128
    assert len(model.groups) < 20


def test_a_bad_clip_fails_alone():
    shared = SharedEmbedder(Acoustic(), timeout=10)

    def ask(number: int) -> str:
        try:
            return str(shared.embed([tone(0.5) if number % 2 else tone(0.01)]).vectors.shape)
        except AudioError:
            return "refused"

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(16))) == ["refused", "(1, 256)"] * 8


def test_scores_are_the_model_s_own():
    shared, model = SharedEmbedder(Acoustic()), Acoustic()
    vectors = model.embed([tone(0.5)]).vectors
    assert shared.adapts
    for centre in (None, vectors[0]):
        assert np.array_equal(shared.scores(vectors, centre), model.scores(vectors, centre))


def test_a_failing_model_tells_every_caller():
    model = Slow()
    model.embed = lambda clips: (_ for _ in ()).throw(RuntimeError("broken"))
    shared = SharedEmbedder(model, timeout=5)
    with pytest.raises(RuntimeError, match="broken"):
        shared.embed([clip(1)])


def test_who_waits_too_long_is_told_and_not_computed():
    model = Slow()
    shared = SharedEmbedder(model, timeout=0.2)
    model.gate.clear()

    def ask():
        with pytest.raises(ModelUnavailableError):
            shared.embed([clip(1)])

    first = threading.Thread(target=ask)
    first.start()
    time.sleep(0.05)
    with pytest.raises(ModelUnavailableError, match="busy"):
        shared.embed([clip(2)])
    first.join()
    model.gate.set()
    assert shared.embed([clip(3)]).vectors.tolist() == [[3.0]]
    assert model.groups == [1, 1]  # the first, which had begun, and the third


def test_much_audio_goes_alone():
    model = Slow()
    shared = SharedEmbedder(model, timeout=5)
    many = [np.zeros(16_000, np.float32)] * 61
    assert len(shared.embed(many).vectors) == 61
    assert shared.embed([]).vectors.shape[0] == 0
    assert model.groups == [61, 0]

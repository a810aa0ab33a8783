"""Many callers, one model: grouped, undisturbed by each other, told when it takes too long."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from emotion_search.engine.embedders.acoustic.model import Acoustic
from emotion_search.engine.embedders.base import Embeddings
from emotion_search.engine.embedders.shared import SharedEmbedder
from emotion_search.engine.machine.threads import torch_threads
from emotion_search.index.errors import AudioError, ModelFailedError, ModelUnavailableError
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
    with pytest.raises(ModelFailedError, match=r"model slow failed: RuntimeError\('broken'"):
        shared.embed([clip(1)])


def test_who_waits_too_long_is_told_and_not_computed():
    model = Slow()
    shared = SharedEmbedder(model, timeout=0.2, threads=1)
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


def test_clips_go_through_on_all_threads_the_last_ones_in_small_groups():
    model, together = Slow(0.01), threading.Barrier(2)
    met = []
    usual = model.embed

    def embed(clips):
        if not met:
            together.wait(timeout=10)  # so that two threads are within at once
            met.append(True)
        return usual(clips)

    model.embed = embed
    shared = SharedEmbedder(model, threads=2)
    values = range(1, 62)
    answers = shared.embed([np.full(16_000, value, np.float32) for value in values])
    assert answers.vectors[:, 0].tolist() == [*values]
    assert max(model.groups) == 15  # seconds; no more together
    assert model.groups[-1] == 1
    assert shared.spent[1] == 61.0


def test_nothing_gives_nothing():
    assert SharedEmbedder(Acoustic()).embed([]).vectors.shape == (0, 256)


def test_little_goes_before_much():
    model = Slow()
    order = []
    usual = model.embed
    model.embed = lambda clips: (order.extend(len(c) for c in clips), usual(clips))[1]
    shared = SharedEmbedder(model, threads=1)
    model.gate.clear()
    much = shared.begin([np.ones(16_000, np.float32)] * 40)
    little = ThreadPoolExecutor(1).submit(shared.embed, [clip(2)])
    time.sleep(0.1)
    model.gate.set()
    assert little.result(10).vectors.tolist() == [[2.0]]
    assert len(much.result().vectors) == 40
    assert order.index(400) < order.index(16_000) + 16  # after the group in hand


def test_what_is_let_go_is_not_computed():
    model = Slow()
    shared = SharedEmbedder(model, threads=1)
    model.gate.clear()
    begun = shared.begin([np.ones(16_000, np.float32)] * 40)
    time.sleep(0.1)
    begun.drop()
    model.gate.set()
    assert shared.embed([clip(3)]).vectors.tolist() == [[3.0]]
    assert model.groups == [15, 1]


def test_the_process_s_threads_stay_as_they_were_and_the_model_s_are_one_each():
    seen = []
    with torch_threads(3):
        model = Slow(0.02)
        usual = model.embed
        model.embed = lambda clips: (seen.append(torch.get_num_threads()), usual(clips))[1]
        shared = SharedEmbedder(model, threads=3)
        shared.embed([clip(value) for value in range(1, 30)])
        assert set(seen) == {1}
        assert torch.get_num_threads() == 3
        with ThreadPoolExecutor(1) as later:
            assert later.submit(torch.get_num_threads).result() == 3


def test_beyond_sixteen_threads_operations_are_spread():
    seen = []
    model = Slow()
    usual = model.embed
    model.embed = lambda clips: (seen.append(torch.get_num_threads()), usual(clips))[1]
    SharedEmbedder(model, threads=40).embed([clip(1)])
    assert seen == [2]


def test_a_model_on_a_gpu_gets_all_that_waits_on_one_thread():
    model = Slow()
    model.device = torch.device("cuda")
    shared = SharedEmbedder(model)
    assert len(shared.embed([np.ones(16_000, np.float32)] * 61).vectors) == 61
    assert model.groups == [61]

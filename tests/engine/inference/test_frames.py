"""Recordings of any length: all frames, near those of the whole, in bounded memory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_search.engine.embedders.base import Frames
from emotion_search.engine.embedders.emotion2vec.model import Emotion2vec
from emotion_search.engine.inference.frames import CONTEXT_S, CORE_S, stream_frames
from tests.engine.embedders.test_exactness import cosine, noise

RATE = 16_000


class Positions:
    """An embedder whose frame vector is the first sample that the frame hears."""

    def __init__(self) -> None:
        self.longest = 0

    def frames(self, clip: np.ndarray) -> Frames:
        self.longest = max(self.longest, len(clip))
        count = (len(clip) - 400) // 320 + 1
        first = clip[: 320 * count : 320][:, None]
        return Frames(first.astype(np.float32), np.ones((count, 1), np.float32))


@given(total=st.integers(400, 100 * RATE), block=st.integers(5_000, 40 * RATE))
@settings(deadline=None, max_examples=60)
def test_every_frame_comes_once_in_its_place(total, block):
    samples = np.arange(total, dtype=np.float64)  # float64: exact beyond 2**24
    embedder = Positions()
    blocks = (samples[i : i + block].astype(np.float32) for i in range(0, total, block))
    vectors = np.concatenate([part.vectors for part in stream_frames(blocks, embedder)])
    expected = (np.arange((total - 400) // 320 + 1) * 320).astype(np.float32)
    assert np.array_equal(vectors[:, 0], expected)
    assert embedder.longest <= (CORE_S + 4 * CONTEXT_S) * RATE


@pytest.fixture(scope="module")
def embedder(checkpoint) -> Emotion2vec:
    return Emotion2vec(checkpoint, name="small", device="cpu")


def test_up_to_sixteen_seconds_the_whole_goes_through_at_once(embedder):
    clip = noise(15 * RATE + RATE - 1)
    (part,) = stream_frames([clip[:9999], clip[9999:]], embedder)
    assert np.array_equal(part.vectors, embedder.frames(clip).vectors)


def test_windows_pool_to_nearly_the_whole(embedder):
    clip = noise(50 * RATE)
    parts = [part.vectors for part in stream_frames([clip], embedder)]
    windowed = np.concatenate(parts).mean(axis=0)
    assert cosine(windowed, embedder.embed([clip]).vectors[0]) > 0.99

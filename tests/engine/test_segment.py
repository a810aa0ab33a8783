"""Windows cover a recording exactly, in bounded memory, however it is cut into blocks."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.segment import windows


@given(
    total=st.integers(1, 20 * 16_000), block=st.integers(500, 200_000), length=st.floats(1.0, 6.0)
)
def test_windows_cover_the_recording_exactly(total, block, length):
    samples = np.arange(total, dtype=np.float32)
    made = list(windows((samples[i : i + block] for i in range(0, total, block)), length))
    assert np.array_equal(np.concatenate([w.samples for w in made]), samples)
    assert made[0].start == 0
    assert made[-1].end == total / 16_000
    for before, after in itertools.pairwise(made):
        assert before.end == after.start
    for window in made:
        assert round((window.end - window.start) * 16_000) == len(window.samples)
        assert len(window.samples) < (length + 1) * 16_000 + 1
        assert len(made) == 1 or len(window.samples) >= 16_000 - 1


def test_a_short_recording_is_one_clip():
    (window,) = windows([np.zeros(15 * 16_000 + 100, np.float32)], 15.0)
    assert (window.start, len(window.samples)) == (0.0, 15 * 16_000 + 100)


def test_no_more_than_a_window_is_held():
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield np.zeros(16_000, np.float32)

    stream = windows(endless(), 5.0)
    for number in range(1, 50):
        next(stream)
        assert taken <= 5 * number + 2

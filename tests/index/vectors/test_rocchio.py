"""Rocchio's query: the mean direction of what hits should be like, less that of what they should
not."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from emotion_search.index.errors import InvalidInputError
from emotion_search.index.vectors.arrays import normalise
from emotion_search.index.vectors.rocchio import direction, rocchio

unit = (
    arrays.arrays(np.float32, (8,), elements=st.floats(-1, 1, width=32))
    .filter(lambda vector: np.linalg.norm(vector) > 0.1)
    .map(normalise)
)


@settings(deadline=None, max_examples=50)  # the machine may be busy
@given(st.lists(unit, min_size=1, max_size=5), st.lists(unit, max_size=5))
def test_a_quarter_of_the_mean_of_negative_examples_is_taken_from_that_of_positive_ones(
    positive, negative
):
    means = [np.mean(some, axis=0, dtype=float) for some in (positive, negative) if some]
    assume(all(np.linalg.norm(mean) > 0.01 for mean in means))
    ahead, *back = (mean / np.linalg.norm(mean) for mean in means)
    expected = ahead - 0.25 * sum(back)
    found = rocchio(positive, negative)
    assert found.dtype == np.float32
    assert found == pytest.approx(expected / np.linalg.norm(expected), abs=1e-5)


@settings(deadline=None, max_examples=50)
@given(unit)
def test_one_example_alone_comes_back_bit_for_bit(one):
    assert np.array_equal(rocchio([one], []), one)


def test_examples_count_by_their_weights():
    eye = np.eye(3, dtype=np.float32)
    assert direction(eye, np.array([3.0, 0.0, 4.0])) == pytest.approx([0.6, 0, 0.8])


@pytest.mark.parametrize("others", [[], [np.array([0, 1], np.float32)]])
def test_examples_that_cancel_each_other_out_are_refused(others):
    one = np.array([1, 0], np.float32)
    for examples in (([one, -one], others), (others or [one], [one, -one])):
        with pytest.raises(InvalidInputError, match="opposite directions"):
            rocchio(*examples)

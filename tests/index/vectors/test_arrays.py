"""Ids that are looked up among ascending ones."""

import numpy as np
import pytest

from emotion_search.index.vectors.arrays import find


@pytest.mark.parametrize(
    "ordered", [[], [7], [3, 4, 5, 6], [3, 5, 6, 9]], ids=["none", "one", "dense", "with gaps"]
)
def test_each_id_is_found_where_it_is_and_no_other(ordered: list[int]):
    wanted = [9, 2, 3, 7, 6, 3, 4, 10]
    known, places = find(np.array(ordered, np.int64), np.array(wanted, np.int64))
    assert known.tolist() == [one in ordered for one in wanted]
    assert places.tolist() == [ordered.index(one) for one in wanted if one in ordered]

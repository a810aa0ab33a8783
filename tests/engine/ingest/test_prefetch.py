"""Reading ahead keeps the order, bounds what it holds, and passes errors to the reader."""

import itertools
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_search.engine.ingest.prefetch import prefetch


@given(sizes=st.lists(st.integers(0, 6), max_size=20), workers=st.integers(1, 4))
@settings(deadline=None, max_examples=30)
def test_results_come_in_order(sizes, workers):
    made = prefetch(enumerate(sizes), lambda item: iter(range(item[1])), workers=workers)
    assert [(item, list(results)) for item, results in made] == [
        ((i, n), list(range(n))) for i, n in enumerate(sizes)
    ]


def test_an_error_is_raised_where_its_item_is_read():
    def produce(item):
        yield item
        if item == 1:
            raise ValueError("bad")

    seen = []
    for item, results in prefetch(range(3), produce, workers=2):
        try:
            seen.append((item, list(results)))
        except ValueError as error:
            seen.append((item, str(error)))
    assert seen == [(0, [0]), (1, "bad"), (2, [2])]


def test_no_more_is_begun_or_held_than_allowed():
    begun, produced = [], []

    def produce(item):
        begun.append(item)
        for number in itertools.count():
            produced.append((item, number))
            yield number

    reader = prefetch(itertools.count(), produce, workers=2, ahead=3, depth=2)
    item, _ = next(reader)
    time.sleep(0.3)
    assert item == 0
    assert set(begun) <= {0, 1, 2, 3}
    assert all(number <= 3 for _, number in produced)
    reader.close()
    assert not any(thread.name.startswith("prefetch") for thread in threading.enumerate())


def test_items_may_be_abandoned_half_way():
    def produce(item):
        yield from range(1000)

    taken = [(item, next(results)) for item, results in prefetch(range(10), produce, workers=2)]
    assert taken == [(item, 0) for item in range(10)]


def test_an_error_of_the_source_ends_it_all():
    def source():
        yield 1
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="gone"):
        list(prefetch(source(), lambda item: iter([item]), workers=2))

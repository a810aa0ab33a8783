"""Read ahead on several threads, hand over in order, hold only so much."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")
M = TypeVar("M")

_POLL_S = 0.1


@dataclass(eq=False)
class _Lane(Generic[T, M]):
    """What one item produces, on its way from the thread that reads it."""

    item: T
    results: queue.Queue[tuple[str, M | BaseException | None]]
    closed: threading.Event = field(default_factory=threading.Event)

    def put(self, kind: str, value: M | BaseException | None = None) -> bool:
        """Whether it was taken; False once nobody wants more."""
        while not self.closed.is_set():
            try:
                self.results.put((kind, value), timeout=_POLL_S)
            except queue.Full:
                continue
            return True
        return False


def prefetch(
    items: Iterable[T],
    produce: Callable[[T], Iterator[M]],
    *,
    workers: int,
    ahead: int = 32,
    depth: int = 2,
) -> Generator[tuple[T, Iterator[M]], None, None]:
    """Each item, in order, with what ``produce`` yields for it, computed ahead of time.

    At most ``ahead`` items are begun beyond the one in hand, and at most ``depth`` results of each
    wait to be taken. What ``produce`` raises is raised where its results are read. Going on to the
    next item abandons the rest of the one before. Close it if you stop early, or its threads wait
    for a reader.
    """
    source = iter(items)
    lanes: deque[_Lane[T, M]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="prefetch") as pool:
        try:
            while True:
                while len(lanes) <= ahead:
                    try:
                        item = next(source)
                    except StopIteration:
                        break
                    lane = _Lane[T, M](item, queue.Queue(maxsize=depth))
                    lanes.append(lane)
                    pool.submit(_run, lane, produce)
                if not lanes:
                    return
                lane = lanes.popleft()
                try:
                    yield lane.item, _results(lane)
                finally:
                    lane.closed.set()
        finally:
            for lane in lanes:
                lane.closed.set()
            pool.shutdown(wait=True, cancel_futures=True)


def _run(lane: _Lane[T, M], produce: Callable[[T], Iterator[M]]) -> None:
    try:
        for result in produce(lane.item):
            if not lane.put("result", result):
                return
    except BaseException as error:  # noqa: BLE001 - handed to the reader, who raises it
        lane.put("error", error)
    else:
        lane.put("end")


def _results(lane: _Lane[T, M]) -> Iterator[M]:
    while True:
        kind, value = lane.results.get()
        if kind == "end":
            return
        if kind == "error":
            assert isinstance(value, BaseException)
            raise value
        yield value  # type: ignore[misc]

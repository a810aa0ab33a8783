"""From a stream of samples to the clips of a recording."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from engine.audio import SAMPLE_RATE, Samples

_SHORTEST_S = 1.0  # a rest shorter than this joins the window before it


@dataclass(frozen=True, eq=False)
class Window:
    """A span of a recording (seconds) with its samples: float32, (n,), 16 kHz."""

    start: float
    end: float
    samples: Samples


def windows(blocks: Iterable[Samples], length: float) -> Iterator[Window]:
    """Consecutive windows of ``length`` seconds; holds no more than about one in memory.

    A recording of up to ``length`` + 1 s is one window; a rest under one second joins the last.
    """
    size = round(length * SAMPLE_RATE)
    spare = round(_SHORTEST_S * SAMPLE_RATE)
    held: list[Samples] = []
    have = at = 0
    for block in blocks:
        held.append(block)
        have += len(block)
        while have >= size + spare:
            joined = np.concatenate(held)
            yield _window(at, joined[:size])
            held, have, at = [joined[size:]], have - size, at + size
    if have:
        yield _window(at, np.concatenate(held))


def _window(at: int, samples: Samples) -> Window:
    return Window(at / SAMPLE_RATE, (at + len(samples)) / SAMPLE_RATE, samples)

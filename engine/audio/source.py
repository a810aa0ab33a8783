"""The protocol of an open audio file, whichever library decodes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]


class Source(Protocol):
    """A file that is being decoded, by whatever library."""

    sample_rate: int
    channels: int

    def cut_short(self, frames: int) -> tuple[float, float] | None:
        """Once ``blocks`` has ended after ``frames``: seconds that were found and seconds that were
        promised, if the file is not whole; None where it is, or the header gives no length."""

    @property
    def header_duration(self) -> float | None:
        """Seconds by the header; None if it gives none."""

    @property
    def tags(self) -> dict[str, str]:
        """Tags in the file, names in lower case."""

    def blocks(self) -> Iterator[Samples]:
        """Float32 blocks (n, channels) at the file's own rate."""

    def span(self, first: int, count: int) -> Samples:
        """``count`` samples from sample ``first`` on: float32, (up to count, channels)."""

    def close(self) -> None:
        """Close the file."""

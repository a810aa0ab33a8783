"""Samples of a file read in this process: of one channel, or of a span as it was recorded."""

from pathlib import Path

import numpy as np

from emotion_search.engine.audio.file import AudioFile, Samples


def channel_of(path: Path, channel: int) -> Samples:
    """Samples of one channel: mono float32 (n,) at 16 kHz."""
    with AudioFile(path, channel) as file:
        return np.concatenate([*file.blocks()])


def read_span(path: Path, *, channel: int | None, start: float, end: float) -> tuple[Samples, int]:
    """Samples between two moments (seconds): mono float32 (n,), and the file's own rate in Hz."""
    with AudioFile(path, channel) as file:
        return np.concatenate([np.empty(0, np.float32), *file.span(start, end)]), file.sample_rate

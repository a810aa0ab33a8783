"""Frame embeddings of recordings of any length, in constant memory.

Frames of a long recording come from windows of 15 s: 13 s that count, and a second of context on
either side that does not. A recording of less than 16 s goes through whole and is exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from emotion_search.engine.audio.file import FRAME_HOP, SAMPLE_RATE, Samples
from emotion_search.engine.embedders.base import Embedder, Frames

CORE_S = 13
"""Seconds of a window whose frames count."""
CONTEXT_S = 1
"""Seconds on either side that the model gets too, but whose frames are those of other windows."""

_CORE, _CONTEXT = CORE_S * SAMPLE_RATE, CONTEXT_S * SAMPLE_RATE


def stream_frames(blocks: Iterable[Samples], embedder: Embedder) -> Iterator[Frames]:
    """Frames of a recording in order, some seconds at a time: in all (samples - 400) // 320 + 1.

    Args:
        blocks: mono float32 at 16 kHz.

    Raises:
        AudioError: the recording is shorter than 400 samples or not finite.
        InvalidInputError: the model has no frames.
    """
    buffer = np.empty(0, np.float32)
    before = 0  # samples of context at the start of the buffer
    for block in blocks:
        buffer = np.concatenate([buffer, block])
        while len(buffer) >= before + _CORE + 3 * _CONTEXT:
            frames = embedder.frames(buffer[: before + _CORE + _CONTEXT])
            yield _part(frames, before // FRAME_HOP, (before + _CORE) // FRAME_HOP)
            buffer = buffer[before + _CORE - _CONTEXT :]
            before = _CONTEXT
    yield _part(embedder.frames(buffer), before // FRAME_HOP, None)


def _part(frames: Frames, start: int, end: int | None) -> Frames:
    return Frames(frames.vectors[start:end], frames.scores[start:end])

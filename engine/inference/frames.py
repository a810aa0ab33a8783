"""Frame embeddings of recordings of any length, in constant memory.

Frames of a long recording come from windows of 15 s: 13 s that count, and a second of context on
either side that does not. A recording of less than 16 s goes through whole and is exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from emotion_search.engine.audio.file import FRAME_HOP, SAMPLE_RATE, Samples
from emotion_search.engine.embedders.base import Embedder, Frames
from emotion_search.engine.machine.threads import ahead

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

    def frames(part: tuple[Samples, int, int | None]) -> Frames:
        samples, start, end = part
        found = embedder.frames(samples)
        return Frames(found.vectors[start:end], found.scores[start:end])

    yield from ahead(frames, _cut(blocks))


def _cut(blocks: Iterable[Samples]) -> Iterator[tuple[Samples, int, int | None]]:
    """Windows, and which of their frames count: from the first to before the last."""
    buffer = np.empty(0, np.float32)
    before = 0  # samples of context at the start of the buffer
    for block in blocks:
        buffer = np.concatenate([buffer, block])
        while len(buffer) >= before + _CORE + 3 * _CONTEXT:
            core = (before // FRAME_HOP, (before + _CORE) // FRAME_HOP)
            yield buffer[: before + _CORE + _CONTEXT], *core
            buffer = buffer[before + _CORE - _CONTEXT :]
            before = _CONTEXT
    yield buffer, before // FRAME_HOP, None

"""Waveform peaks of a recording, for drawing it without sending its audio."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np

from emotion_search.engine.archive.playback import file_of_recording
from emotion_search.engine.audio.file import SAMPLE_RATE, Samples
from emotion_search.engine.audio.mono import MonoFile
from emotion_search.engine.audio.workers import Decoders
from emotion_search.engine.library.library import Library
from emotion_search.index.errors import AudioError, NotFoundError

MOST = 8000
"""Most numbers of an outline."""
_FINEST_S = 0.002  # of sound in a number


def peaks_of(library: Library, recording_id: int, channel: int | None = None) -> list[int]:
    """The largest amplitude, 0 to 255, in each of up to 8,000 equal parts of the recording, or
    of one channel of it; memory does not grow with its length. Outlines asked for last are kept.

    Raises:
        NotFoundError: no such recording, or its file is no longer there or has changed.
    """
    recording = library.recording(recording_id)
    with file_of_recording(library, recording_id, recording.sha256) as path:
        return _kept(recording.sha256, path, recording.duration, library.decoders, channel)


@lru_cache(64)
def _kept(
    _sha256: str, path: Path, duration: float, decoders: Decoders, channel: int | None
) -> list[int]:
    return outline(MonoFile(decoders, path, channel=channel).blocks(), duration)


def outline(blocks: Iterable[Samples], duration: float) -> list[int]:
    """The largest amplitude, 0 to 255, in each equal part of ``duration`` seconds at 16 kHz.

    Raises:
        NotFoundError: the file cannot be decoded.
    """
    count = int(min(MOST, max(1, duration / _FINEST_S)))
    peaks = np.zeros(count, np.float32)
    samples = max(1, round(duration * SAMPLE_RATE))
    firsts = -(-np.arange(count, dtype=np.int64) * samples // count)  # of each part, rounded up
    at = 0
    try:
        for block in blocks:
            low = int(np.searchsorted(firsts, at, side="right")) - 1
            high = int(np.searchsorted(firsts, at + len(block), side="left"))
            starts = np.maximum(firsts[low:high] - at, 0)
            found = np.maximum.reduceat(np.abs(block), starts)
            peaks[low:high] = np.maximum(peaks[low:high], found)
            at += len(block)
    except (AudioError, OSError) as error:
        raise NotFoundError(f"the recording cannot be drawn: it {error}") from error
    loudest = np.asarray(np.round(np.minimum(peaks, 1.0) * 255), np.int64)
    return [int(one) for one in loudest]

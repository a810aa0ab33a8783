"""The outline of a recording's sound, for drawing it without sending it."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from threading import Lock

import numpy as np

from emotion_search.engine.audio.file import SAMPLE_RATE, AudioFile
from emotion_search.engine.files.scan import unchanged
from emotion_search.engine.library.library import Library
from emotion_search.index.database.recording_details import get_recording, locations_of
from emotion_search.index.errors import AudioError, NotFoundError

MOST = 8000
"""Most numbers of an outline."""
_FINEST_S = 0.002  # of sound in a number
_KEPT = 64


class Peaks:
    """Outlines of recordings; those asked for last are kept."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, list[int]] = OrderedDict()
        self._lock = Lock()

    def of(self, library: Library, recording_id: int) -> list[int]:
        """The largest amplitude, 0 to 255, in each of up to 8,000 equal parts of the recording;
        memory does not grow with its length.

        Raises:
            NotFoundError: no such recording, or its file is no longer there or has changed.
        """
        with library.database.read() as session:
            row = get_recording(session, recording_id)
            duration, sha256 = row.duration, row.sha256
            places = locations_of(session, recording_id)
        with self._lock:
            if sha256 in self._kept:
                self._kept.move_to_end(sha256)
                return self._kept[sha256]
        for place in places:
            path = Path(place.path)
            if unchanged(path, place, sha256):
                made = outline(path, duration)
                with self._lock:
                    self._kept[sha256] = made
                    if len(self._kept) > _KEPT:
                        self._kept.popitem(last=False)
                return made
        raise NotFoundError(
            f"the file of recording {recording_id} is no longer there, or has changed"
        )


def outline(path: Path, duration: float) -> list[int]:
    """The largest amplitude, 0 to 255, in each equal part of a file of ``duration`` seconds.

    Raises:
        NotFoundError: the file cannot be decoded.
    """
    count = int(min(MOST, max(1, duration / _FINEST_S)))
    peaks = np.zeros(count, np.float32)
    samples = max(1, round(duration * SAMPLE_RATE))
    firsts = -(-np.arange(count, dtype=np.int64) * samples // count)  # of each part, rounded up
    at = 0
    try:
        with AudioFile(path) as file:
            for block in file.blocks():
                low = int(np.searchsorted(firsts, at, side="right")) - 1
                high = int(np.searchsorted(firsts, at + len(block), side="left"))
                starts = np.maximum(firsts[low:high] - at, 0)
                found = np.maximum.reduceat(np.abs(block), starts)
                peaks[low:high] = np.maximum(peaks[low:high], found)
                at += len(block)
    except AudioError as error:
        raise NotFoundError(f"the recording cannot be drawn: it {error}") from error
    loudest = np.asarray(np.round(np.minimum(peaks, 1.0) * 255), np.int64)
    return [int(one) for one in loudest]

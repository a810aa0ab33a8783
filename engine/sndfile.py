"""Audio that libsndfile reads: WAV, FLAC, OGG, Opus, MP3 and their like."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from engine.source import Samples
from index.errors import AudioError

_BLOCK_S = 10.0
_LENGTH_SLACK = {"WAV": 0.0, "WAVEX": 0.0, "FLAC": 0.0, "MP3": 0.05}
"""By format whose header tells the length: the part that may be missing without alarm."""


class SndfileSource:
    """A file that libsndfile reads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = soundfile.SoundFile(path)
        self.sample_rate = int(self._file.samplerate)
        self.channels = int(self._file.channels)

    @property
    def promised(self) -> float | None:
        slack = _LENGTH_SLACK.get(self._file.format)
        if slack is None:
            return None
        frames = _wav_frames(self._path) or int(self._file.frames)
        return frames * (1 - slack) / self.sample_rate

    @property
    def told(self) -> float | None:
        frames = int(self._file.frames)
        return frames / self.sample_rate if 0 < frames < 2**62 else None

    @property
    def tags(self) -> dict[str, str]:
        return {name.lower(): text for name, text in self._file.copy_metadata().items() if text}

    def blocks(self) -> Iterator[Samples]:
        size = round(_BLOCK_S * self.sample_rate)
        while True:
            try:
                frames = self._file.read(size, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise AudioError(f"cannot be decoded to its end ({reason(error)})") from error
            if len(frames) == 0:
                return
            yield frames

    def span(self, first: int, count: int) -> Samples:
        try:
            if self._file.seekable():
                self._file.seek(first)
            else:  # GSM, for one
                for begin in range(0, first, self.sample_rate):
                    self._file.read(min(self.sample_rate, first - begin))
            return np.asarray(self._file.read(count, dtype="float32", always_2d=True))
        except soundfile.LibsndfileError as error:
            at = first / self.sample_rate
            raise AudioError(f"has nothing at {at:.2f} s ({reason(error)})") from error

    def close(self) -> None:
        self._file.close()


def _wav_frames(path: Path) -> int | None:
    """Frames promised by the data chunk of a plain WAV file; None for others, or if unknown.

    libsndfile quietly shortens its count to what is there, so a cut file would pass unnoticed.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(4) != b"RIFF" or file.read(8)[4:] != b"WAVE":
            return None
        block_align = 0
        while len(head := file.read(8)) == 8:
            name, length = head[:4], int.from_bytes(head[4:], "little")
            if name == b"fmt ":
                block_align = int.from_bytes(file.read(length)[12:14], "little")
                file.seek(length & 1, 1)
            elif name == b"data":
                # Recorders that stream write 0 or a huge number and never come back to it.
                streamed = length == 0 or length >= 0x7FFFFF00
                if streamed or block_align == 0 or file.tell() + length <= size:
                    return None
                return length // block_align
            else:
                file.seek(length + (length & 1), 1)
    return None


def reason(error: Exception) -> str:
    """What libsndfile says is wrong, without a full stop."""
    text = getattr(error, "error_string", None) or str(error)
    return str(text).strip().rstrip(".")

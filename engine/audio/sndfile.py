"""Audio files that libsndfile decodes: WAV, FLAC, OGG, Opus, MP3 and their like."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from emotion_search.engine.audio.source import Samples
from emotion_search.index.errors import AudioError

_BLOCK_S = 10.0
_LENGTH_SLACK = {"FLAC": 0.0, "MP3": 0.05}
"""By format whose header tells the frames: the part that may be missing without alarm."""


class SndfileSource:
    """A file that libsndfile reads."""

    def __init__(self, path: Path) -> None:
        self._file = soundfile.SoundFile(path)
        self.sample_rate = int(self._file.samplerate)
        self.channels = int(self._file.channels)

    def cut_short(self, frames: int) -> tuple[float, float] | None:
        slack = _LENGTH_SLACK.get(self._file.format)
        if slack is None:
            return None
        promised = int(self._file.frames)
        if frames >= promised * (1 - slack):
            return None
        return frames / self.sample_rate, promised / self.sample_rate

    @property
    def header_duration(self) -> float | None:
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


def reason(error: Exception) -> str:
    """What libsndfile says is wrong, without a full stop."""
    text = str(getattr(error, "error_string", None) or error).strip().rstrip(".")
    # of MP3 it says that there were no such file where it found no sound in one
    return "no MPEG audio in it" if "possibly a pipe" in text else text

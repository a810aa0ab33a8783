"""The only decoder: any audio file to mono float32 at 16 kHz, in blocks, with its true duration."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from index.errors import AudioError

Samples = NDArray[np.float32]

SAMPLE_RATE = 16_000
"""Hz of everything that is embedded."""

EXTENSIONS = frozenset(
    [
        ".aif",
        ".aiff",
        ".au",
        ".caf",
        ".flac",
        ".mp3",
        ".oga",
        ".ogg",
        ".opus",
        ".rf64",
        ".snd",
        ".w64",
        ".wav",
    ]
)
"""Lower-case extensions by which audio files are found in folders."""

_BLOCK_S = 10.0
_RATES = (1_000, 768_000)  # Hz; a header beyond is damaged, or means to exhaust us
_LENGTH_SLACK = {"WAV": 0.0, "WAVEX": 0.0, "FLAC": 0.0, "MP3": 0.05}
"""By format whose header tells the length: the part that may be missing without alarm."""


class AudioFile:
    """An open audio file.

    Args:
        path: the file.
        channel: counted from 0; None mixes all channels down.

    Raises:
        AudioError: it cannot be decoded, or has no such channel.
    """

    def __init__(self, path: Path, channel: int | None = None) -> None:
        self._path = path
        self._channel = channel
        if not path.is_file():  # a pipe or a device would never end
            raise AudioError("is not a regular file" if path.exists() else "is not there")
        try:
            self._file = soundfile.SoundFile(path)
        except (soundfile.LibsndfileError, OSError, TypeError, ValueError, RuntimeError) as error:
            raise AudioError(f"cannot be decoded as audio ({_reason(error)})") from error
        self.sample_rate = int(self._file.samplerate)
        self.channels = int(self._file.channels)
        self._decoded = 0
        if not _RATES[0] <= self.sample_rate <= _RATES[1]:
            self._file.close()
            raise AudioError(f"has a sample rate of {self.sample_rate} Hz, which is no audio's")
        if channel is not None and not 0 <= channel < self.channels:
            self._file.close()
            raise AudioError(f"has no channel {channel} (it has {self.channels}, counted from 0)")

    def __enter__(self) -> AudioFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    @property
    def duration(self) -> float:
        """Seconds decoded so far; once ``blocks`` has ended, the file's true duration."""
        return self._decoded / self.sample_rate

    def blocks(self) -> Iterator[Samples]:
        """Mono float32 blocks at 16 kHz, from the start to the end; blocks differ in length.

        Raises:
            AudioError: nothing in it, samples that are not finite, or an end before its time.
        """
        resampler = None
        if self.sample_rate != SAMPLE_RATE:
            resampler = soxr.ResampleStream(self.sample_rate, SAMPLE_RATE, 1, dtype="float32")
        empty = True
        for block in self._native_blocks():
            out = block if resampler is None else resampler.resample_chunk(block)
            if len(out):
                empty = False
                yield out
        if resampler is not None:
            tail = resampler.resample_chunk(np.empty(0, np.float32), last=True)
            if len(tail):
                empty = False
                yield tail
        if empty:
            raise AudioError("is too short: not one sample at 16 kHz")

    def span(self, start: float, end: float) -> Samples:
        """Mono float32 samples from ``start`` to ``end`` (seconds) at the file's own rate.

        Raises:
            AudioError: the file ends before ``start``, or cannot be decoded there.
        """
        try:
            self._file.seek(round(start * self.sample_rate))
            count = round((end - start) * self.sample_rate)
            frames = self._file.read(count, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise AudioError(f"has nothing at {start:.2f} s ({_reason(error)})") from error
        return self._mono(frames)

    def _mono(self, frames: Samples) -> Samples:
        if self._channel is None:
            return np.asarray(frames.mean(axis=1, dtype=np.float32))
        return np.ascontiguousarray(frames[:, self._channel])

    def _native_blocks(self) -> Iterator[Samples]:
        """Mono blocks at the file's own rate, checked."""
        while True:
            try:
                frames = self._file.read(
                    round(_BLOCK_S * self.sample_rate), dtype="float32", always_2d=True
                )
            except soundfile.LibsndfileError as error:
                raise AudioError(
                    f"breaks off after {self.duration:.2f} s ({_reason(error)})"
                ) from error
            if len(frames) == 0:
                break
            self._decoded += len(frames)
            mono = self._mono(frames)
            if not np.isfinite(mono).all():
                raise AudioError("contains samples that are not finite (NaN or infinity)")
            yield mono
        self._check_length()

    def _check_length(self) -> None:
        if self._decoded == 0:
            raise AudioError("contains no audio")
        slack = _LENGTH_SLACK.get(self._file.format)
        promised = _wav_frames(self._path) or int(self._file.frames)
        if slack is not None and self._decoded < promised * (1 - slack):
            raise AudioError(
                f"is truncated: {self.duration:.2f} s are there,"
                f" {promised / self.sample_rate:.2f} s were promised"
            )


def decode(
    path: Path, *, channel: int | None = None, start: float = 0.0, end: float | None = None
) -> Samples:
    """Samples of a file between ``start`` and ``end`` (seconds): mono float32 (n,) at 16 kHz.

    Raises:
        AudioError: see ``AudioFile``.
    """
    first = round(start * SAMPLE_RATE)
    last = None if end is None else round(end * SAMPLE_RATE)
    parts: list[Samples] = []
    at = 0
    with AudioFile(path, channel) as file:
        for block in file.blocks():
            parts.append(block[max(0, first - at) : None if last is None else max(0, last - at)])
            at += len(block)
            if last is not None and at >= last:
                break
    return np.concatenate(parts)


def read_span(path: Path, *, channel: int | None, start: float, end: float) -> tuple[Samples, int]:
    """A span as it was recorded, for listening: mono float32 (n,), and its own sample rate in Hz.

    Raises:
        AudioError: the file cannot be decoded or ends before ``start``.
    """
    with AudioFile(path, channel) as file:
        return file.span(start, end), file.sample_rate


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


def _reason(error: Exception) -> str:
    text = getattr(error, "error_string", None) or str(error)
    return str(text).strip().rstrip(".")

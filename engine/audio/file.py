"""Decoding: any audio file to mono float32 at 16 kHz, in blocks, with its true duration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr

from emotion_search.engine.audio.sndfile import SndfileSource, reason
from emotion_search.engine.audio.source import Samples, Source
from emotion_search.engine.audio.truncation import missing_bytes
from emotion_search.index.errors import AudioError

__all__ = [
    "EXTENSIONS",
    "SAMPLE_RATE",
    "AudioFile",
    "Samples",
    "decode",
    "header_duration",
    "read_span",
]

SAMPLE_RATE = 16_000
"""Hz of everything that is embedded."""

SHORTEST = 400
"""Fewest samples of a clip (25 ms at 16 kHz): the receptive field of one frame."""

FRAME_HOP = 320
"""Samples from one frame to the next (20 ms at 16 kHz): 50 frames a second."""

_SNDFILE_NAMES = "aif aiff au caf flac mp3 oga ogg opus rf64 snd w64 wav"
_CONTAINER_NAMES = (
    "3g2 3gp aac ac3 amr ape asf avi awb eac3 g722 m4a m4b m4v mka mkv mov mp2 mp4 mpeg mpg qcp spx"
    " webm wma wmv wv"
)
_SNDFILE = frozenset(f".{name}" for name in _SNDFILE_NAMES.split())

EXTENSIONS = _SNDFILE | {f".{name}" for name in _CONTAINER_NAMES.split()}
"""Lower-case extensions by which files are found in folders; of videos the sound is used."""

_RATES = (1_000, 768_000)  # Hz; a header beyond is damaged, or an attack


class AudioFile:
    """An open audio file.

    Args:
        path: the file.
        channel: counted from 0; None mixes all channels down.

    Raises:
        AudioError: it cannot be decoded, or has no such channel.
    """

    def __init__(self, path: Path, channel: int | None = None) -> None:
        self._channel = channel
        if not path.is_file():  # a pipe or a device would never end
            raise AudioError("is not a regular file" if path.exists() else "is not there")
        self._path, self._source = path, _open(path)
        self.sample_rate, self.channels = self._source.sample_rate, self._source.channels
        self._decoded = 0
        try:
            if not _RATES[0] <= self.sample_rate <= _RATES[1]:
                raise AudioError(f"has a sample rate of {self.sample_rate} Hz, which is no audio's")
            self._check([channel])
        except AudioError:
            self._source.close()
            raise

    def __enter__(self) -> AudioFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._source.close()

    @property
    def duration(self) -> float:
        """Seconds decoded so far; once ``blocks`` has ended, the file's true duration."""
        return self._decoded / self.sample_rate

    @property
    def header_duration(self) -> float | None:
        """Seconds by the header, finite and positive; None where it gives none."""
        seconds = self._source.header_duration
        return seconds if seconds is not None and 0 < seconds < float("inf") else None

    @property
    def tags(self) -> dict[str, str]:
        """Tags in the file, such as ``title`` and ``date``; names in lower case."""
        return self._source.tags

    def blocks(self) -> Iterator[Samples]:
        """Mono float32 blocks at 16 kHz, from the start to the end; blocks differ in length.

        Raises:
            AudioError: nothing in it, samples that are not finite, or an end before its time.
        """
        for (block,) in self.tracks([self._channel]):
            yield block

    def tracks(self, channels: Sequence[int | None]) -> Iterator[list[Samples]]:
        """Blocks of several channels at once (None is all mixed down), each as ``blocks`` has it;
        those of one step are of the same length.

        Raises:
            AudioError: as ``blocks``, or there is no such channel.
        """
        self._check(channels)
        resampler = None
        if self.sample_rate != SAMPLE_RATE:
            number = len(channels)
            resampler = soxr.ResampleStream(self.sample_rate, SAMPLE_RATE, number, dtype="float32")
        empty = True
        for frames in self._native_blocks():
            chosen = np.stack([_channel(frames, channel) for channel in channels], axis=1)
            if not np.isfinite(chosen).all():
                raise AudioError("contains samples that are not finite (NaN or infinity)")
            out = chosen if resampler is None else resampler.resample_chunk(chosen)
            if len(out):
                empty = False
                yield list(np.ascontiguousarray(out.T))
        if resampler is not None:
            tail = resampler.resample_chunk(np.empty((0, len(channels)), np.float32), last=True)
            if len(tail):
                empty = False
                yield list(np.ascontiguousarray(tail.T))
        if empty:
            raise AudioError("is too short: not one sample at 16 kHz")

    def span(self, start: float, end: float) -> Samples:
        """Mono float32 samples from ``start`` to ``end`` (seconds) at the file's own rate.

        Raises:
            AudioError: the file ends before ``start``, or cannot be decoded there.
        """
        first = round(start * self.sample_rate)
        count = round((end - start) * self.sample_rate)
        return _channel(self._source.span(first, count), self._channel)

    def _check(self, channels: Sequence[int | None]) -> None:
        for channel in channels:
            if channel is not None and not 0 <= channel < self.channels:
                raise AudioError(
                    f"has no channel {channel} (it has {self.channels}, counted from 0)"
                )

    def _native_blocks(self) -> Iterator[Samples]:
        """Blocks (n, channels) at the file's own rate, up to an end that is checked."""
        blocks = self._source.blocks()
        while True:
            try:
                frames = next(blocks, None)
            except AudioError as error:
                raise AudioError(f"breaks off after {self.duration:.2f} s: {error}") from error
            if frames is None:
                break
            self._decoded += len(frames)
            yield frames
        if self._decoded == 0:
            raise AudioError("contains no audio")
        if (missing := missing_bytes(self._path)) is not None:
            there, declared = missing
            raise AudioError(
                f"is truncated after {self.duration:.2f} s: {there} bytes of sound are there,"
                f" {declared} were promised"
            )
        if (short := self._source.cut_short(self._decoded)) is not None:
            raise AudioError(
                f"is truncated: {short[0]:.2f} s are there, {short[1]:.2f} s were promised"
            )


def _channel(frames: Samples, channel: int | None) -> Samples:
    """One channel of frames (n, channels), or all of them mixed down: (n,)."""
    if channel is None:
        return np.asarray(frames.mean(axis=1, dtype=np.float32))
    return np.ascontiguousarray(frames[:, channel])


def _open(path: Path) -> Source:
    """The file, by libsndfile if it can, else by FFmpeg."""
    try:
        return SndfileSource(path)
    except (soundfile.LibsndfileError, OSError, TypeError, ValueError, RuntimeError) as error:
        from emotion_search.engine.audio.ffmpeg import ContainerSource

        try:
            return ContainerSource(path)
        except AudioError as other:
            known = path.suffix.lower() in _SNDFILE
            raise AudioError(
                f"cannot be decoded as audio ({reason(error)})" if known else str(other)
            ) from error


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


def header_duration(path: Path) -> float | None:
    """Seconds of a file by its header, nothing decoded; None where it gives none.

    Raises:
        AudioError: see ``AudioFile``.
    """
    with AudioFile(path) as file:
        return file.header_duration


def read_span(path: Path, *, channel: int | None, start: float, end: float) -> tuple[Samples, int]:
    """A span as it was recorded, for listening: mono float32 (n,), and its own sample rate in Hz.

    Raises:
        AudioError: the file cannot be decoded or ends before ``start``.
    """
    with AudioFile(path, channel) as file:
        return file.span(start, end), file.sample_rate

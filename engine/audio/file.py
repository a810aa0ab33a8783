"""Decoding: any audio file to mono float32 at 16 kHz, in blocks, with its true duration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from emotion_search.engine.audio.samples import FRAME_HOP, SAMPLE_RATE, SHORTEST, Samples
from emotion_search.index.errors import AudioError

__all__ = ["EXTENSIONS", "FRAME_HOP", "SAMPLE_RATE", "SHORTEST", "AudioFile", "Samples", "decode"]

_NAMES = (
    "3g2 3gp aac ac3 aif aifc aiff amr ape asf au avi awb caf eac3 flac flv g722 m4a m4b m4v mka"
    " mkv mov mp2 mp3 mp4 mpeg mpg oga ogg opus qcp rf64 snd spx tta voc w64 wav webm wma wmv wv"
)
EXTENSIONS = frozenset(f".{name}" for name in _NAMES.split())
"""Lower-case extensions by which files are found in folders; of videos the sound is used."""

_CANCELLED = 0.1  # of the channels' power: left of it in their sum, where they cancel each other
_PIECE_S, _MUCH = 0.5, 0.05  # of pieces that are judged; share of the power in some that is much
_LOUDER = 4.0  # times the power of a channel that was taken: another is taken then


class AudioFile:
    """An open audio file.

    Args:
        path: the file.
        channel: counted from 0; None mixes all channels down.
        track: number of the sound track, from 1; None for the first with speech.

    Attributes:
        notices: what somebody should know who reads the file, once ``blocks`` has ended.

    Raises:
        AudioError: it cannot be decoded, or has no such channel.
    """

    def __init__(self, path: Path, channel: int | None = None, track: int | None = None) -> None:
        from emotion_search.engine.audio.tracks import open_track  # loads FFmpeg

        self._channel = channel
        if not path.is_file():  # a pipe or a device would never end
            what = "is a folder" if path.is_dir() else "is not a regular file"
            raise AudioError(what if path.exists() else "is not there")
        self._source, self.notices = open_track(path, track)
        self.sample_rate, self.channels = self._source.sample_rate, self._source.channels
        self._decoded = 0
        self._mixer = _Mixer(self.sample_rate)
        try:
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
        """Seconds by the header, positive; None where it gives none."""
        return self._source.header_duration

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
            import soxr

            number = len(channels)
            resampler = soxr.ResampleStream(self.sample_rate, SAMPLE_RATE, number, dtype="float32")
        empty = True
        for frames in self._source.blocks():
            self._decoded += len(frames)
            chosen = np.stack([self._mixer.channel(frames, one) for one in channels], axis=1)
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
        self.notices += [*self._source.notices, *self._mixer.notices]

    def span(self, start: float, end: float) -> Iterator[Samples]:
        """Mono float32 blocks from ``start`` to ``end`` (seconds) at the file's own rate.

        Raises:
            AudioError: it cannot be decoded there.
        """
        first = round(start * self.sample_rate)
        count = round((end - start) * self.sample_rate)
        for frames in self._source.span(first, count):
            yield self._mixer.channel(frames, self._channel)

    def _check(self, channels: Sequence[int | None]) -> None:
        for channel in channels:
            if channel is not None and not 0 <= channel < self.channels:
                raise AudioError(
                    f"has no channel {channel} (it has {self.channels}, counted from 0)"
                )


class _Mixer:
    """Mixes channels down; where they cancel each other out, takes the louder one.

    Channels cancel where their sum has less than a tenth of the sum of their powers; of
    independent ones it has all. Judged by half-seconds: where much of a block would be lost, none
    of it is mixed.
    """

    def __init__(self, rate: int) -> None:
        self._piece = int(_PIECE_S * rate)
        self._taken: int | None = None

    @property
    def notices(self) -> list[str]:
        """Whether that was so anywhere."""
        if self._taken is None:
            return []
        return [f"its channels cancel each other out: channel {self._taken} is taken, not the mix"]

    def channel(self, frames: Samples, channel: int | None) -> Samples:
        """One channel of frames (n, channels), or all of them mixed down: (n,)."""
        if channel is not None:
            return np.ascontiguousarray(frames[:, channel])
        mix = np.asarray(frames.mean(axis=1, dtype=np.float32))
        number = frames.shape[1]
        if number == 1 or not len(frames):
            return mix
        pieces = np.arange(0, len(frames), self._piece)
        powers = np.add.reduceat(np.square(frames, dtype=np.float64), pieces, axis=0)
        left = np.add.reduceat(np.square(number * mix, dtype=np.float64), pieces)
        lost = powers[left < _CANCELLED * powers.sum(axis=1)].sum()
        if lost <= _MUCH * powers.sum():
            return mix
        powers = powers.sum(axis=0)
        loudest = int(powers.argmax())
        if self._taken is None or powers[loudest] > _LOUDER * powers[self._taken]:
            self._taken = loudest
        return np.ascontiguousarray(frames[:, self._taken])


def decode(path: Path, *, end: float | None = None) -> Samples:
    """Samples of a file up to ``end`` (seconds): mono float32 (n,) at 16 kHz.

    Raises:
        AudioError: see ``AudioFile``.
    """
    last = None if end is None else round(end * SAMPLE_RATE)
    parts: list[Samples] = []
    size = 0
    with AudioFile(path) as file:
        for block in file.blocks():
            parts.append(block)
            size += len(block)
            if last is not None and size >= last:
                break
    return np.concatenate(parts)[:last]

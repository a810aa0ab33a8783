"""Audio files that libsndfile does not read, decoded by FFmpeg: AAC, AMR, WMA, WebM, video."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from emotion_search.engine.audio.source import Samples
from emotion_search.index.errors import AudioError

# Of FFmpeg's demuxers, those of single files: a playlist could name other files or addresses.
_FORMATS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,eac3,flac,flv,g722,gsm,matroska,webm,mov,mp4,"
    "m4a,3gp,3g2,mj2,mp3,mpeg,mpegts,ogg,qcp,rm,tta,voc,w64,wav,wv"
)
_OPTIONS = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
_EXACT = frozenset(["ape", "asf", "flac", "flv", "matroska", "tta", "wv"])
"""Formats that write down how long they are; of others FFmpeg only estimates it."""
_BEFORE_S = 0.5  # a decoder is fed from so far before the point that is wanted
_SLACK_S, _SLACK = 0.5, 0.03  # of the length that is written down, by which it may be off


class ContainerSource:
    """The first sound track of a file.

    Attributes:
        sample_rate: Hz.
        channels: how many.

    Raises:
        AudioError: it is no such file, or has no sound.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._container = av.open(
                str(path.absolute()),  # a colon in a relative one would make it an address
                "r",
                container_options=_OPTIONS,
                metadata_errors="replace",
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            raise AudioError(f"cannot be decoded as audio ({_reason(error)})") from error
        try:
            if not self._container.streams.audio:
                raise AudioError("has no sound track")
            self._stream = self._container.streams.audio[0]
            context = self._stream.codec_context
            if context is None:
                raise AudioError("has a sound track of a kind that cannot be decoded")
            self.sample_rate = int(context.sample_rate or 0)
            self.channels = int(context.channels or 0)
            self._formats = frozenset(self._container.format.name.split(","))
            self._reached = Fraction(0)  # seconds, of the last packet's end
        except BaseException:
            self._container.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def cut_short(self, frames: int) -> tuple[float, float] | None:
        """Where the last packet ends and how long the file says it is, if the one falls short of
        the other; None if it does not, or the file does not say.

        Not by what was decoded: there may be gaps between packets. The MP4 family says how long
        each track is; of others the longest counts, which may be video.
        """
        promised = self._track_length if "mp4" in self._formats else None
        if self._formats & _EXACT:
            promised = self.header_duration
        if promised is None or self._reached >= promised * (1 - _SLACK) - _SLACK_S:
            return None
        return float(self._reached), promised

    @property
    def _track_length(self) -> float | None:
        length, time_base = self._stream.duration, self._stream.time_base
        return None if not length or time_base is None else float(length * time_base)

    @property
    def header_duration(self) -> float | None:
        """Seconds by the container's header; None if it gives none."""
        duration = self._container.duration
        return duration / av.time_base if duration else None

    @property
    def tags(self) -> dict[str, str]:
        """The container's tags, names in lower case."""
        return {name.lower(): str(text) for name, text in self._container.metadata.items()}

    def blocks(self) -> Iterator[Samples]:
        """Float32 blocks (n, channels) at the file's own rate, from the start to the end.

        Raises:
            AudioError: a part cannot be decoded.
        """
        for frame in self._frames():
            yield self._samples(frame)

    def span(self, first: int, count: int) -> Samples:
        """``count`` samples from sample ``first`` on: float32, (up to count, channels).

        Only files of the MP4 family tell the time of each sample exactly; all others are decoded
        from their start.

        Raises:
            AudioError: it cannot be decoded there.
        """
        origin = self._stream.start_time or 0
        time_base = self._stream.time_base
        assert time_base is not None
        exact = time_base * self.sample_rate == 1 and "mp4" in self._container.format.name
        if exact and first > self.sample_rate * 2 * _BEFORE_S:
            wanted = first / self.sample_rate - _BEFORE_S
            self._container.seek(origin + int(wanted / time_base), stream=self._stream)
        parts: list[Samples] = []
        at: int | None = None
        have = 0
        for frame in self._frames():
            if at is None and not exact:
                at = 0
            if at is None:
                pts = origin if frame.pts is None else frame.pts
                at = round(float((pts - origin) * time_base) * self.sample_rate)
            samples = self._samples(frame)
            part = samples[max(0, first - at) :][: count - have]
            at += len(samples)
            if len(part):
                parts.append(part)
                have += len(part)
            if have >= count:
                break
        return np.concatenate(parts) if parts else np.empty((0, self.channels), np.float32)

    def _frames(self) -> Iterator[AudioFrame]:
        resampler = AudioResampler(format="fltp", layout=self._stream.layout, rate=self.sample_rate)
        try:
            for packet in self._packets():
                for frame in packet.decode():
                    assert isinstance(frame, AudioFrame)
                    yield from resampler.resample(frame)
            yield from resampler.resample(None)
        except (av.FFmpegError, ValueError) as error:
            raise AudioError(f"cannot be decoded to its end ({_reason(error)})") from error

    def _packets(self) -> Iterator[av.Packet[Any]]:
        """Packets of the sound; of files of which the longest track counts, all go by."""
        every = bool(self._formats & _EXACT)
        origin = 0 if every else self._stream.start_time or 0
        for packet in self._container.demux() if every else self._container.demux(self._stream):
            if packet.pts is not None and packet.time_base is not None:
                end = (packet.pts - origin + (packet.duration or 0)) * packet.time_base
                self._reached = max(self._reached, end)
            if packet.stream_index == self._stream.index:
                yield packet

    def _samples(self, frame: AudioFrame) -> Samples:
        return np.ascontiguousarray(frame.to_ndarray().T, dtype=np.float32)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).strip().rstrip(".")

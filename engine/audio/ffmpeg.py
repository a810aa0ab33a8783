"""The reader of every audio and video file: FFmpeg, through PyAV, to the file's last byte."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from emotion_search.engine.audio.headers import declared, follows, granule
from emotion_search.engine.audio.losses import Losses
from emotion_search.engine.audio.pieces import Mended, Parts
from emotion_search.engine.audio.raw_frames import is_whole_flac, raw_frames
from emotion_search.engine.audio.samples import Samples, check_density, gathered, samples_of
from emotion_search.engine.audio.tags import untagged
from emotion_search.index.errors import AudioError

# Of FFmpeg's demuxers, those of single files: a playlist could name other files or addresses.
_FORMATS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,eac3,flac,flv,g722,gsm,iff,ircam,matroska,"
    "webm,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpeg,mpegts,nistsphere,ogg,pvf,qcp,rm,tta,voc,w64,wav,wv"
)
_OPTIONS = {
    "format_whitelist": _FORMATS,
    "protocol_whitelist": "file",
    "max_size": "65536",  # bytes of a packet of WAV: each costs as much as a large one
    "max_probe_packets": "1",  # or WAV is searched for sound in other encodings
}
_LENGTHS = frozenset(["ape", "flac", "flv", "matroska", "tta", "wv"])
"""Formats that write down how long they are; of others FFmpeg only estimates it."""
_TIMES = frozenset(["asf", "flac", "flv", "matroska", "mov", "mpeg", "mpegts", "ogg"])
"""Formats that write down when a packet is played, so that there may be gaps."""
_STARTS = frozenset(["avi"])
"""Formats that write down when a track starts; later times are counted, roughly."""
_FROM_ZERO = frozenset(["matroska", "mov"])
"""Formats whose times count from the start of playing; those of others from anywhere."""
_SOUGHT = frozenset(["aiff", "au", "caf", "flac", "mov", "mp3", "ogg", "w64", "wav"])
"""Formats in which a sample can be found without decoding all before it, where times are exact."""
_CONTINUED = frozenset(["flac", "mp3", "ogg"])
"""Of these, those in which times may begin anew."""

_BLOCK_S, _BLOCK = 10.0, 1 << 21  # of a block: seconds, and samples of all channels
_BEFORE_S = 1.0  # a decoder is fed from so far before the point that is wanted
_SLACK_S, _SLACK = 0.5, 0.03  # of the length that is written down, by which it may be off
_MPEG = frozenset(["mp3", "mpeg", "mpegts"])
"""Formats in which frames of MPEG audio are their own, wherever they are."""
_MULTIPLEXED = frozenset(["mpeg", "mpegts"])
"""Formats in which those of AC-3 may be, too."""
_LOSSY = frozenset(["mp3", "mpegts"])
"""Formats of broadcasts, of which packets may be damaged."""
_CHECKED = frozenset(["flac", "wavpack"])
"""Codecs whose decoders take damage for sound unless they have to look at checksums."""
_JITTER_S = 0.1  # by which times may be off
_SILENCE_S = 3600.0  # that is put into gaps, at most


class Source:
    """A sound track of a file.

    Attributes:
        sample_rate: Hz.
        channels: how many.
        tracks: how many sound tracks the file has.

    Args:
        track: which one, counted from 0.
        part: the first byte and the end of what is read of the file; None for all.

    Raises:
        AudioError: it is no such file, or has no sound.
    """

    def __init__(self, path: Path, track: int = 0, part: tuple[int, int] | None = None) -> None:
        self._path, self._part = path, part
        self._parts = [part] if part else untagged(path)
        with Parts(path, self._parts) if self._parts else path.open("rb") as file:
            self._header = declared(file)
        self._mended: Mended | Parts | None = None
        self._container = self._open()
        try:
            streams = self._container.streams.audio
            if not streams:
                raise AudioError("has no sound track")
            usable = [one for one in streams if one.codec_context is not None] or streams[:1]
            self.tracks = len(usable)
            if track >= self.tracks:
                raise AudioError(f"has no sound track {track + 1} (it has {self.tracks})")
            self._stream = usable[track]
            context: Any = self._stream.codec_context
            if context is None:
                raise AudioError("has a sound track of a kind that cannot be decoded")
            if context.name.startswith("adpcm_g726"):  # what FFmpeg makes of G.721 is noise
                raise AudioError("is encoded as G.721, G.723 or G.726, which are not read")
            context.thread_count = 1
            self._formats = frozenset(self._container.format.name.split(","))
            # of a single page of Ogg, FFmpeg takes the first packet for sound and cuts the end off
            self._vorbis = context.name == "vorbis" and "ogg" in self._formats
            self._alac = context.name == "alac"  # whose short last frame it cuts again
            if self._vorbis or self._alac:
                context.options = {"flags2": "+skip_manual"}
            elif context.name in _CHECKED:
                context.options = {"err_detect": "crccheck+explode"}
            self.sample_rate, self.channels = int(context.sample_rate or 0), int(context.channels)
            check_density(self.sample_rate, self.channels)
            # PyAV frees an unusual order of channels, as of 7.1 in CAF, with each of its objects
            kind = "c" if self.channels <= 8 else "C"  # the usual one; of more there is none
            context.layout = self._layout = f"{self.channels}{kind}"
        except BaseException:
            self.close()
            raise
        self._block = int(max(1, min(_BLOCK_S * self.sample_rate, _BLOCK // self.channels)))
        self._streams = len(self._container.streams)
        self._tick = float(self._stream.time_base or 0)  # seconds of a unit of its times
        self._reached = 0.0  # seconds, of the last packet's end
        self._read_to = 0  # byte where the last packet ends
        self._doubtful = sys.maxsize  # byte of the first packet that holds no sound
        self._decoded = 0  # samples, silence in gaps among them
        self._losses = Losses()
        self._last = b""  # of FLAC, the last packet

    def _open(self) -> Any:
        path, header = self._path, self._header
        # a colon in a relative path would make it an address
        file: Any = str(path.absolute())
        try:
            if self._parts:
                file = self._mended = Parts(path, self._parts)
            elif header is not None and header.size is None and header.sizes:
                file = self._mended = Mended(path, header.sizes)
            return av.open(file, "r", container_options=_OPTIONS, metadata_errors="replace")
        except (av.FFmpegError, OSError, ValueError) as error:
            if self._mended is not None:
                self._mended.close()
            raise AudioError(f"cannot be decoded as audio ({_reason(error)})") from error

    def close(self) -> None:
        """Close the file."""
        self._container.close()
        if self._mended is not None:
            self._mended.close()

    @property
    def header_duration(self) -> float | None:
        """Seconds by the container's header; None if it gives none."""
        duration = self._container.duration
        return duration / av.time_base if duration and duration > 0 else None

    @property
    def tags(self) -> dict[str, str]:
        """The container's tags and the track's, names in lower case."""
        found = {**self._stream.metadata, **self._container.metadata}
        return {name.lower(): str(text) for name, text in found.items()}

    @property
    def notices(self) -> list[str]:
        """What somebody should know who reads the file, once ``blocks`` has come to its end."""
        return self._losses.notices(self._decoded, self.sample_rate)

    def blocks(self) -> Iterator[Samples]:
        """Float32 blocks (n, channels) of up to ten seconds at the file's own rate, from the start
        to the end; where the track starts late or has gaps, silence.

        Raises:
            AudioError: a part cannot be decoded; the end comes before its time; another file
                follows.
        """
        yield from gathered(self._ended(self._placed()), self._block)
        self._check_end()

    def span(self, first: int, count: int) -> Iterator[Samples]:
        """Up to ``count`` samples from sample ``first`` on, as ``blocks`` has them.

        Raises:
            AudioError: it cannot be decoded there.
        """
        yield from gathered(self._between(first, first + count), self._block)

    def _between(self, first: int, last: int) -> Iterator[Samples]:
        if first > 2 * _BEFORE_S * self.sample_rate and self._can_seek:
            wanted = first / self.sample_rate - _BEFORE_S + self._origin
            self._container.seek(int(wanted / self._tick), stream=self._stream)
            self._decoded = -1  # until the first packet tells where it is
        for samples in self._placed():
            begin = self._decoded - len(samples)
            part = samples[max(0, first - begin) : max(0, last - begin)]
            if len(part):
                yield part
            if self._decoded >= last:
                return

    @property
    def _can_seek(self) -> bool:
        """Whether times are exact to the sample and never begin anew."""
        time_base = self._stream.time_base
        exact = time_base is not None and (1 / time_base) % self.sample_rate == 0
        if not exact or not self._formats & _SOUGHT:
            return False
        return not self._formats & _CONTINUED or follows(self._path, 16) is None

    @property
    def _origin(self) -> float:
        """Seconds of the container's clock at which playing starts."""
        start = (self._stream.start_time or 0) * self._tick
        if self._formats & _FROM_ZERO:
            return start if start > _SILENCE_S else 0.0
        if self._formats & _TIMES and self._container.start_time is not None:
            start = min(start, self._container.start_time / av.time_base)
        return start

    def _placed(self) -> Iterator[Samples]:
        """Samples in their order, and silence where times have a gap; where times go back, as in
        files that were joined, they count on."""
        rate, origin = self.sample_rate, self._origin
        timed = bool(self._formats & (_TIMES | _STARTS))
        jitter, left = 0 if "flac" in self._formats else _JITTER_S * rate, round(_SILENCE_S * rate)
        for frame in self._frames():
            samples = samples_of(frame)
            if frame.pts is not None:
                at = round((frame.pts * self._tick - origin) * rate)
                if self._decoded < 0:
                    self._decoded = at
                if at < 0 and self._alac:  # an edit list has it begin later
                    samples, at = samples[-at:], 0
                if timed and at > self._decoded + jitter:
                    left -= at - self._decoded
                    if left < 0:
                        raise AudioError(f"has gaps of more than {_SILENCE_S:g} s in its times")
                    self._losses.gaps += at - self._decoded if self._decoded else 0
                    yield from self._silence(at - self._decoded)
                elif timed and at < self._decoded - jitter:
                    origin -= (self._decoded - at) / rate
            timed = bool(self._formats & _TIMES)
            self._decoded = max(0, self._decoded) + len(samples)
            yield samples

    def _ended(self, parts: Iterator[Samples]) -> Iterator[Samples]:
        """The parts, the last one cut where the file says that the sound ends."""
        last: Samples | None = None
        for part in parts:
            if last is not None:
                yield last
            last = part
        if last is None:
            return
        if self._vorbis and self._stream.duration:
            more = self._decoded - round(self._stream.duration * self._tick * self.sample_rate)
            if 0 < more < len(last):
                self._decoded -= more
                last = last[:-more]
        yield last

    def _silence(self, count: int) -> Iterator[Samples]:
        while count:
            some = min(count, _BLOCK // self.channels)
            self._decoded += some
            count -= some
            yield np.zeros((some, self.channels), np.float32)

    def _frames(self) -> Iterator[AudioFrame]:
        """Decoded frames; all of the track's own rate and channels."""
        own = (self.sample_rate, self.channels)
        now, resampler = own, None
        try:
            for number, packet in enumerate(self._packets()):
                frames = self._decode(packet)
                for frame in () if self._vorbis and number == 0 else frames:
                    kind = (frame.sample_rate, frame.layout.nb_channels)
                    if kind != now and resampler is not None:
                        yield from resampler.resample(None)
                        resampler = None
                    now = kind
                    if kind == own:
                        yield frame
                        continue
                    if resampler is None:
                        resampler = AudioResampler("fltp", self._layout, self.sample_rate)
                    yield from resampler.resample(frame)
            if resampler is not None:
                yield from resampler.resample(None)
        except (av.FFmpegError, ValueError, IndexError) as error:  # of a track that PyAV has not
            after = max(0, self._decoded) / self.sample_rate
            self._check_bytes()
            raise AudioError(
                f"breaks off after {after:.2f} s: cannot be decoded to its end ({_reason(error)})"
            ) from error

    def _decode(self, packet: av.Packet[Any]) -> Sequence[AudioFrame]:
        try:
            frames = packet.decode()
        except av.InvalidDataError:
            if not self._formats & _LOSSY:
                raise
            self._losses.left_out(bytes(packet), packet.pos, self._decoded)
            if packet.pos is not None:
                self._doubtful = min(self._doubtful, packet.pos)
            return []
        self._losses.read(packet.size)
        return frames  # type: ignore[return-value]  # of sound, all are

    def _packets(self) -> Iterator[av.Packet[Any]]:
        """Packets of the track; those of others go by."""
        every, flac = bool(self._formats & _LENGTHS), "flac" in self._formats
        origin = 0.0 if every else self._origin
        for packet in self._container.demux():
            if packet.pos is not None and packet.pos >= 0:
                size = 1 if flac else packet.size  # whose last packet has all that follows in it
                self._read_to = max(self._read_to, packet.pos + size)
            if packet.stream_index >= self._streams and packet.size:
                raise AudioError("goes on in another encoding, as files do that were joined")
            own = packet.stream_index == self._stream.index
            if (own or every) and packet.pts is not None:
                tick = self._tick if own else float(packet.time_base or 0)
                end = (packet.pts + (packet.duration or 0)) * tick - origin
                self._reached = max(self._reached, end)
            if own:
                if flac and packet.size:
                    self._last = bytes(packet)
                yield packet

    def _check_end(self) -> None:
        """Raise if the file is cut, or if there is sound in it behind what was read."""
        after = f"after {self._decoded / self.sample_rate:.2f} s"
        header = self._header
        self._check_bytes()
        if (cut := self._cut_short()) is not None:
            there, promised = cut
            raise AudioError(
                f"is truncated: {there:.2f} s are there, {promised:.2f} s were promised"
            )
        self._losses.check()
        begin = min(self._read_to, self._doubtful)
        if header is not None and header.size is not None:
            if header.loose:
                raise AudioError(
                    f"ends {after} by its header, but {header.loose} bytes of something else follow"
                )
            begin = header.after or begin
        if self._decoded == 0:
            raise AudioError("contains no audio")
        at = None
        if begin and not self._part:
            begin = self._mended.place(begin) if isinstance(self._mended, Parts) else begin
            at = follows(self._path, begin)
            if at is None and "aac" not in self._formats:
                own, every = self._formats & _MPEG, self._formats & _MULTIPLEXED
                at = raw_frames(self._path, begin, mpeg=not own, ac3=not every)
        if at is not None:
            raise AudioError(
                f"ends {after}, but another file of sound follows in it at byte {at}; split them"
            )

    def _check_bytes(self) -> None:
        if self._header is None:
            return
        if (missing := self._header.missing(self._losses.empty_from)) is not None:
            there, promised = missing
            after = max(0, self._decoded) / self.sample_rate
            raise AudioError(
                f"is truncated after {after:.2f} s: {there} bytes of sound are there, {promised}"
                " were promised"
            )

    def _cut_short(self) -> tuple[float, float] | None:
        """How long it is and how long the file says that it is, if it falls short of that: by
        track in the MP4 family, by samples in FLAC, in Ogg by its last page, also where that is
        damaged; of others by the longest track, which may be video."""
        there, promised = self._reached, self.header_duration if self._formats & _LENGTHS else None
        length = (self._stream.duration or 0) * self._tick
        slack = (promised or length) * _SLACK + _SLACK_S
        if self._formats & {"flac", "ogg"}:
            there = self._decoded / self.sample_rate
        if "flac" in self._formats:
            promised, slack = length, 0.5 / self.sample_rate
        elif "mov" in self._formats and length:
            promised = length
        elif "avi" in self._formats and length - self._decoded / self.sample_rate > _JITTER_S:
            self._losses.promised = length
        elif "ogg" in self._formats and self._streams == 1:
            last = granule(self._path, self._part[1] if self._part else self._path.stat().st_size)
            promised, slack = (last or 0) * self._tick - self._origin, _JITTER_S
        if promised is None or there >= promised - slack:
            return None
        if is_whole_flac(self._last):  # a stretch that was copied, with the header of the whole
            self._losses.promised = promised
            return None
        return there, promised


def _reason(error: Exception) -> str:
    reason = str(getattr(error, "strerror", None) or error).strip().rstrip(".")
    return "its frames are damaged" if reason.startswith("Error number") else reason

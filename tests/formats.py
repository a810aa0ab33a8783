"""Files of every format, made from samples with PyAV."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import soundfile
import soxr

ENCODED = {
    "m4a": ("ipod", "aac", 44_100),
    "aac": ("adts", "aac", 16_000),
    "alac.m4a": ("ipod", "alac", 16_000),
    "amr": ("amr", "libopencore_amrnb", 8_000),
    "3gp": ("3gp", "libopencore_amrnb", 8_000),
    "wma": ("asf", "wmav2", 44_100),
    "webm": ("webm", "libopus", 48_000),
    "mka": ("matroska", "flac", 16_000),
    "mkv": ("matroska", "libopus", 48_000),
    "mov": ("mov", "pcm_s16le", 16_000),
    "mp4": ("mp4", "aac", 48_000),
    "avi": ("avi", "libmp3lame", 44_100),
    "ac3": ("ac3", "ac3", 48_000),
    "mp2": ("mp2", "mp2", 44_100),
    "g722": ("g722", "g722", 16_000),
    "wv": ("wv", "wavpack", 16_000),
    "adpcm.wav": ("wav", "adpcm_ms", 8_000),
}
"""Container, codec and sample rate by what a file's name ends with."""

WRITTEN = {
    "wav": {"subtype": "PCM_16"},
    "24.wav": {"subtype": "PCM_24"},
    "float.wav": {"subtype": "FLOAT"},
    "ulaw.wav": {"subtype": "ULAW"},
    "alaw.wav": {"subtype": "ALAW"},
    "gsm.wav": {"subtype": "GSM610"},
    "flac": {},
    "ogg": {"format": "OGG", "subtype": "VORBIS"},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "mp3": {"format": "MP3"},
    "aiff": {},
    "au": {},
    "w64": {},
    "caf": {},
}
"""Options of libsndfile by what a file's name ends with."""

STREAMED = {
    "wav": ("wav", "pcm_s16le", 16_000),
    "aiff": ("aiff", "pcm_s16be", 16_000),
    "au": ("au", "pcm_s16be", 16_000),
    "caf": ("caf", "pcm_s16be", 16_000),
    "w64": ("w64", "pcm_s16le", 16_000),
    "flac": ("flac", "flac", 16_000),
    "oga": ("ogg", "flac", 16_000),
    "opus": ("ogg", "libopus", 48_000),
    "mp3": ("mp3", "libmp3lame", 16_000),
    "aac": ("adts", "aac", 16_000),
    "mkv": ("matroska", "libopus", 48_000),
    "wma": ("asf", "wmav2", 44_100),
    "flv": ("flv", "aac", 44_100),
    "ts": ("mpegts", "mp2", 48_000),
    "wv": ("wv", "wavpack", 16_000),
}
"""What can be written into a pipe, as ``ENCODED``; sizes in headers stay unknown."""

RATES = {"opus": 48_000, "gsm.wav": 8_000, "ulaw.wav": 8_000, "alaw.wav": 8_000}


def write_as(path: Path, samples: np.ndarray, ending: str) -> Path:
    """``path`` with this ending: mono or (n, channels) float32 samples at 16 kHz, encoded."""
    path = path.with_name(f"{path.name}.{ending}")
    if ending in WRITTEN:
        rate = RATES.get(ending, 16_000)
        soundfile.write(path, _resampled(samples, rate), rate, **WRITTEN[ending])
    else:
        encode(path, samples, *ENCODED[ending])
    return path


class _Pipe(io.RawIOBase):
    """Bytes that are written, one after the other."""

    def __init__(self) -> None:
        self.content = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:
        self.content += data
        return len(data)

    seek = tell = None  # type: ignore[assignment]


def stream_as(path: Path, samples: np.ndarray, ending: str) -> Path:
    """As ``write_as``, by a writer that cannot go back to its header."""
    path = path.with_name(f"{path.name}.{ending}")
    pipe = _Pipe()
    encode(pipe, samples, *STREAMED[ending])
    path.write_bytes(pipe.content)
    return path


def encode(path: Path | _Pipe, samples: np.ndarray, container: str, codec: str, rate: int) -> None:
    """Write samples at 16 kHz through an encoder of FFmpeg."""
    wave = np.atleast_2d(_resampled(samples, rate).T).astype(np.float32)
    layout = "mono" if len(wave) == 1 else "stereo"
    to = path if isinstance(path, _Pipe) else str(path)
    with av.open(to, "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate, layout=layout)
        stream.bit_rate = 12_200 if "amr" in codec else 96_000
        resampler = av.AudioResampler(format=stream.format.name, layout=layout, rate=rate)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave), format="fltp", layout=layout)
        frame.sample_rate = rate
        pieces = av.AudioFifo()
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            pieces.write(piece)
        while piece := pieces.read(stream.codec_context.frame_size or 1024, partial=True):
            out.mux(stream.encode(piece))
        out.mux(stream.encode(None))


def _resampled(samples: np.ndarray, rate: int) -> np.ndarray:
    return samples if rate == 16_000 else soxr.resample(samples, 16_000, rate)

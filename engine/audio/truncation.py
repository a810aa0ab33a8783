"""Truncation check: whether a file has as many bytes of sound as its header declares."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

_STREAMED = 0x7FFFFF00  # recorders that stream write 0 or at least this, and never come back to it
_ROUNDED = 8  # bytes: a last frame that is not whole is no cut


@dataclass(frozen=True)
class _Chunks:
    """How a format writes its chunks: a name, a size, what is in it, up to a multiple of ``even``.

    Attributes:
        first: where the first one begins.
        name, size: bytes of each.
        sound: how the name begins of the chunk that holds the sound.
        own: bytes of its head that a size counts.
    """

    first: int
    name: int
    size: int
    order: Literal["little", "big"]
    sound: bytes
    own: int = 0
    even: int = 2


_CHUNKS = {
    b"RIFF": _Chunks(12, 4, 4, "little", b"data"),  # WAV
    b"RIFX": _Chunks(12, 4, 4, "big", b"data"),
    b"RF64": _Chunks(12, 4, 4, "little", b"data"),
    b"FORM": _Chunks(12, 4, 4, "big", b"SSND"),  # AIFF
    b"caff": _Chunks(8, 4, 8, "big", b"data", even=1),  # CAF
    b"riff": _Chunks(40, 16, 8, "little", b"data", own=24, even=8),  # W64
}


def missing_bytes(path: Path) -> tuple[int, int] | None:
    """Bytes of sound that are there and that were declared, if fewer are there.

    Known of WAV, RF64, AIFF, AU, CAF, W64 and AVI; None for a whole file, and for one that does not
    tell. libsndfile and FFmpeg quietly shorten what is declared to what is there.
    """
    with path.open("rb") as file:
        size = path.stat().st_size
        head = file.read(12)
        magic = head[:4]
        if magic in (b".snd", b"dns."):  # AU, and AU the other way round
            order: Literal["little", "big"] = "big" if magic == b".snd" else "little"
            begin, declared = (int.from_bytes(head[i : i + 4], order) for i in (4, 8))
        elif magic == b"RIFF" and head[8:] == b"AVI ":
            begin, declared = 8, int.from_bytes(head[4:8], "little")
        elif magic in _CHUNKS:
            found = _sound(file, _CHUNKS[magic], size)
            if found is None:
                return None
            begin, declared = found
        else:
            return None
    streamed = declared == 0 or (declared >= _STREAMED and magic not in (b"RF64", b"caff", b"riff"))
    there = max(0, size - begin)
    return None if streamed or declared - there < _ROUNDED else (there, declared)


def _sound(file: BinaryIO, chunks: _Chunks, size: int) -> tuple[int, int] | None:
    """Where the sound begins and how many bytes of it are declared."""
    large = None  # what RF64 says in a chunk of its own, where 32 bits would not do
    at = chunks.first
    while at < size:
        file.seek(at)
        head = file.read(chunks.name + chunks.size)
        at += len(head)
        if len(head) < chunks.name + chunks.size:
            return None
        name = head[: chunks.name]
        length = int.from_bytes(head[chunks.name :], chunks.order) - chunks.own
        if name.startswith(chunks.sound):
            if length == 0xFFFFFFFF and large is not None:
                length = large
            return at, (0 if length >= 1 << 63 else length)  # -1: up to the end, in CAF
        if name == b"ds64":
            large = int.from_bytes(file.read(16)[8:], "little")
        if length < 0:
            return None
        at += length + -length % chunks.even
    return None

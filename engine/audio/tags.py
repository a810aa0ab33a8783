"""Tags of ID3v2 and APE in files of raw frames: what is in them may look like frames."""

from __future__ import annotations

import io
from pathlib import Path

_ID3, _APE, _ID3V1 = 10, 32, 128  # bytes: of a header or footer, and of a whole tag


def length_of_tag(head: bytes) -> int:
    """Bytes of the tag that begins with these; 0 where none does."""
    if head.startswith(b"ID3") and len(head) >= _ID3 and max(head[6:_ID3]) < 0x80:
        return _ID3 + _syncsafe(head[6:_ID3]) + (_ID3 if head[5] & 0x10 else 0)
    if head.startswith(b"APETAGEX") and len(head) >= _APE and head[23] & 0x20:
        return _APE + int.from_bytes(head[12:16], "little")
    return 0


def untagged(path: Path) -> list[tuple[int, int]]:
    """First byte and end of each part of a file that is left without its APE tags and the ID3v2 at
    its end, of which decoders know nothing; none if all is one part."""
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)

        def read(at: int, count: int) -> bytes:
            file.seek(max(0, at))
            return file.read(count)

        parts, at = [(0, size)], 0
        while at < size and (length := length_of_tag(head := read(at, _APE))):
            if head.startswith(b"APETAGEX"):
                parts[-1:] = [(parts[-1][0], at), (at + length, size)]
            at += length
        end = size - (_ID3V1 if read(size - _ID3V1, 3) == b"TAG" else 0)
        last = end
        while last > at and (length := _length_before(read(last - _APE, _APE))):
            last -= length
            if read(last - _APE, 8) == b"APETAGEX":  # its header, which not every tag has
                last -= _APE
        if at <= last < end:
            parts[-1:] = [(parts[-1][0], last), (end, size)]
    return [(begin, end) for begin, end in parts if begin < end] if len(parts) > 1 else []


def _length_before(foot: bytes) -> int:
    """Bytes of the tag that ends with these; 0 where none does."""
    if foot.startswith(b"APETAGEX") and len(foot) == _APE:
        return int.from_bytes(foot[12:16], "little")
    if foot[-_ID3:].startswith(b"3DI"):
        return 2 * _ID3 + _syncsafe(foot[-4:])
    return 0


def _syncsafe(size: bytes) -> int:
    """A size of which each byte has seven bits."""
    return sum((byte & 0x7F) << 7 * i for i, byte in enumerate(reversed(size)))

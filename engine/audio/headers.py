"""What an audio file's header says of its bytes: cut files, sizes never filled in, joined files."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from emotion_search.engine.audio.tags import length_of_tag

_NEVER = (0x7F000000, 0x7FFFF000, 0x80000000, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
"""What programs that stream write for a size which they do not know, or a little beside it."""
_BESIDE = 4096
_ROUNDED = 8  # bytes: a last frame that is not whole is no cut
_MP3_SLACK = 0.05  # of the bytes, which editors of tags and of sound leave as they were
_READ = 1 << 20
_PAGE = 27 + 255 + 255 * 255  # bytes of a page of Ogg, at most

_BEGINNINGS = re.compile(
    rb"(?:RIFF|RIFX|RF64|BW64).{4}(?:WAVE|AVI |QLCM)|FORM.{4}AIF[FC]|\.snd\x00\x00\x00"
    rb"|caff\x00\x01\x00\x00"
    rb"|riff\x2e\x91\xcf\x11|\x00\x00\x00.ftyp|OggS\x00\x02|fLaC\x00\x00\x00\x22|\x1a\x45\xdf\xa3"
    rb"|FLV\x01[\x01\x04\x05]|\x30\x26\xb2\x75\x8e\x66\xcf\x11|#!AMR|wvpk|TTA1\x01\x00"
    rb"|MAC \x96\x0f|\.RMF\x00\x00\x00|NIST_1A\n|Creative Voice File\x1a|\x00\x00\x01\xba[\x21\x44]"
    rb"|\x47\x40[\x00\x11][\x10-\x1f].{184}(?:\x47.{187}){3}\x47",  # MPEG-TS
    re.DOTALL,
)
"""How a file of sound begins."""
_XING = re.compile(rb"\xff[\xe2-\xff].{7,40}(?:Xing|Info)\x00\x00\x00(.)(.{8})", re.DOTALL)


@dataclass(frozen=True)
class _Chunks:
    """How a format writes its chunks: a name, a size, what is in it, up to a multiple of ``even``.

    Attributes:
        first: where the first one begins.
        whole: where the size of the whole is.
        name, size: bytes of each.
        sound: how the name begins of the chunk that holds the sound.
        own: bytes of its head that a size counts.
    """

    first: int
    whole: int | None
    name: int
    size: int
    order: Literal["little", "big"]
    sound: bytes
    own: int = 0
    even: int = 2


_CHUNKS = {
    b"RIFF": _Chunks(12, 4, 4, 4, "little", b"data"),  # WAV
    b"RIFX": _Chunks(12, 4, 4, 4, "big", b"data"),
    b"RF64": _Chunks(12, 4, 4, 4, "little", b"data"),
    b"BW64": _Chunks(12, 4, 4, 4, "little", b"data"),  # RF64 by its newer name: ITU-R BS.2088
    b"FORM": _Chunks(12, 4, 4, 4, "big", b"SSND"),  # AIFF
    b"caff": _Chunks(8, None, 4, 8, "big", b"data", even=1),  # CAF
    b"riff": _Chunks(40, 16, 16, 8, "little", b"data", own=24, even=8),  # W64
}


@dataclass(frozen=True)
class Declared:
    """What a header says of where its sound lies.

    Attributes:
        begin: the sound's first byte.
        size: its bytes; None where that was left open.
        there: bytes from ``begin`` to the end of the file.
        slack: share of the size that may be missing.
        sizes: the sizes as they would be if the sound went on to the end of the file, by place.
        after: where the sound ends; None of formats that do not tell.
        loose: bytes behind it that are neither chunks nor tags nor zeros.
    """

    begin: int
    size: int | None
    there: int
    slack: float = 0.0
    sizes: Mapping[int, bytes] | None = None
    after: int | None = None
    loose: int = 0

    def missing(self, empty: int | None = None) -> tuple[int, int] | None:
        """Bytes of sound that are there and that were declared, if fewer are there.

        Args:
            empty: the byte from which on there are zeros alone.
        """
        there = self.there if empty is None else min(self.there, empty - self.begin)
        if self.size is None or self.size * (1 - self.slack) - there < _ROUNDED:
            return None
        return there, self.size


def declared(file: BinaryIO) -> Declared | None:
    """What the header says of WAV, RF64, AIFF, AU, CAF, W64, AVI, WMA, Matroska, MP3 with a Xing
    (or Info) tag; None of others. FFmpeg quietly shortens what is declared to what is there."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(12)
    magic = head[:4]
    if magic in (b".snd", b"dns."):  # AU, and AU the other way round
        order: Literal["little", "big"] = "big" if magic == b".snd" else "little"
        begin, length = (int.from_bytes(head[i : i + 4], order) for i in (4, 8))
        there = max(0, size - begin)
        sizes = {8: min(there, 0xFFFFFFFF).to_bytes(4, order)}
        after, known = begin + length, _known(length)
        loose = 0 if known is None or after >= size else _loose(file, None, after, size)
        return Declared(begin, known, there, sizes=sizes, after=after, loose=loose)
    if magic == b"RIFF" and head[8:] == b"AVI ":
        length = int.from_bytes(head[4:8], "little")
        return Declared(8, _known(length), max(0, size - 8))
    if magic in _CHUNKS:
        return _sound(file, _CHUNKS[magic], size)
    if magic == b"\x30\x26\xb2\x75":
        return _asf(file, size)
    if magic == b"\x1a\x45\xdf\xa3":
        return _matroska(file, size)
    return _mp3(file, head, size)


def _known(length: int) -> int | None:
    """A size, unless it is one that is written where it is not known."""
    unknown = length == 0 or any(abs(length - one) <= _BESIDE for one in _NEVER)
    return None if unknown else length


def _sound(file: BinaryIO, chunks: _Chunks, size: int) -> Declared | None:
    """Where the sound begins and how many bytes of it are declared."""
    large = None  # where RF64 says what 32 bits cannot
    at = chunks.first
    while at < size:
        file.seek(at)
        head = file.read(chunks.name + chunks.size)
        if len(head) < chunks.name + chunks.size:
            return None
        place = at + chunks.name
        at += len(head)
        name, length = head[: chunks.name], int.from_bytes(head[chunks.name :], chunks.order)
        if name.startswith(chunks.sound):
            there = size - at
            full = min(there + chunks.own, 256**chunks.size - 1)
            sizes = {place: full.to_bytes(chunks.size, chunks.order)}
            if chunks.whole is not None:
                least = min(size - (0 if chunks.own else 8), 256**chunks.size - 1)
                sizes[chunks.whole] = least.to_bytes(chunks.size, chunks.order)
            if length == 0xFFFFFFFF and large is not None:
                file.seek(large + 8)
                length = int.from_bytes(file.read(8), "little")
                ds64 = (size - 8).to_bytes(8, "little") + there.to_bytes(8, "little")
                sizes = {large: ds64}
            known = _known(length)
            known = None if known is None else known - chunks.own
            after = at + (known or 0)
            after += -after % chunks.even
            loose = 0 if known is None or after >= size else _loose(file, chunks, after, size)
            return Declared(at, known, there, sizes=sizes, after=after, loose=loose)
        if name == b"ds64":
            large = at
        length -= chunks.own
        if length < 0:
            return None
        at += length + -length % chunks.even
    return None


def _asf(file: BinaryIO, size: int) -> Declared | None:
    """The size of the whole, by the File Properties Object of ASF (WMA), unless it was streamed."""
    file.seek(0)
    head = file.read(1 << 16)
    at = head.find(b"\xa1\xdc\xab\x8c\x47\xa9\xcf\x11\x8e\xe4\x00\xc0\x0c\x20\x53\x65")
    if at < 0 or len(head) < at + 92 or head[at + 88] & 1:
        return None
    return Declared(0, _known(int.from_bytes(head[at + 40 : at + 48], "little")), size)


def _matroska(file: BinaryIO, size: int) -> Declared | None:
    """The size of the Segment, which holds all but the EBML header: RFC 9559, 5.1."""
    file.seek(4)
    file.seek(_vint(file), io.SEEK_CUR)
    if file.read(4) != b"\x18\x53\x80\x67":
        return None
    length = _vint(file)
    return Declared(file.tell(), _known(length), max(0, size - file.tell()))


def _vint(file: BinaryIO) -> int:
    """A size of EBML (RFC 8794, 4); 0 if it is unknown, which all ones stand for."""
    first = file.read(1)
    length = 9 - int.from_bytes(first, "big").bit_length()  # bytes, by the zeros before the first 1
    ones = (1 << 7 * length) - 1
    found = int.from_bytes(first + file.read(length - 1), "big") & ones
    return 0 if found == ones else found


def _loose(file: BinaryIO, chunks: _Chunks | None, at: int, size: int) -> int:
    """Bytes from ``at`` on that are no chunk, where there are such, no tag and no padding."""
    file.seek(at)
    head = file.read(64)
    if not head.strip(b"\0") or head.startswith((b"ID3", b"TAG", b"APETAGEX", b"LYRICS")):
        return 0
    if chunks is None:
        return size - at
    name, length = head[: chunks.name], head[chunks.name : chunks.name + chunks.size]
    fits = at + len(name + length) + int.from_bytes(length, chunks.order) - chunks.own <= size + 8
    return 0 if fits and all(32 <= byte < 127 for byte in name[:4]) else size - at


def _mp3(file: BinaryIO, head: bytes, size: int) -> Declared | None:
    """By the Xing tag (called Info at a constant rate) in the first frame, behind the ID3 tag."""
    at = length_of_tag(head)
    file.seek(at)
    found = _XING.search(file.read(4096))
    if found is None or found[1][0] & 3 != 3:  # whether it says frames and bytes
        return None
    begin = at + found.start()
    length = int.from_bytes(found[2][4:], "big")
    return Declared(begin, _known(length), max(0, size - begin), slack=_MP3_SLACK)


def granule(path: Path, end: int) -> int | None:
    """Of the last page of Ogg before byte ``end``, whole or not, where its header says that it
    ends, in samples (RFC 3533, 6); None where it does not."""
    with path.open("rb") as file:
        file.seek(max(0, end - _PAGE))
        content = file.read(end - file.tell())
    at = content.rfind(b"OggS\x00")
    position = content[at + 6 : at + 14]
    if at < 0 or len(position) < 8:
        return None
    return int.from_bytes(position, "little", signed=True)


def follows(path: Path, at: int) -> int | None:
    """Where from byte ``at`` on another file of sound begins, as in files that were joined; None
    where none does."""
    return find(path, at, _BEGINNINGS)


def find(path: Path, at: int, pattern: re.Pattern[bytes]) -> int | None:
    """Where from byte ``at`` on a pattern of up to 1 KiB is first found; None for nowhere."""
    with path.open("rb") as file:
        file.seek(at)
        kept = b""
        while piece := file.read(_READ):
            content = kept + piece
            if found := pattern.search(content):
                return at + found.start()
            kept = content[-1024:]
            at += len(content) - len(kept)
    return None

"""Raw frames of MPEG audio, AAC (ADTS) and AC-3 behind the end of a file of another format."""

from __future__ import annotations

import re
from pathlib import Path

_LINKED = 4  # frames, each of which begins where the one before ends
_READ = 1 << 20  # bytes that are looked through
_SYNC = re.compile(rb"\xff[\xe0-\xff]|\x0b\x77", re.DOTALL)
_HEAD = 6  # bytes
_AC3_SYNC = b"\x0b\x77"
_FLAC_CRC = 0x18005
_RATES = (44_100, 48_000, 32_000)
_PARTS = {3: 1, 2: 2, 0: 4}  # of these rates: MPEG 1, 2 and 2.5
_FIRST = {3: "32 64 96 128 160 192 224 256 288 320 352 384 416 448"}
_FIRST |= {2: "32 48 56 64 80 96 112 128 160 192 224 256 320 384"}
_FIRST |= {1: "32 40 48 56 64 80 96 112 128 160 192 224 256 320"}
_SECOND = {3: "32 48 56 64 80 96 112 128 144 160 176 192 224 256"}
_SECOND |= dict.fromkeys((2, 1), "8 16 24 32 40 48 56 64 80 96 112 128 144 160")
"""Kilobits a second of MPEG 1 and 2 by the layer's number: ISO 11172-3 and 13818-3, 2.4.2.3."""
_AC3 = "32 40 48 56 64 80 96 112 128 160 192 224 256 320 384 448 512 576 640"
"""Kilobits a second: ETSI TS 102 366, 4.4.1.4, as is what follows; E-AC-3 in its annex E."""


def raw_frames(path: Path, at: int, *, mpeg: bool = True, ac3: bool = True) -> int | None:
    """Where soon after byte ``at`` raw frames of AAC, or of ``mpeg`` audio or ``ac3``, begin; None
    for nowhere."""
    with path.open("rb") as file:
        file.seek(at)
        content = file.read(_READ)
    for found in _SYNC.finditer(content):
        place, kinds = found.start(), set()
        for _ in range(_LINKED):
            head = content[place : place + _HEAD]
            size = _size(head, mpeg, ac3) if len(head) == _HEAD else 0
            if not size:
                break
            is_ac3 = head[0] == _AC3_SYNC[0]
            kinds.add((head[1], head[5] if is_ac3 else head[2] & 0x0C))  # version and rate stay
            place += size
        else:
            if len(kinds) == 1:
                return at + found.start()
    return None


def is_whole_flac(frame: bytes) -> bool:
    """Whether bytes end with the CRC-16 of a frame of FLAC which they begin with: RFC 9639, 9.3."""
    remainder = 0
    for byte in frame:
        remainder ^= byte << 8
        for _ in range(8):
            remainder = remainder << 1 ^ (_FLAC_CRC if remainder & 0x8000 else 0)
        remainder &= 0xFFFF
    return bool(frame) and not remainder


def _size(head: bytes, mpeg: bool, ac3: bool) -> int:
    """Bytes of the frame with this header; 0 for none."""
    if head.startswith(_AC3_SYNC):
        return _size_of_ac3(head) if ac3 else 0
    if head[0] != 0xFF:
        return 0
    if head[1] & 0xF6 == 0xF0:
        return _size_of_adts(head)
    return _size_of_mpeg(head) if mpeg else 0


def _size_of_ac3(head: bytes) -> int:
    version = head[5] >> 3
    if 10 < version <= 16:  # E-AC-3
        return 2 * ((head[2] & 7) << 8 | head[3]) + 2
    rate, size = head[4] >> 6, head[4] & 0x3F
    if version > 10 or rate == 3 or size >= 2 * len(_AC3.split()):
        return 0
    kilobits = int(_AC3.split()[size >> 1])
    if rate == 1:  # of 44.1 kHz, frames differ by a word
        return 2 * (kilobits * 96_000 // 44_100 + (size & 1))
    return kilobits * (4 if rate == 0 else 6)


def _size_of_adts(head: bytes) -> int:
    """Bytes of the frame with this header, ISO 13818-7, 6.2; 0 for none."""
    size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return size if size > _HEAD else 0


def _size_of_mpeg(head: bytes) -> int:
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bits, rate = head[2] >> 4, head[2] >> 2 & 3
    if head[1] < 0xE0 or version == 1 or layer == 0 or bits in (0, 15) or rate == 3:
        return 0
    first = version == 3
    kilobits = int((_FIRST if first else _SECOND)[layer].split()[bits - 1])
    slots = 12 if layer == 3 else 72 if layer == 1 and not first else 144
    size = slots * kilobits * 1000 // (_RATES[rate] // _PARTS[version]) + (head[2] >> 1 & 1)
    return size * 4 if layer == 3 else size

"""Whether a file goes on where an earlier, shorter version of it ended: a call still being written.

Of the earlier version size and sha256 are known, no bytes. So the beginning of the file is hashed,
as it is, and, of WAV, with the lengths in its header as a program may have left them while it was
writing: those of the shorter file, zero, or all ones.
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

_BLOCK = 1 << 20
_HEADER = 4096  # bytes in which the header of a WAV ends, if it is to be looked into
_UNKNOWN = 0xFFFFFFFF


def goes_on(path: Path, size: int, sha256: str) -> bool:
    """Whether a file is longer than ``size`` bytes, and its beginning is what had this hash.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(min(size, _HEADER))
        digests = [hashlib.sha256(one) for one in _heads(head, size)]
        left = size - len(head)
        while left and (block := file.read(min(left, _BLOCK))):
            left -= len(block)
            for digest in digests:
                digest.update(block)
        longer = bool(file.read(1))
    return longer and not left and any(digest.hexdigest() == sha256 for digest in digests)


def _heads(head: bytes, size: int) -> list[bytes]:
    """The beginning of a file, and what it may have been when the file had ``size`` bytes."""
    found = [head]
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        data = head.find(b"data", 12)
        if 0 < data <= len(head) - 8:
            begin = data + 8
            for whole, samples in (
                (size - 8, size - begin),
                (0, 0),
                (_UNKNOWN, _UNKNOWN),
                (begin - 8, 0),
            ):
                changed = bytearray(head)
                struct.pack_into("<I", changed, 4, whole)
                struct.pack_into("<I", changed, data + 4, samples)
                found.append(bytes(changed))
    return found

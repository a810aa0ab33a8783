"""Files as decoders get them: parts of them, or with other bytes in some places."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path


class Mended(io.FileIO):
    """A file that reads as if some of its bytes were others.

    Args:
        bytes_at: the others, by place.
    """

    def __init__(self, path: Path, bytes_at: Mapping[int, bytes]) -> None:
        super().__init__(path)
        self._bytes_at = bytes_at

    def read(self, size: int | None = -1) -> bytes:
        """As of any file."""
        at = self.tell()
        content = bytearray(super().read(-1 if size is None else size) or b"")
        for place, others in self._bytes_at.items():
            first, last = max(at, place), min(at + len(content), place + len(others))
            if first < last:
                content[first - at : last - at] = others[first - place : last - place]
        return bytes(content)


class Parts(io.FileIO):
    """Parts of a file, each from its first byte to its end, as one."""

    def __init__(self, path: Path, parts: Sequence[tuple[int, int]]) -> None:
        super().__init__(path)
        self._parts, self._at = parts, 0
        self._size = sum(end - begin for begin, end in parts)

    def place(self, at: int) -> int:
        """Where in the file itself a byte is, or the end of a part."""
        for begin, end in self._parts:
            if at <= end - begin:
                return begin + at
            at -= end - begin
        return self._parts[-1][1]

    def read(self, size: int | None = -1) -> bytes:
        """As of any file."""
        wanted = self._size if size is None or size < 0 else size
        found, first = bytearray(), 0
        for begin, end in self._parts:
            inside = self._at - first
            first += end - begin
            if wanted > len(found) and 0 <= inside < end - begin:
                super().seek(begin + inside)
                piece = super().read(min(wanted - len(found), end - begin - inside)) or b""
                found += piece
                self._at += len(piece)
        return bytes(found)

    def seek(self, offset: int, whence: int = 0) -> int:
        """As of any file."""
        self._at = max(0, (0, self._at, self._size)[whence] + offset)
        return self._at

    def tell(self) -> int:
        """As of any file."""
        return self._at

"""What is missing of a sound track that was read: packets, silence, a promised rest."""

from __future__ import annotations

import re
from dataclasses import dataclass

from emotion_search.engine.audio.tags import length_of_tag
from emotion_search.index.errors import AudioError

_TAG = re.compile(rb"ID3[\x02-\x04]|APETAGEX[\xd0\xe8][\x03\x07]")
_HEAD = 32
_TAGS = (b"ID3", b"TAG", b"APETAGEX", b"LYRICS")
_MOST = 0.05  # of the packets, that may be left out


@dataclass
class Losses:
    """What is missing of it.

    Attributes:
        gaps: samples of silence between others.
        promised: seconds that a header tells which are not there, though nothing is cut off.
        empty_from: byte from which on packets are zeros; None where the last one is sound.
    """

    gaps: int = 0
    promised: float = 0.0
    empty_from: int | None = None
    _lost: int = 0
    _read: int = 0
    _empty: int = 0  # packets of zeros since the last that was read
    _tag_end: int = 0  # byte where the last tag ends, in the middle of joined files
    _first: int = 0  # samples before the first that was lost

    def left_out(self, content: bytes, place: int | None, at: int) -> None:
        """Note that a packet at this byte cannot be decoded, after ``at`` samples."""
        within = (place or 0) < self._tag_end
        for tag in _TAG.finditer(content):
            end = (place or 0) + tag.start() + length_of_tag(content[tag.start() :][:_HEAD])
            self._tag_end = max(self._tag_end, end)
        if within or content.startswith(_TAGS):
            return
        if not self._lost and not self._empty:
            self._first = at
        if content.strip(b"\0"):
            self._lost += 1
        else:  # padding, if nothing follows, or nothing was before
            self._empty += self._read > 0
            if self.empty_from is None:
                self.empty_from = place

    def read(self, size: int) -> None:
        """Note that a packet of so many bytes was decoded; of none at the end."""
        self._read += 1
        if size:
            self._lost += self._empty
            self._empty, self.empty_from = 0, None

    def check(self) -> None:
        """Raise if too much is missing."""
        if self._lost > _MOST * self._read + 1:
            raise AudioError(
                f"is damaged: {self._lost} of its packets cannot be decoded, {self._read} can"
            )

    def notices(self, decoded: int, rate: int) -> list[str]:
        """In words, of so many samples that are there at so many a second."""
        sentences = {
            f"damaged packets of it were left out: {self._lost}, the first at"
            f" {self._first / rate:.2f} s": self._lost,
            f"{self.gaps / rate:.2f} s are missing in it, and are silence here": self.gaps,
            f"its header tells {self.promised:.2f} s; {decoded / rate:.2f} s are there": (
                self.promised
            ),
        }
        return [sentence for sentence, is_so in sentences.items() if is_so]

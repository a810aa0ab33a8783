"""Stretches of long WAV objects, read by ranges: what is played of an hour is not the hour."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emotion_search.engine.audio.headers import declared
from emotion_search.engine.files.objects import range_of_object, scratch
from emotion_search.index.database.files import FileFacts

_HEAD = 1 << 16  # bytes in which the sound begins
_LEAST = 1 << 20  # bytes of an object from which on parts are worth two requests
_MOST = 1 << 26  # bytes of a part, which is in memory
_BEFORE_S, _AFTER_S = 3.0, 1.0  # a decoder reads a little beside what is wanted
_PCM = (1, 3, 6, 7, 0xFFFE)  # whole numbers, floats, A-law, mu-law, extensible: RFC 2361


@contextmanager
def fetched_part(seen: FileFacts, start: float, end: float) -> Iterator[Path | None]:
    """A file as long as a WAV object, and like it at its head and from ``start`` to ``end``
    (seconds); None where the object is another by now, short, or of a format in which places do
    not follow from times, or most of it is wanted.

    Raises:
        OSError: it cannot be read.
    """
    if seen.size < _LEAST:
        yield None
        return
    _, head = range_of_object(seen.path, 0, _HEAD)
    if head[:4] not in (b"RIFF", b"RF64", b"BW64"):
        yield None
        return
    with scratch(seen.path) as (copy, path):
        copy.write(head)
        copy.truncate(seen.size)
        copy.flush()
        rate, sound = _bytes_a_second(head), declared(copy)
        if not rate or sound is None or sound.begin >= _HEAD:
            yield None
            return
        first = sound.begin + max(0, math.floor((start - _BEFORE_S) * rate))
        last = min(seen.size, sound.begin + math.ceil((end + _AFTER_S) * rate))
        first = min(first, last - 1)
        if last - first > min(seen.size // 2, _MOST):
            yield None
            return
        now, part = range_of_object(seen.path, first, last)
        copy.seek(first)
        copy.write(part)
        copy.flush()
        yield path if now == seen else None


def _bytes_a_second(head: bytes) -> int | None:
    """By the format of a WAV, if all seconds have as many."""
    at = head.find(b"fmt ", 12) + 8
    if not 8 < at <= len(head) - 16:
        return None
    tag, _, frames, rate, block, _ = struct.unpack_from("<HHIIHH", head, at)
    return rate if tag in _PCM and rate == frames * block else None

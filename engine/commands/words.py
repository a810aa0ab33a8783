"""Numbers in words: how many there are, how long something takes."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """``1 clip``, ``12,000 clips``; also ``0 queries`` of ``query``."""
    if number != 1:
        noun = f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}s"
    return f"{number:,} {noun}"


def length(seconds: float) -> str:
    """A length of time: ``4.9 s``, ``5 min 24 s``, ``2 h 05 min``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours:,} h {minutes:02} min"

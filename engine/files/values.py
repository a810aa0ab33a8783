"""Validation and parsing of text input: labels, times, channels, paths, ``key=value`` pairs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from emotion_search.engine.files.scan import LONGEST_PATH
from emotion_search.index.database.text import clean
from emotion_search.index.errors import InvalidInputError

LONGEST = 200
"""Most characters of a label, source, speaker or metadata key."""

_CHANNELS = 64


def check_text(what: str, text: str) -> str:
    """``text``, stripped.

    Raises:
        InvalidInputError: empty, longer than ``LONGEST``, or with characters databases refuse.
    """
    text = text.strip()
    if not text or len(text) > LONGEST:
        raise InvalidInputError(f"{what} must have 1 to {LONGEST} characters, not {len(text)}")
    return clean(what, text)


def check_cell(name: str, cells: Mapping[str, str]) -> str | None:
    """The cell of a row under ``name`` by ``check_text``; None where the row has none."""
    return check_text(name, cells[name]) if name in cells else None


def parse_time(text: str) -> tuple[datetime, bool]:
    """A moment in UTC from ISO 8601, and whether its zone had to be assumed to be UTC.

    Raises:
        InvalidInputError: it is not ISO 8601.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise InvalidInputError(
            f"{text!r} is not a time in ISO 8601, such as 2026-01-31 or 2026-01-31T09:30:00+01:00"
        ) from error
    naive = moment.tzinfo is None
    try:
        return (moment.replace(tzinfo=UTC) if naive else moment.astimezone(UTC)), naive
    except OverflowError as error:
        raise InvalidInputError(f"{text!r} is out of range") from error


def parse_channel(text: str | None) -> int | None:
    """The number of a channel, 0 to 63; None where none is given.

    Raises:
        ValueError: it is none.
    """
    if text is not None and not (text.isdecimal() and len(text) <= 6 and int(text) < _CHANNELS):
        raise ValueError(f"channel {text!r} is not a number from 0")
    return None if text is None else int(text)


def parse_path(text: str, folder: Path) -> str:
    """The absolute path of a file that is given relative to ``folder``; resolves no links.

    Raises:
        ValueError: it is longer than ``LONGEST_PATH``.
        InvalidInputError: it has characters that databases refuse.
    """
    clean("path", text)
    path = os.path.abspath(os.path.join(folder, text))  # noqa: PTH100, PTH118 - by its bytes
    if len(path.encode()) > LONGEST_PATH:
        raise ValueError(f"its path is longer than {LONGEST_PATH} bytes")
    return path


def parse_pairs(pairs: Iterable[str], of: str = "metadata") -> dict[str, str]:
    """Metadata, or labels, from ``key=value`` texts.

    Raises:
        InvalidInputError: one has no ``=`` or no key.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise InvalidInputError(f"{of} {pair!r} is not of the form key=value")
        key, value = check_text(f"{of} key", key), clean(key, value.strip())
        if found.setdefault(key, value) != value:
            raise InvalidInputError(f"{of} {key} is given two values")
    return found

"""Validation and parsing of text input: labels, times, channels, paths, ``key=value`` pairs."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from unicodedata import normalize
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from emotion_search.engine.files.scan import LONGEST_PATH
from emotion_search.index.database.addresses import is_object
from emotion_search.index.database.text import clean
from emotion_search.index.errors import InvalidInputError

LONGEST = 200
"""Most characters of a label, source, speaker or metadata key."""

_CHANNELS = 64
_DURATION = re.compile(r"(?:(\d+) days?(?: \+?|$))?(?:(?:(\d+):)?(\d+):(\d\d(?:\.\d+)?))?")


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


def parse_time(
    text: str, form: str | None = None, zone: tzinfo | None = None
) -> tuple[datetime, bool]:
    """A moment in UTC from ISO 8601, and whether its zone had to be assumed to be UTC.

    Args:
        form: another form that it may have, as ``strptime`` has them.
        zone: of times that name none; None to assume UTC.

    Raises:
        InvalidInputError: it is neither.
    """
    text = text.strip()
    moment = None
    if form is not None:
        with contextlib.suppress(ValueError):
            moment = datetime.strptime(text, form)
    try:
        moment = moment or datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError(
            f"{text!r} is not a time in ISO 8601, such as 2026-01-31 or 2026-01-31T09:30:00+01:00"
            + (f", nor of the form {form}" if form else "")
        ) from error
    naive = moment.tzinfo is None
    try:
        moment = moment.replace(tzinfo=zone or UTC) if naive else moment
        return moment.astimezone(UTC), naive and zone is None
    except OverflowError as error:
        raise InvalidInputError(f"{text!r} is out of range") from error


def parse_zone(text: str) -> tzinfo:
    """A time zone by its name, such as Europe/Berlin.

    Raises:
        InvalidInputError: there is none of this name.
    """
    try:
        return ZoneInfo(text)
    except (ValueError, OSError, ZoneInfoNotFoundError) as error:
        raise InvalidInputError(f"{text!r} is no time zone, such as Europe/Berlin") from error


def parse_seconds(text: str) -> float:
    """Seconds from a number, with a decimal point or comma, or a duration such as ``01:02:03.5``
    or pandas' ``0 days 00:00:01.5``.

    Raises:
        ValueError: it is neither.
    """
    text = text.replace(",", ".")
    duration = _DURATION.fullmatch(text)
    if duration is None or not text:
        return float(text)
    days, hours, minutes, seconds = (float(part or 0) for part in duration.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def parse_channel(text: str | None) -> int | None:
    """The number of a channel, 0 to 63; None where none is given.

    Raises:
        ValueError: it is none.
    """
    if text is not None and not (text.isdecimal() and len(text) <= 6 and int(text) < _CHANNELS):
        raise ValueError(f"channel {text!r} is not a number from 0")
    return None if text is None else int(text)


def parse_path(text: str, folder: Path) -> str:
    """The absolute path of a file that is given relative to ``folder``; resolves no links. Where
    there is no such file, one is taken whose name has ``/`` for ``\\``, or another form of Unicode.

    Raises:
        ValueError: it is longer than ``LONGEST_PATH``.
        InvalidInputError: it has characters that databases refuse.
    """
    clean("path", text)
    path = _absolute(text, folder)
    if len(path.encode()) > LONGEST_PATH:
        raise ValueError(f"its path is longer than {LONGEST_PATH} bytes")
    if ("\\" in text or not text.isascii()) and not os.path.lexists(path):
        forms = (text, text.replace("\\", "/"))
        others = {normalize(form, one) for form in ("NFC", "NFD") for one in forms} | set(forms)
        for other in sorted(others - {text}):
            if os.path.lexists(there := _absolute(other, folder)):
                return there
    return path


def _absolute(text: str, folder: Path) -> str:
    if is_object(text):
        return text
    return os.path.abspath(os.path.join(folder, text))  # noqa: PTH100, PTH118 - by its bytes


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

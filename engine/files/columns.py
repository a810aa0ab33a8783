"""Names of a table's columns: which are needed, which a manifest knows under other names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from emotion_search.index.errors import UnusableError

OWN = ("path", "label", "source", "recorded_at", "speaker", "start", "end", "channel")
"""Columns that a manifest knows; ``label:TASK`` besides."""

TASK = "label:"
"""How the column of another task's labels begins."""

_STANDARD = ("file", "file_name")  # of audformat, and of Hugging Face's audiofolder
_PATHS = (*_STANDARD, "filename", "file_path", "filepath")
_LISTED, _SHOWN = 20, 50  # columns that a message names, and characters of each

Columns = Callable[[Sequence[str]], list[str]]
"""Gives the names under which the columns of a header are read; empty for those that are not.
Raises InvalidInputError, whose text goes on after the table's name."""


def needed(name: str) -> Columns:
    """Columns by the names that they have, whatever their capitals, ``name`` among them."""

    def columns(header: Sequence[str]) -> list[str]:
        names = [_key(one) for one in header]
        if name not in names:
            raise UnusableError(missing(name, header))
        return as_named(names)

    return columns


def as_named(header: Sequence[str]) -> list[str]:
    """Columns by the names that they have; see ``Columns``."""
    for i, name in enumerate(header):
        if name and name in header[:i]:
            raise UnusableError(f"has the column {name!r} twice")
    return list(header)


def missing(name: str, header: Sequence[str], cure: str = "") -> str:
    """That a table has no column of a name, and which ones it has, the nearest first."""
    keys = {_key(one): one for one in reversed(header) if one}
    near = [keys[key] for key in get_close_matches(_key(name), keys)]
    found = [*near, *(one for one in header if one and one not in near)]
    shown = ", ".join(repr(one[:_SHOWN]) for one in found[:_LISTED]) + (
        ", …" if len(found) > _LISTED else ""
    )
    there = f"it has {shown}" if found else "its first line names none"
    return f"has no column {name!r}; {there}{cure if found else ''}"


@dataclass(frozen=True)
class ManifestColumns:
    """The columns of a manifest, whatever their capitals, spaces, hyphens; see ``Columns``.

    The path may also be called ``file`` (as in audformat) or ``file_name`` (as in Hugging Face's
    audiofolder), where ``emotion`` is the label.

    Args:
        given: the table's own name of a column by ours; None where nobody can give any.
    """

    given: Mapping[str, str] | None = field(default_factory=dict)

    def __call__(self, header: Sequence[str]) -> list[str]:
        """The names."""
        keys = [_key(one) for one in header]
        names = [""] * len(header)

        def take(name: str, called: str) -> None:
            exact = [i for i, one in enumerate(header) if one == called and not names[i]]
            same = exact or [
                i for i, key in enumerate(keys) if key == _key(called) and not names[i]
            ]
            if len(same) > 1:
                raise UnusableError(f"has the column {called!r} twice")
            if same:
                names[same[0]] = name

        for name, column in (self.given or {}).items():
            take(name, column)
            if name not in names and column in header:
                raise UnusableError(f"has one column {column!r}, which is mapped twice")
            if name not in names:
                turned = name in header and column in OWN
                cure = f"; its own name comes last: --map {column}={name}" if turned else ""
                raise UnusableError(missing(column, header, cure))
        for name in OWN:
            if name not in names:
                take(name, name)
        for called in _PATHS:
            if "path" not in names:
                take("path", called)
                if "path" in names and called in _STANDARD and "label" not in names:
                    take("label", "emotion")
        if "path" not in names:
            cure = "rename the one that holds the paths"
            if self.given is not None:
                cure = "--map path=NAME says which one holds the paths"
            raise UnusableError(missing("path", header, f"; {cure}"))
        for i, one in enumerate(header):
            names[i] = names[i] or _other(one, names)
        return names


def _other(name: str, taken: Sequence[str]) -> str:
    """The name of a column of another task's labels, or of metadata; numbered if it is taken."""
    before, colon, task = name.partition(":")
    if colon and _key(before) == TASK[:-1]:
        name = TASK + task.strip()
        if name in taken:
            raise UnusableError(f"has the column {name!r} twice")
    numbered, number = name, 1
    while name and numbered in taken:
        number += 1
        numbered = f"{name} ({number})"
    return numbered


def _key(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip()).casefold()

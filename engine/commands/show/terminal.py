"""Terminal output: control characters in names are shown as escapes, never obeyed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:  # a tenth of a second of --help
    from rich.console import Console

_CONTROLS = {*range(0x20), *range(0x7F, 0xA0)} - {ord("\n"), ord("\t")}
_DIRECTIONS = {0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}
_ESCAPES = {code: f"\\u{code:04x}" for code in _CONTROLS | _DIRECTIONS}


def shown(text: str) -> str:
    """``text`` with control characters (but for line feeds and tabs), and those that turn the
    direction of what follows, as ``\\u001b``: what JSON has for them too."""
    return text.translate(_ESCAPES)


class Plain:
    """A text stream that writes ``shown`` text to another, and is like it in all else.

    Attributes:
        stream: the other, for what is ours.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write what is shown of the text."""
        self.stream.write(shown(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def plain_streams() -> Iterator[None]:
    """Within, stdout and stderr are ``Plain``."""
    before = {name: getattr(sys, name) for name in ("stdout", "stderr")}
    plain = {name: Plain(stream) for name, stream in before.items()}
    vars(sys).update(plain)
    try:
        yield
    finally:
        for name, stream in plain.items():
            if getattr(sys, name) is stream:  # else the reader of our output went away
                setattr(sys, name, before[name])


def console(*, stderr: bool = False) -> Console:
    """A console of Rich, whose own control sequences pass; what it prints has to be ``shown``."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream.stream if isinstance(stream, Plain) else stream)

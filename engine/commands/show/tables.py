"""Tables on stdout that fit the terminal: paths lose their beginning, texts wrap, numbers stay."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from emotion_search.engine.commands.show.terminal import console, shown

_LEAST = {"wrap": 16, "cut": 6, "end": 14}  # characters that a column keeps; of a long word
_PIPE = 1000  # characters of a line that no terminal shows
_WORDS: Any = {"break_long_words": False, "break_on_hyphens": False}


@dataclass
class _Column:
    name: str
    kind: str
    right: bool
    spare: bool
    cells: list[str] = field(default_factory=list)
    width: int = 0


class PlainTable:
    """A table without lines; where no terminal shows it, every row is one whole line.

    Args:
        columns: names of columns whose cells wrap; or, without ``wrap``, stay as they are.
    """

    def __init__(self, *columns: str, wrap: bool = True) -> None:
        self._columns: list[_Column] = []
        for name in columns:
            self.column(name, no_wrap=not wrap)

    def column(
        self,
        name: str,
        *,
        justify: Literal["left", "right"] = "left",
        no_wrap: bool = False,
        overflow: Literal["fold", "ellipsis"] = "fold",
        spare: bool = False,
    ) -> None:
        """Add a column. Where the terminal is too narrow, cells of a ``file`` or ``model`` lose
        their beginning; others wrap, stay as they are (``no_wrap``) or lose their end
        (``ellipsis``); and a column that is ``spare`` is left out."""
        kind = "keep" if no_wrap else "end" if name in ("file", "model") else "wrap"
        kind = "cut" if overflow == "ellipsis" else kind
        self._columns.append(_Column(shown(name), kind, justify == "right", spare))

    def row(self, *cells: str) -> None:
        """Add a row."""
        for column, cell in zip(self._columns, cells, strict=True):
            column.cells.append(shown(cell))

    def print(self) -> None:
        """Print it; where the columns do not fit however narrow, a line for each cell."""
        columns = _fitted(self._columns, _width())
        if sum(one.width + 2 for one in columns) - 2 > _width():
            self._print_cells()
            return
        from rich.table import Table  # which help and status have no use for
        from rich.text import Text

        terminal = console()
        terminal.width = _width()
        table = Table(box=None, pad_edge=False, header_style="bold")
        for one in columns:
            table.add_column(
                Text(one.name),
                width=one.width,
                no_wrap=one.kind != "wrap",
                overflow="ellipsis" if one.kind == "cut" else "fold",
                justify="right" if one.right else "left",
            )
        for cells in zip(*(one.cells for one in columns), strict=True):
            parts = zip(columns, cells, strict=True)
            table.add_row(*(Text(_end(t, c.width) if c.kind == "end" else t) for c, t in parts))
        terminal.print(table)

    def _print_cells(self) -> None:
        indent = max(len(one.name) for one in self._columns) + 2
        for number, cells in enumerate(zip(*(one.cells for one in self._columns), strict=True)):
            if number:
                print()
            for column, cell in zip(self._columns, cells, strict=True):
                if cell:
                    print_row(column.name, cell, indent)


def print_table(
    head: Sequence[str], rows: Iterable[Sequence[object]], *, wrap: bool = True
) -> None:
    """Print a table of these rows; None is an empty cell."""
    table = PlainTable(*head, wrap=wrap)
    for row in rows:
        table.row(*("" if cell is None else str(cell) for cell in row))
    table.print()


def print_row(name: str, text: str, indent: int = 16) -> None:
    """A name and what belongs to it on stdout, wrapped beside it where the terminal is narrow."""
    width = max(_width(), indent + 20)
    beside = " " * indent
    head = f"{name:<{indent - 1}} "
    print(textwrap.fill(text, width, initial_indent=head, subsequent_indent=beside, **_WORDS))


def _width() -> int:
    """Characters that fit into a line; where no terminal shows it, any number."""
    terminal = sys.stdout.isatty() or "COLUMNS" in os.environ
    return shutil.get_terminal_size().columns if terminal else _PIPE


def _fitted(columns: list[_Column], width: int) -> list[_Column]:
    """Those of the columns that fit into so many characters, with the width of each; all but spare
    ones where they do not."""
    from rich.cells import cell_len

    for one in columns:
        one.width = max(map(cell_len, [one.name, *one.cells]))
    least = {}
    for one in columns:
        words = one.name.split() + [w for cell in one.cells for w in cell.split()]
        longest = max(map(cell_len, words), default=0) if one.kind == "wrap" else one.width
        least[id(one)] = min(longest, _LEAST.get(one.kind, one.width))
    columns = list(columns)
    while sum(least[id(one)] + 2 for one in columns) - 2 > width:
        spare = [one for one in columns if one.spare]
        if not spare:
            break
        columns.remove(spare[-1])
    while sum(one.width + 2 for one in columns) - 2 > width:
        widest = max(columns, key=lambda one: (one.width > least[id(one)], one.width))
        if widest.width <= least[id(widest)]:
            break
        widest.width -= 1
    return columns


def _end(text: str, width: int) -> str:
    """The end of a text of at most so many characters."""
    from rich.cells import cell_len

    if cell_len(text) <= width:
        return text
    while cell_len(text) >= width:
        text = text[1:]
    return f"…{text}"

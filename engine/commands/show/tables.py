"""Tables on stdout, whose cells may be any text."""

from __future__ import annotations

from typing import Any

from emotion_search.engine.commands.show.terminal import console, shown


class PlainTable:
    """A table without lines.

    Args:
        columns: their names.
        wrap: fold long cells, rather than cut them off.
    """

    def __init__(self, *columns: str, wrap: bool = True) -> None:
        from rich.table import Table  # which help and status have no use for

        self._table = Table(box=None, pad_edge=False, header_style="bold")
        for name in columns:
            self.column(name, no_wrap=not wrap, overflow="fold" if wrap else "ellipsis")

    def column(self, name: str, **options: Any) -> None:
        """Add a column; options are Rich's."""
        from rich.text import Text

        self._table.add_column(Text(shown(name)), **options)

    def row(self, *cells: str) -> None:
        """Add a row."""
        from rich.text import Text

        self._table.add_row(*(Text(shown(cell)) for cell in cells))

    def print(self) -> None:
        """Print it."""
        console().print(self._table)

"""How results look on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from index.search import Hit

_LONG_PATH = 30  # characters that a path may take in a table


def print_hits(hits: list[Hit]) -> None:
    """A table of hits on stdout: similarity, percentile, clip, label, source, file, span."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("similarity", "percentile", "clip"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("label", "source"):
        table.add_column(name)
    table.add_column("file", overflow="fold")
    table.add_column("span", no_wrap=True)
    for hit in hits:
        clip = hit.clip
        cells = [clip.label or "", clip.source or "", _short(clip.path or clip.name)]
        span = f"{clock(clip.start)}–{clock(clip.end)}"
        percentile = "" if hit.percentile is None else f"{hit.percentile:.2f}"
        table.add_row(f"{hit.similarity:.4f}", percentile, str(clip.id), *map(Text, cells), span)
    Console().print(table)


def _short(path: str) -> str:
    """The path as a person tells it: below the current folder, or just its end if it is long."""
    shown = Path(path)
    if shown.is_relative_to(Path.cwd()):
        shown = shown.relative_to(Path.cwd())
    for text in (str(shown), f"…/{shown.parent.name}/{shown.name}"):
        if len(text) <= _LONG_PATH:
            return text
    return f"…/{shown.name}"


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds."""
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}:{rest:05.2f}"


def tally(counts: Mapping[str, int]) -> str:
    """Counts by name in a line, the first ten."""
    shown = [f"{name} {number}" for name, number in list(counts.items())[:10]]
    more = [f"… {len(counts) - 10} more"] if len(counts) > 10 else []
    return ", ".join(shown + more) or "none"

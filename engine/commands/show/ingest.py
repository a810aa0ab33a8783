"""The summary and failures of ``ingest`` and its dry run, on the terminal or as JSON."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emotion_search.engine.commands.common import (
    note_forgotten,
    notice,
    print_json,
    say_error,
    say_first,
)
from emotion_search.engine.commands.show.tables import PlainTable
from emotion_search.engine.commands.words import counted, length
from emotion_search.index.database.filters import EMOTION
from emotion_search.index.database.spans import Side

if TYPE_CHECKING:
    from emotion_search.engine.files.manifest import Manifest
    from emotion_search.engine.ingest.dry_run import Preview
    from emotion_search.engine.ingest.report import IngestReport
    from emotion_search.index.database.spans import Span

_FIRST = 5  # rows of a manifest that a dry run shows
_COLUMNS = 20
_COUNTS = (
    *("recordings", "clips", "known", "duplicates", "moved"),
    *("forgotten", "silent", "grown", "recut", "mixed"),
)


@dataclass(frozen=True)
class Output:
    """What is printed of a run.

    Attributes:
        as_json: the summary is a line of JSON.
        quiet: there is a summary as JSON alone.
        known: path and reason of what failed in the same way before; None to list these, too.
    """

    as_json: bool = False
    quiet: bool = False
    known: frozenset[tuple[str, str]] | None = None


def print_report(report: IngestReport, elapsed: float, output: Output) -> None:
    """The summary on stdout, the first failures and a notice on stderr."""
    known = output.known or frozenset()
    new = [failure for failure in report.failed if failure not in known]
    again = len(report.failed) - len(new)
    if output.as_json:
        summary = {
            **{name: getattr(report, name) for name in _COUNTS},
            "failed": len(report.failed),
            **({} if output.known is None else {"failed_new": len(new)}),
            "cut_otherwise": report.otherwise,
            "duration": round(report.duration, 3),
            "seconds": round(elapsed, 2),
        }
        print_json(summary)
    elif not output.quiet:
        print(
            f"{counted(report.recordings, 'recording')} ({counted(report.clips, 'clip')},"
            f" {length(report.duration)}) added in {length(elapsed)}; {report.known} known already,"
            f" {counted(report.duplicates, 'duplicate')}, {len(report.failed)} failed"
            + (f", {report.moved} moved" if report.moved else "")
            + (f", {report.silent} without speech" if report.silent else "")
            + (f", {report.grown} longer than before" if report.grown else "")
            + (f", {report.recut} cut anew" if report.recut else ""),
            flush=True,
        )
    say_first(_lines(new), "more; list them with: emotion-search failures")
    if again:
        text = f"{counted(again, 'file')} failed as before; list them with: emotion-search failures"
        (say_error if new else notice)(text)
    say_first(_lines(report.notices), "more such notices", notice)
    if report.mixed:
        from emotion_search.engine.audio.channels import MIXED

        notice(
            f"of {counted(report.mixed, 'recording')} the {MIXED}. --channels customer=1 takes one,"
            " split each by itself; --channels mix says that all are meant"
        )
    _print_otherwise(report.otherwise)
    note_forgotten(report.forgotten, "file")


def print_preview(found: Preview, rows: Manifest, seconds: float | None, as_json: bool) -> None:
    """What would be done, and how the first rows of the manifest are understood, on stdout; on
    stderr what cannot be used, and a notice.

    Args:
        seconds: that embedding would take; None if unknown.
    """
    record = {
        "files": found.files,
        "known": found.known,
        "new": found.new,
        "recut": found.recut,
        "cut_otherwise": found.otherwise,
        "bytes": found.size,
        "duration": round(found.duration, 3),
        "unknown_duration": found.unknown_duration,
        "unusable": len(found.unusable),
        "estimated_seconds": seconds,
    }
    first = _understood(rows)
    if as_json:
        print_json(record | ({"rows": first} if rows.path else {}))
    else:
        if first:
            columns = list(dict.fromkeys(key for row in first for key in row))
            more = len(columns) - _COLUMNS
            del columns[_COLUMNS:]
            folder, table = rows.folder, PlainTable(*columns)
            for row in first:
                shown = row | {"path": row["path"].removeprefix(f"{folder}{os.sep}")}
                table.row(*(shown.get(key, "") for key in columns))
            table.print()
            if more > 0:
                notice(f"and {counted(more, 'column')} more, which are metadata")
        print(
            f"{counted(found.files, 'file')}: {found.known} known, {found.new} new"
            f" ({length(found.duration)}, {found.size / 1e6:.1f} MB),"
            f" {len(found.unusable)} unusable"
            + (f", {found.recut} to be cut anew" if found.recut else "")
            + (
                ""
                if seconds is None or not found.new
                else f"; embedding would take about {length(seconds)}"
            )
        )
    say_first(_lines(found.unusable), "more; an ingest lists them under: emotion-search failures")
    _print_otherwise(found.otherwise)


def _understood(manifest: Manifest) -> list[dict[str, str]]:
    """What the first rows of a manifest say, a cell each: of a recording, and of each clip or
    channel that a row is of."""
    found: list[dict[str, str]] = []
    for path, row in itertools.islice(manifest.rows.items(), _FIRST):
        whole = {
            "path": path,
            "source": row.source or "",
            "recorded_at": row.recorded_at.isoformat() if row.recorded_at else "",
        }
        parts: list[tuple[dict[str, str], Span | Side]] = [
            ({"channel": str(number)}, side) for number, side in row.sides.items()
        ]
        for span in row.spans[:_FIRST]:
            channel = "" if span.channel is None else str(span.channel)
            times = {"start": f"{span.start:g}", "end": f"{span.end:g}"}
            parts.append((times | {"channel": channel}, span))
        for where, part in parts or [({}, Side(row.speaker, row.labels))]:
            labels = {
                "label" if task == EMOTION else f"label:{task}": value
                for task, value in (*row.labels.items(), *part.labels.items())
            }
            cells = whole | where | {"speaker": part.speaker or ""} | labels | dict(row.metadata)
            found.append({key: value for key, value in cells.items() if value})
    return found[:_FIRST]


def _lines(found: list[tuple[str, str]]) -> list[str]:
    return [f"{path}: {text}" for path, text in found]


def _print_otherwise(otherwise: int) -> None:
    if otherwise:
        notice(
            f"{counted(otherwise, 'known recording')} cut under other options before: clips stay;"
            " --recut cuts them anew"
        )

"""Manifests: annotations of recordings, one row each, in CSV, JSON lines or Parquet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from emotion_search.engine.audio.file import SAMPLE_RATE, SHORTEST
from emotion_search.engine.files.tables import csv_rows, table_rows
from emotion_search.engine.files.values import (
    check_cell,
    check_text,
    parse_channel,
    parse_path,
    parse_time,
)
from emotion_search.index.database.filters import EMOTION
from emotion_search.index.database.recordings import Annotations
from emotion_search.index.database.spans import ClipSpan, Side, Span, span_key
from emotion_search.index.database.text import clean
from emotion_search.index.errors import InvalidInputError

_OWN_COLUMNS = {"path", "label", "source", "recorded_at", "speaker", "start", "end"}
_TASK = "label:"  # begins the column of another task's labels
_LONGEST_SPAN = 120.0  # seconds: a clip has to fit in memory


@dataclass
class Manifest:
    """A manifest as read.

    Attributes:
        path: the manifest itself.
        rows: annotations by absolute path, in the file's order.
        lines: number of the first line by path.
        problems: rows that cannot be used: manifest and line, and the reason.
        naive_times: number of times without a zone, taken as UTC.
        spans: of each path with rows that are spans, the line of each.
    """

    path: Path | None = None
    rows: dict[str, Annotations] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)
    naive_times: int = 0
    spans: dict[str, dict[ClipSpan, int]] = field(default_factory=dict)

    def place(self, path: str, span: Span | None = None) -> str:
        """Where the manifest speaks of a file, or of a span in it: its name and the line."""
        line = self.lines[path]
        if span is not None:
            channel, start, end = span_key(span.channel, span.start, span.end)
            lines = self.spans.get(path, {})
            line = lines.get((channel, start, end), lines.get((None, start, end), line))
        return f"{self.path}: line {line}"


def read_manifest(path: Path) -> Manifest:
    """The rows of a manifest; see ``table_rows``.

    Columns: ``path`` (relative to the manifest), ``label``, ``label:TASK``, ``source``,
    ``recorded_at``, ``speaker``; any other column is kept as metadata. Rows with ``start`` and
    ``end`` (seconds), and maybe ``channel``, are clips of their file, and may be several; their
    labels and speaker are the clip's. So are those of rows with the number of a ``channel`` alone
    the channel's, one row each.

    Raises:
        InvalidInputError: not readable, not UTF-8, or no column ``path``.
    """
    manifest = Manifest(path)
    for line, row in table_rows(path, needed="path"):
        try:
            if isinstance(row, str):
                raise ValueError(row)
            named = str(row.get("path") or "")
            if not named:
                raise ValueError("no path")
            absolute = parse_path(named, path.parent)
            if Path(absolute).is_dir():
                raise ValueError(f"{named} is a folder, not an audio file")
            before = manifest.rows.get(absolute)
            annotations, naive = _annotations(row)
            if before is not None and not _go_together(before, annotations):
                raise ValueError(f"{named} again, first in line {manifest.lines[absolute]}")
            manifest.naive_times += naive
            for span in annotations.spans:
                lines = manifest.spans.setdefault(absolute, {})
                first = lines.setdefault(span_key(span.channel, span.start, span.end), line)
                if first != line:
                    raise ValueError(f"this span of {named} again, first in line {first}")
            if before is not None:
                spans = before.spans + annotations.spans
                annotations = replace(annotations.over(before), spans=spans)  # sides are both's
            manifest.rows[absolute] = annotations
            manifest.lines.setdefault(absolute, line)
        except (ValueError, OSError, InvalidInputError) as error:
            manifest.problems.append((f"{path}: line {line}", str(error)))
    return manifest


def read_labels(path: Path, task: str) -> list[tuple[int, str, str | None]]:
    """Clip, task and label of each row of a CSV with the columns ``clip``, ``label`` and maybe
    ``task`` (else ``task`` is taken); an empty label takes the clip's label away.

    Raises:
        InvalidInputError: it cannot be read, or a row names no clip.
    """
    found: list[tuple[int, str, str | None]] = []
    for line, row in csv_rows(path, needed="clip"):
        cells = {} if isinstance(row, str) else {key: _text(value) for key, value in row.items()}
        clip = cells.get("clip", "")
        known = clip.isdecimal() and len(clip) < 20 and 0 < int(clip) < 2**63
        if not known or "label" not in cells:
            raise InvalidInputError(f"{path}: line {line} needs the id of a clip, and a label")
        value = check_text("label", cells["label"]) if cells["label"] else None
        found.append((int(clip), check_text("task", cells.get("task") or task), value))
    return found


def _annotations(row: Mapping[str, Any]) -> tuple[Annotations, bool]:
    """What a row says, and whether its time has no zone."""
    cells = {key: _text(value) for key, value in row.items() if key and _text(value)}
    recorded_at, naive = None, False
    if "recorded_at" in cells:
        recorded_at, naive = parse_time(cells["recorded_at"])
    labels = {EMOTION: check_text("label", cells["label"])} if "label" in cells else {}
    for key, value in cells.items():
        if key.startswith(_TASK):
            labels[check_text("task", key.removeprefix(_TASK))] = check_text("label", value)
    speaker = check_cell("speaker", cells)
    span = _span(cells, labels, speaker)
    number = None if span else _number(cells.get("channel"))
    sides = {} if number is None else {number: Side(speaker, labels)}
    of_part = span or sides
    annotations = Annotations(
        source=check_cell("source", cells),
        speaker=None if of_part else speaker,
        recorded_at=recorded_at,
        labels={} if of_part else labels,
        metadata={
            check_text("column", key): clean(key, value)
            for key, value in cells.items()
            if key not in _OWN_COLUMNS
            and not key.startswith(_TASK)
            and not (of_part and key == "channel")
        },
        sides=sides,
        spans=(span,) if span else (),
    )
    return annotations, naive


def _number(channel: str | None) -> int | None:
    """The number of a channel; None where the column tells of something else."""
    try:
        return parse_channel(channel)
    except ValueError:
        return None


def _go_together(one: Annotations, other: Annotations) -> bool:
    """Whether two rows of a file are of parts of it: spans, or channels of which none is twice."""
    if one.spans and other.spans:
        return True
    return bool(one.sides and other.sides) and one.sides.keys().isdisjoint(other.sides)


def _span(cells: Mapping[str, str], labels: Mapping[str, str], speaker: str | None) -> Span | None:
    """The clip that a row means; None if it means the whole file."""
    if "start" not in cells and "end" not in cells:
        return None
    try:
        start, end = float(cells.get("start", "")), float(cells.get("end", ""))
    except ValueError as error:
        raise ValueError("start and end are both needed, in seconds") from error
    if not 0 <= start < end < 1e6 or end - start > _LONGEST_SPAN:
        raise ValueError(f"{start:g} to {end:g} s is no span of up to {_LONGEST_SPAN:g} s")
    if round(end * SAMPLE_RATE) - round(start * SAMPLE_RATE) < SHORTEST:
        least = SHORTEST / SAMPLE_RATE
        raise ValueError(f"{start:g} to {end:g} s is no span: a clip has at least {least:g} s")
    return Span(start, end, parse_channel(cells.get("channel")), labels, speaker)


def _text(value: Any) -> str:
    """A JSON value as the text it is kept as: strings bare, null nothing, the rest as JSON."""
    if value is None:
        return ""
    try:
        return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except TypeError as error:  # bytes, say
        raise ValueError(f"a cell is {type(value).__name__}, which is no text") from error

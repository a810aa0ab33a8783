"""Manifests: annotations of recordings, a row each, in any table or corpus that is read here."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from pathlib import Path
from typing import Any

from emotion_search.engine.audio.file import SAMPLE_RATE, SHORTEST
from emotion_search.engine.files.columns import OWN, TASK, ManifestColumns, needed
from emotion_search.engine.files.corpora import Table, tables_of
from emotion_search.engine.files.tables import table_rows
from emotion_search.engine.files.values import (
    check_cell,
    check_text,
    parse_channel,
    parse_path,
    parse_seconds,
    parse_time,
)
from emotion_search.index.database.filters import EMOTION
from emotion_search.index.database.recordings import Annotations
from emotion_search.index.database.spans import ClipSpan, Side, Span, span_key
from emotion_search.index.database.text import clean
from emotion_search.index.errors import InvalidInputError, UnusableError

log = logging.getLogger(__name__)

_LONGEST_SPAN = 120.0  # seconds: a clip has to fit in memory


@dataclass
class Manifest:
    """A manifest as read.

    Attributes:
        path: the manifest itself, or its address in a bucket.
        rows: annotations by absolute path, in the file's order.
        lines: number of the first line by path, and of which table where there are several.
        problems: rows that cannot be used: manifest and line, and the reason.
        naive_times: number of times without a zone, taken as UTC.
        spans: of each path with rows that are spans, the line of each.
        unlike: what a recording has but one of, and rows of one file differ in; the last counts.
    """

    path: Path | str | None = None
    rows: dict[str, Annotations] = field(default_factory=dict)
    lines: dict[str, str] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)
    naive_times: int = 0
    spans: dict[str, dict[ClipSpan, str]] = field(default_factory=dict)
    unlike: set[str] = field(default_factory=set)

    @property
    def folder(self) -> Path:
        """Where it lies, or what it is."""
        path = Path(self.path or "").absolute()
        return path if path.is_dir() else path.parent

    @property
    def unread_labels(self) -> str | None:
        """A column that is called ``emotion`` and is metadata, where no row has a label."""
        rows = self.rows.values()
        parts = [(row.labels, *(one.labels for one in row.spans)) for row in rows]
        parts += [tuple(side.labels for side in row.sides.values()) for row in rows]
        if any(map(any, parts)):
            return None
        names = (name for row in rows for name in row.metadata)
        return next((name for name in names if name.casefold() == EMOTION), None)

    def place(self, path: str, span: Span | None = None) -> str:
        """Where the manifest speaks of a file, or of a span in it: its name and the line."""
        line = self.lines[path]
        if span is not None:
            channel, start, end = span_key(span.channel, span.start, span.end)
            lines = self.spans.get(path, {})
            line = lines.get((channel, start, end), lines.get((None, start, end), line))
        return f"{self.path}: line {line}"


@dataclass(frozen=True)
class TableForm:
    """How a manifest is written.

    Attributes:
        columns: its own names of columns by ours; None where a user cannot say how it is written.
        date_format: of its times, if not ISO 8601, as ``strptime`` has them.
        zone: of its times that name none; None for UTC.
        encoding: of a text file; None to tell by its bytes.
    """

    columns: Mapping[str, str] | None = field(default_factory=dict)
    date_format: str | None = None
    zone: tzinfo | None = None
    encoding: str | None = None


def read_manifest(path: Path, form: TableForm | None = None) -> Manifest:
    """The rows of a manifest: a table, or a folder of tables; see ``corpora.tables_of``.

    Columns: ``path`` (relative to the manifest), ``label``, ``label:TASK``, ``source``,
    ``recorded_at``, ``speaker``, under other names too (``ManifestColumns``); any other column is
    kept as metadata. Rows with ``start`` and ``end`` (seconds), and maybe ``channel``, are clips of
    their file, and may be several; their labels and speaker are the clip's. So are those of rows
    with the number of a ``channel`` alone the channel's, one row each. Rows without any text are
    left out.

    Raises:
        InvalidInputError: not readable, or no column ``path``.
    """
    form = form or TableForm(None)
    manifest = Manifest(path)
    for table in tables_of(path, ManifestColumns(form.columns), form.encoding):
        _add_table(manifest, table, form)
    return manifest


def _add_table(manifest: Manifest, table: Table, form: TableForm) -> None:
    """Add the rows of a table; with what another one says of the same files they go together."""
    here: dict[str, Annotations] = {}
    spans: dict[str, dict[ClipSpan, str]] = {}
    for number, row in table.rows:
        line = f"{number} of {table.name}" if table.name else str(number)
        try:
            if isinstance(row, str):
                raise ValueError(row)
            cells = {key: text for key, value in row.items() if key and (text := _text(value))}
            if not cells:
                continue
            if not (named := cells.get("path")):
                raise ValueError("no path")
            absolute = parse_path(named, table.folder)
            if Path(absolute).is_dir():
                raise ValueError(f"{named} is a folder, not an audio file")
            before = here.get(absolute)
            annotations, naive = _annotations(cells, form)
            if before is not None and not _go_together(before, annotations):
                raise ValueError(f"{named} again, first in line {manifest.lines[absolute]}")
            manifest.naive_times += naive
            for span in annotations.spans:
                lines = spans.setdefault(absolute, {})
                first = lines.setdefault(span_key(span.channel, span.start, span.end), line)
                if first != line:
                    raise ValueError(f"this span of {named} again, first in line {first}")
            if before is not None:
                manifest.unlike |= _unlike(before, annotations)
                together = before.spans + annotations.spans
                annotations = replace(annotations.over(before), spans=together)  # sides are both's
            here[absolute] = annotations
            manifest.lines.setdefault(absolute, line)
        except (ValueError, OSError, InvalidInputError) as error:
            manifest.problems.append((f"{manifest.path}: line {line}", str(error)))
    for file, annotations in here.items():
        before = manifest.rows.get(file)
        manifest.rows[file] = annotations if before is None else _both(before, annotations)
        if file in spans:
            manifest.spans.setdefault(file, {}).update(spans[file])


def _both(before: Annotations, annotations: Annotations) -> Annotations:
    """What two tables say of a file; the second goes before the first."""
    spans: dict[ClipSpan, Span] = {}
    for one in (*before.spans, *annotations.spans):
        key = span_key(one.channel, one.start, one.end)
        if (same := spans.get(key)) is not None:
            labels = {**same.labels, **one.labels}
            one = replace(one, labels=labels, speaker=one.speaker or same.speaker)
        spans[key] = one
    return replace(annotations.over(before), spans=tuple(spans.values()))


def read_labels(path: Path, task: str) -> list[tuple[int, str, str | None]]:
    """Clip, task and label of a table with the columns ``clip``, ``label`` and maybe ``task`` (else
    ``task`` is taken), each clip and task once, by its last row; an empty label takes the clip's
    label away.

    Raises:
        InvalidInputError: it cannot be read, or a row names no clip.
    """
    found: list[tuple[int, str, str | None]] = []
    for line, row in table_rows(path, needed("clip")):
        cells = {} if isinstance(row, str) else {key: _text(value) for key, value in row.items()}
        clip = cells.get("clip", "")
        known = clip.isdecimal() and len(clip) < 20 and 0 < int(clip) < 2**63
        if not known or "label" not in cells:
            raise UnusableError(f"{path}: line {line} needs the id of a clip, and a label")
        value = check_text("label", cells["label"]) if cells["label"] else None
        found.append((int(clip), check_text("task", cells.get("task") or task), value))
    last = {(clip, of): value for clip, of, value in found}
    if unlike := {clip for clip, of, value in found if value != last[clip, of]}:
        clips = f"{len(unlike)} clip{'s' * (len(unlike) != 1)}"
        log.warning("rows of %s contradict each other about %s: the last row counts", path, clips)
    return [(clip, of, value) for (clip, of), value in last.items()]


def _annotations(cells: Mapping[str, str], form: TableForm) -> tuple[Annotations, bool]:
    """What a row says, and whether its time has no zone."""
    recorded_at, naive = None, False
    if "recorded_at" in cells:
        try:
            recorded_at, naive = parse_time(cells["recorded_at"], form.date_format, form.zone)
        except InvalidInputError as error:
            known = form.date_format or form.columns is None
            cure = "" if known else "; --date-format '%d.%m.%Y %H:%M' reads others"
            raise UnusableError(f"{error}{cure}") from error
    labels = {EMOTION: check_text("label", cells["label"])} if "label" in cells else {}
    for key, value in cells.items():
        if key.startswith(TASK):
            labels[check_text("task", key.removeprefix(TASK))] = check_text("label", value)
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
            if not key.startswith(TASK) and (key not in OWN or (key == "channel" and not of_part))
        },
        sides=sides,
        spans=(span,) if span else (),
    )
    return annotations, naive


def _number(channel: str | None) -> int | None:
    """The number of a channel; None where the column tells of something else."""
    try:
        return parse_channel(_whole(channel))
    except ValueError:
        return None


def _whole(number: str | None) -> str | None:
    """A number as it is without decimals that say nothing: pandas writes 1.0 beside empty cells."""
    return None if number is None else re.sub(r"\.0+$", "", number)


def _go_together(one: Annotations, other: Annotations) -> bool:
    """Whether two rows of a file are of parts of it: spans, or channels of which none is twice."""
    if one.spans and other.spans:
        return True
    return bool(one.sides and other.sides) and one.sides.keys().isdisjoint(other.sides)


def _unlike(one: Annotations, other: Annotations) -> set[str]:
    """In what of a recording's two rows of a file differ."""
    own, its = (
        {"source": row.source, "recorded_at": row.recorded_at, **row.metadata}
        for row in (one, other)
    )
    both = ((name, own[name], its[name]) for name in own.keys() & its)
    return {name for name, a, b in both if a is not None and b is not None and a != b}


def _span(cells: Mapping[str, str], labels: Mapping[str, str], speaker: str | None) -> Span | None:
    """The clip that a row means; None if it means the whole file."""
    ends = {
        key: cells[key]
        for key in ("start", "end")
        if cells.get(key, "nan").lower() not in ("nan", "nat")
    }
    try:
        start, end = (parse_seconds(ends[key]) if key in ends else None for key in ("start", "end"))
    except ValueError as error:
        raise ValueError("start and end are both needed, in seconds") from error
    if end is None and not start:
        return None  # as audformat has whole files, too
    if start is None or end is None:
        raise ValueError("start and end are both needed, in seconds")
    if not 0 <= start < end < 1e6 or end - start > _LONGEST_SPAN:
        raise ValueError(f"{start:g} to {end:g} s is no span of up to {_LONGEST_SPAN:g} s")
    if round(end * SAMPLE_RATE) - round(start * SAMPLE_RATE) < SHORTEST:
        least = SHORTEST / SAMPLE_RATE
        raise ValueError(f"{start:g} to {end:g} s is no span: a clip has at least {least:g} s")
    return Span(start, end, parse_channel(_whole(cells.get("channel"))), labels, speaker)


def _text(value: Any) -> str:
    """A JSON value as the text it is kept as: strings bare, null nothing, the rest as JSON."""
    if value is None:
        return ""
    try:
        if isinstance(value, str):
            return value.strip("\0").strip()
        return json.dumps(value, ensure_ascii=False)
    except TypeError as error:  # bytes, say
        raise ValueError(f"a cell is {type(value).__name__}, which is no text") from error

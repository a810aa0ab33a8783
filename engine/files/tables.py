"""Readers of CSV, JSON lines, Excel and Parquet tables; a writer of CSV without formulas."""

from __future__ import annotations

import csv
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any, TextIO

from emotion_search.engine.files.columns import Columns, as_named
from emotion_search.engine.files.text_file import text_file
from emotion_search.engine.files.workbooks import plain, sheets
from emotion_search.index.errors import InvalidInputError, UnusableError, reason

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_MARKUP = re.compile(rb"(\xef\xbb\xbf|\xff\xfe|\xfe\xff)?\s*<[!?a-z]", re.IGNORECASE)
_QUOTED = re.compile('"[^"]*"')
_ROWS = 1000  # of a Parquet file at a time


Rows = Iterator[tuple[int, dict[str, Any] | str]]
"""Number and cells by column of each row, or what is wrong with the row."""


def table_rows(
    path: Path,
    columns: Columns = as_named,
    *,
    without: str | None = None,
    encoding: str | None = None,
) -> Rows:
    """Rows of a table: a workbook (.xlsx) or Parquet by its content, ``.jsonl``/``.ndjson``, or
    what begins with a brace, as JSON lines, everything else as CSV. Of a workbook, the first
    sheet with the right columns.

    Args:
        columns: gives the names of the columns by the header of a CSV, a workbook or Parquet.
        without: column of a Parquet file that is not read.
        encoding: of CSV and JSON lines; None to tell by their bytes.

    Raises:
        InvalidInputError: it cannot be read, or ``columns`` refuses its header.
    """
    head, suffix = _head(path), path.suffix.lower()
    if encoding is not None and head.startswith((b"PK\3\4", b"PAR1")):
        raise InvalidInputError(f"--encoding is for tables in text; {path} needs none")
    if head.startswith(b"PK\3\4"):
        return _sheet_rows(path, columns)
    if head.startswith(b"PAR1") or suffix == ".parquet":
        return parquet_rows(path, columns, without)
    if suffix in (".jsonl", ".ndjson") or head.lstrip()[:1] == b"{":
        return json_rows(path, columns, encoding)
    return csv_rows(path, columns, encoding)


def _head(path: Path) -> bytes:
    """How a file begins.

    Raises:
        InvalidInputError: it cannot be read, or is no table of any kind that is read here.
    """
    try:
        with path.open("rb") as file:
            head = file.read(1024)
    except OSError as error:
        raise UnusableError(f"{path} cannot be read: {reason(error)}") from error
    if not head:
        raise UnusableError(f"{path} is empty")
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise UnusableError(
            f"{path} is an old Excel workbook (.xls), or one with a password: save it as .xlsx, or"
            " as CSV UTF-8"
        )
    if head.lstrip()[:1] == b"[":
        raise UnusableError(
            f"{path} is a JSON array; JSON lines are read, an object a line: jq -c '.[]' makes them"
        )
    if _MARKUP.match(head.replace(b"\0", b"")):
        raise UnusableError(
            f"{path} is HTML or XML, no table: open it in a spreadsheet and save it as CSV UTF-8"
        )
    return head


class CsvWriter:
    """Rows of a CSV. A text that a spreadsheet would take for a formula gets an apostrophe before
    it, which ``csv_rows`` takes away; numbers, also as texts, have none.

    Source: OWASP, "CSV Injection".

    Args:
        raw: leave texts as they are.
    """

    def __init__(self, out: TextIO, *, raw: bool = False) -> None:
        # It quotes no other ends of lines than its own: a carriage return in a cell would be one.
        self._rows = csv.writer(self, lineterminator="\r\n")
        self._out, self._raw = out, raw

    def row(self, cells: Iterable[Any]) -> None:
        """Add a row."""
        self._rows.writerow(cells if self._raw else map(_as_text, cells))

    def write(self, line: str) -> None:
        """Add a line that ends in CR LF, as one that ends in LF."""
        self._out.write(line.removesuffix("\r\n") + "\n")


def _as_text(cell: Any) -> Any:
    if not isinstance(cell, str) or not _FORMULA.match(cell):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def _from_text(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and _FORMULA.match(cell) else cell


def valid_rows(path: Path, rows: Rows) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a table, nothing being wrong with any.

    Raises:
        InvalidInputError: something is wrong with a row.
    """
    for line, row in rows:
        if isinstance(row, str):
            raise UnusableError(f"{path}: line {line}: {row}")
        yield line, row


def csv_rows(path: Path, columns: Columns = as_named, encoding: str | None = None) -> Rows:
    """Number of the last line and cells by column of each row of a CSV, or what is wrong with the
    row. After a row that is no CSV, such as one with a stray quote, reading goes on in the next
    line.

    Raises:
        InvalidInputError: it cannot be read, or ``columns`` refuses its header.
    """
    with text_file(path, encoding) as file:
        yield from _by_column(path, _csv_cells(file), columns)


def _csv_cells(file: TextIO) -> Iterator[tuple[int, list[Any] | str]]:
    lines = _Lines(file)
    delimiter = None
    for header in lines:  # the first that is not empty
        first = header.rstrip("\r\n").lower()
        if first.startswith("sep=") and len(first) == len("sep=;"):  # Excel's own
            delimiter = first[-1]
        elif header.strip(" ,;\t|\r\n"):
            break
    else:
        return
    lines.begin(again=True)
    delimiter = delimiter or max(",;\t|", key=_QUOTED.sub("", header).count)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        lines.begin()
        try:
            cells = next(reader, None)
        except csv.Error as error:
            lines.back()
            yield lines.number, f"is no CSV ({error})"
            continue
        if cells is None:
            return
        if cells:
            yield lines.number, [_from_text(cell) for cell in cells]


def _sheet_rows(path: Path, columns: Columns) -> Rows:
    refused = None
    for rows in sheets(path):
        try:
            yield from _by_column(path, rows, columns)
            return
        except _HeaderError as error:
            refused = refused or error
    raise refused or UnusableError(f"{path} has no sheet with rows")


class _HeaderError(UnusableError):
    """A table has no header, or not the right one."""


def _by_column(path: Path, rows: Iterable[tuple[int, list[Any] | str]], columns: Columns) -> Rows:
    """Rows below a header, the first row, by its columns. Cells beyond it are empty."""
    names: list[str] | None = None
    for line, cells in rows:
        if isinstance(cells, str):
            if names is None:
                raise _HeaderError(f"{path}: line {line} {cells}")
            yield line, cells
        elif names is None:
            names = _names(path, columns, ["" if one is None else str(one) for one in cells])
        elif any(cell not in (None, "") for cell in cells[len(names) :]):
            yield line, "more cells than columns"
        else:
            yield line, dict(zip_longest(names, cells[: len(names)]))
    if names is None:
        _names(path, columns, [])


def _names(path: Path, columns: Columns, header: Iterable[str]) -> list[str]:
    try:
        return columns([name.strip("\0").strip() for name in header])
    except InvalidInputError as error:
        raise _HeaderError(f"{path} {error}") from error


class _Lines:
    """The lines of a file, some of which may be read again.

    Attributes:
        number: of the line that was read last, from 1.
    """

    def __init__(self, file: Iterable[str]) -> None:
        self._ahead, self._file = deque[str](), iter(file)
        self._since: list[str] = []
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._ahead.popleft() if self._ahead else next(self._file)
        self._since.append(line)
        self.number += 1
        return line

    def begin(self, *, again: bool = False) -> None:
        """A row begins with the next line, or ``again`` with the last one."""
        if again:
            self._ahead.appendleft(self._since[-1])
            self.number -= 1
        self._since.clear()

    def back(self) -> None:
        """Go back to the second line of the row."""
        self._ahead.extendleft(reversed(self._since[1:]))
        self.number -= len(self._since) - 1


def json_rows(path: Path, columns: Columns = as_named, encoding: str | None = None) -> Rows:
    """Line number and object of each line of a file of JSON lines, or what is wrong with it.

    Raises:
        InvalidInputError: it cannot be read.
    """
    with text_file(path, encoding) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise UnusableError("not a JSON object")
                yield number, dict(zip(columns(list(row)), row.values(), strict=True))
            except (InvalidInputError, RecursionError) as error:
                yield number, str(error)
            except ValueError as error:
                yield number, f"not JSON ({error})"


def parquet_rows(
    path: Path, columns: Columns = as_named, without: str | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and cells by column of each row of a Parquet file, a thousand at a time.

    Raises:
        InvalidInputError: it cannot be read, or ``columns`` refuses its names.
    """
    with parquet_file(path) as file:
        as_there = file.schema_arrow.names
        names = dict(zip(as_there, _names(path, columns, as_there), strict=True))
        names.pop(without or "", None)
        number = 0
        for batch in file.iter_batches(_ROWS, columns=list(names)):
            for cells in _in_microseconds(batch).to_pylist():
                number += 1
                yield number, {names[name]: plain(cell) for name, cell in cells.items()}


def _in_microseconds(batch: Any) -> Any:
    """A batch whose times are as fine as Python has them; pandas' are of nanoseconds."""
    from pyarrow import RecordBatch, duration, timestamp, types

    columns = []
    for column in batch.columns:
        if types.is_duration(column.type):
            column = column.cast(duration("us"), safe=False)
        elif types.is_timestamp(column.type):
            column = column.cast(timestamp("us", column.type.tz), safe=False)
        columns.append(column)
    return RecordBatch.from_arrays(columns, batch.schema.names)


def load_parquet() -> Any:
    """The module ``pyarrow.parquet``.

    Raises:
        InvalidInputError: it is not installed.
    """
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise UnusableError(
            "Parquet needs pyarrow: pip install 'emotion-search[parquet]'"
        ) from error
    return parquet


@contextmanager
def parquet_file(path: Path) -> Iterator[Any]:
    """The ``pyarrow.parquet.ParquetFile``, open; what goes wrong with it within is our error.

    Raises:
        InvalidInputError: it cannot be read, or pyarrow is not there.
    """
    parquet = load_parquet()
    from pyarrow import ArrowException

    try:
        with parquet.ParquetFile(path) as file:
            yield file
    except (ArrowException, OSError) as error:
        raise UnusableError(f"{path} cannot be read: {reason(error)}") from error

"""Readers of CSV, JSON lines and Parquet tables; CSV that spreadsheets take for no formulas."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, time
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from typing import Any, TextIO

from emotion_search.index.errors import InvalidInputError, reason

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_ROWS = 1000  # of a Parquet file at a time


Rows = Iterator[tuple[int, dict[str, Any] | str]]
"""Number and cells by column of each row, or what is wrong with the row."""


def table_rows(path: Path, *, needed: str | None = None, without: str | None = None) -> Rows:
    """Rows of a table: ``.jsonl``/``.ndjson`` are JSON lines, ``.parquet`` is Parquet, everything
    else CSV.

    Args:
        needed: column that a CSV or a Parquet file must have.
        without: column of a Parquet file that is not read.

    Raises:
        InvalidInputError: it cannot be read, lacks the column, or has two columns of one name.
    """
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return parquet_rows(path, needed, without)
    return json_rows(path) if suffix in (".jsonl", ".ndjson") else csv_rows(path, needed)


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
            raise InvalidInputError(f"{path}: line {line}: {row}")
        yield line, row


def csv_rows(path: Path, needed: str | None = None) -> Rows:
    """Number of the last line and cells by column of each row of a CSV, or what is wrong with the
    row. After a row that is no CSV, such as one with a stray quote, reading goes on in the next
    line.

    Raises:
        InvalidInputError: it cannot be read, has no column ``needed``, or two columns of one name.
    """
    with _text_file(path) as file:
        header = file.readline()
        delimiter = max(",;\t", key=header.count)
        file.seek(0)
        lines = _Lines(file)
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        columns = [_from_text(name).strip() for name in next(reader, [])]
        if needed is not None and needed not in columns:
            raise InvalidInputError(f"{path} has no column {needed!r} in its first line")
        _check_columns(path, columns)
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
            if len(cells) > len(columns):
                yield lines.number, "more cells than columns"
            elif cells:
                yield lines.number, dict(zip_longest(columns, map(_from_text, cells)))


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

    def begin(self) -> None:
        """A row begins with the next line."""
        self._since.clear()

    def back(self) -> None:
        """Go back to the second line of the row."""
        self._ahead.extendleft(reversed(self._since[1:]))
        self.number -= len(self._since) - 1


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    twice = [name for name, number in Counter(columns).items() if name and number > 1]
    if twice:
        raise InvalidInputError(f"{path} has the column {twice[0]!r} twice")


def json_rows(path: Path) -> Rows:
    """Line number and object of each line of a file of JSON lines, or what is wrong with it.

    Raises:
        InvalidInputError: it cannot be read.
    """
    with _text_file(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield number, f"not JSON ({error})"
                continue
            yield number, row if isinstance(row, dict) else "not a JSON object"


@contextmanager
def _text_file(path: Path) -> Iterator[TextIO]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            yield file
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInputError(f"{path} cannot be read: {reason(error)}") from error


def parquet_rows(
    path: Path, needed: str | None = None, without: str | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and cells by column of each row of a Parquet file, a thousand at a time.

    Raises:
        InvalidInputError: it cannot be read, has no column ``needed``, or two columns of one name.
    """
    with parquet_file(path) as file:
        columns = file.schema_arrow.names
        if needed is not None and needed not in columns:
            raise InvalidInputError(f"{path} has no column {needed!r}")
        _check_columns(path, columns)
        names = [name for name in columns if name != without]
        number = 0
        for batch in file.iter_batches(_ROWS, columns=names):
            for cells in batch.to_pylist():
                number += 1
                yield number, {name: _plain(cell) for name, cell in cells.items()}


def _plain(cell: Any) -> Any:
    """A cell as JSON has it: times as ISO 8601, exact numbers as they are written."""
    if isinstance(cell, date | time):
        return cell.isoformat()
    return str(cell) if isinstance(cell, Decimal) else cell


def load_parquet() -> Any:
    """The module ``pyarrow.parquet``.

    Raises:
        InvalidInputError: it is not installed.
    """
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise InvalidInputError(
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
        raise InvalidInputError(f"{path} cannot be read: {reason(error)}") from error

"""Rows of an Excel workbook (.xlsx), by openpyxl, one at a time."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from emotion_search.index.errors import UnusableError

_DAMAGE = (BadZipFile, zlib.error, EOFError, KeyError, TypeError, ValueError, SyntaxError)


def sheets(path: Path) -> Iterator[Iterator[tuple[int, list[Any]]]]:
    """The visible sheets of a workbook, each as row numbers and cells of its rows that are not
    empty; cells are as a CSV that Excel exports has them, but for dates, which are ISO 8601, and
    durations, which are seconds.

    Raises:
        InvalidInputError: it cannot be read, or openpyxl is not there.
    """
    try:
        from openpyxl import load_workbook
    except ImportError as error:
        raise UnusableError(
            f"{path} is a workbook, which needs openpyxl: pip install 'emotion-search[xlsx]', or"
            " save it as CSV UTF-8"
        ) from error
    warnings.filterwarnings("ignore", category=UserWarning, module="openpyxl")  # of lost styles
    with path.open("rb") as file:  # whatever its name
        try:
            book = load_workbook(file, read_only=True, data_only=True)
        except _DAMAGE as error:
            raise UnusableError(f"{path} is no .xlsx workbook, or a damaged one") from error
        for sheet in book.worksheets:
            if sheet.sheet_state == "visible":
                sheet.reset_dimensions()  # some programs write wrong ones
                yield _rows(sheet, path)


def _rows(sheet: Any, path: Path) -> Iterator[tuple[int, list[Any]]]:
    try:
        for number, row in enumerate(sheet.iter_rows(), start=1):
            cells = [_plain(cell) for cell in row]
            if any(cell is not None for cell in cells):
                yield number, cells
    except _DAMAGE as error:
        raise UnusableError(f"{path} is a damaged workbook ({error})") from error


def plain(value: Any) -> Any:
    """A value as JSON has it: times as ISO 8601, durations in seconds, exact numbers as they are
    written."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def _plain(cell: Any) -> Any:
    value = cell.value
    if isinstance(value, datetime) and value.time() == time() and "h" not in cell.number_format:
        return value.date().isoformat()
    if isinstance(value, int | float) and not isinstance(value, bool) and "%" in cell.number_format:
        return f"{100 * value:.12g}%"
    return None if cell.data_type == "e" else plain(value)

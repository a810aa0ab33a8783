"""Tables: what is written is read back, and is no formula to a spreadsheet."""

import csv
import io
from pathlib import Path

import pytest

from emotion_search.engine.files.tables import CsvWriter, csv_rows, valid_rows
from emotion_search.index.errors import InvalidInputError

FORMULAS = ["=1+1", "+a", "-a", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''-a"]
PLAIN = ["a=1", "'a", "", "'", "-0.5", "+3", "1e-5", "-inf"]


def written(*cells: object, raw: bool = False) -> str:
    out = io.StringIO(newline="")
    CsvWriter(out, raw=raw).row(cells)
    return out.getvalue()


def test_texts_that_begin_as_formulas_do_are_quoted_and_read_back(tmp_path: Path):
    cells = [*FORMULAS, *PLAIN]
    table = written(*(f"column{number}" for number in range(len(cells)))) + written(*cells)
    shown = list(csv.reader(io.StringIO(table, newline="")))[1]
    assert shown == [*(f"'{text}" for text in FORMULAS), *PLAIN]
    path = tmp_path / "x.csv"
    path.write_text(table, encoding="utf-8", newline="")
    assert list(next(csv_rows(path))[1].values()) == cells


@pytest.mark.parametrize("before", ["", "sep=;\n", "SEP=;\r\n\r\n"])
def test_a_header_as_short_as_a_line_that_names_the_separator_is_a_header(
    tmp_path: Path, before: str
):
    (tmp_path / "x.csv").write_text(f"{before}a;b;c\n1;2;3\n", newline="")
    row = 2 + len(before.splitlines())
    assert list(csv_rows(tmp_path / "x.csv")) == [(row, {"a": "1", "b": "2", "c": "3"})]


def test_a_row_that_is_wrong_is_named_by_its_line(tmp_path: Path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n1,2,3\n")
    rows = valid_rows(tmp_path / "x.csv", csv_rows(tmp_path / "x.csv"))
    assert next(rows) == (2, {"a": "1", "b": "2"})
    with pytest.raises(InvalidInputError, match=r"x\.csv: line 3: .*more cells than columns"):
        next(rows)


@pytest.mark.parametrize("number", [-1, -0.5, None])
def test_numbers_are_left_alone(number: float | None):
    assert written(number) == written(number, raw=True)


def test_the_raw_form_has_texts_as_they_are():
    assert written("=1+1", raw=True) == "=1+1\n"

"""Tables: what is written is read back, and is no formula to a spreadsheet."""

import csv
import io
from pathlib import Path

import pytest

from emotion_search.engine.files.tables import CsvWriter, csv_rows

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


@pytest.mark.parametrize("number", [-1, -0.5, None])
def test_numbers_are_left_alone(number: float | None):
    assert written(number) == written(number, raw=True)


def test_the_raw_form_has_texts_as_they_are():
    assert written("=1+1", raw=True) == "=1+1\n"

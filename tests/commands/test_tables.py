"""Tables and numbers as a person reads them, on terminals of any width and through pipes."""

import pytest

from emotion_search.engine.commands.show.tables import PlainTable, print_row
from emotion_search.engine.commands.words import counted, length

PATH = "/archives/support/recorded/calls/2026/interview-07.flac"


@pytest.fixture
def lines(monkeypatch, capsys):
    """Prints a table of hits on a terminal of so many columns, or through a pipe; its lines."""

    def lines(width: int | None) -> list[str]:
        monkeypatch.delenv("COLUMNS", raising=False)
        if width is not None:
            monkeypatch.setenv("COLUMNS", str(width))
        table = PlainTable()
        table.column("clip", justify="right", no_wrap=True)
        table.column("emotion", no_wrap=True)
        table.column("source", overflow="ellipsis", spare=True)
        table.column("file")
        table.column("why")
        table.row("7", "uncertain 0.33", "support-2026-winter", PATH, "not sure of it")
        table.print()
        return [line.rstrip() for line in capsys.readouterr().out.splitlines()]

    return lines


def test_through_a_pipe_rows_are_whole_lines(lines):
    assert lines(None)[1:] == [f"   7  uncertain 0.33  support-2026-winter  {PATH}  not sure of it"]


def test_at_80_columns_a_path_shows_its_end(lines):
    row = lines(80)[1]
    assert len(row) <= 80
    assert "…" in row
    assert "interview-07.flac" in row
    assert "uncertain 0.33" in row


def test_what_is_spare_goes_before_anything_else_suffers(lines):
    head, row, *more = lines(46)
    assert "source" not in head
    assert "iew-07.flac" in row
    assert len(more) == 1  # `why` wraps
    assert max(map(len, (head, row, *more))) <= 46


def test_where_nothing_fits_each_cell_has_a_line(lines):
    expected = ["clip     7", "emotion  uncertain 0.33", "source   support-2026-winter"]
    assert lines(30)[:3] == expected


def test_long_texts_wrap_beside_their_name(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "40")
    print_row("labels", "anger 12, happiness 3, sadness 19", 12)
    assert capsys.readouterr().out == "labels      anger 12, happiness 3,\n            sadness 19\n"


def test_numbers_in_words():
    assert [counted(n, "clip") for n in (0, 1, 2, 12000)] == [
        "0 clips",
        "1 clip",
        "2 clips",
        "12,000 clips",
    ]
    assert counted(2, "query") == "2 queries"
    assert [length(s) for s in (4.94, 59.96, 324, 3599.9, 7500)] == [
        "4.9 s",
        "1 min 00 s",
        "5 min 24 s",
        "1 h 00 min",
        "2 h 05 min",
    ]

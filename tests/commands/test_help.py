"""What help says of a command, and what is said of one that there is not."""

import re

import pytest

from tests.commands.test_cli import run

__all__ = ["run"]


def section(text: str, title: str) -> str:
    return text.split(f"\n{title}:\n")[1].split("\n\n")[0]


def test_filters_and_shared_options_have_sections_and_types_are_words(run):
    text = run("search", "--help").out
    assert re.search(r"--clip N ", section(text, "Options"))
    assert re.search(r"--source TEXT .*\n(.*\n)*.*--after TIME ", section(text, "Filters"))
    assert "--source" not in section(text, "Options")
    assert "--home TEXT" in section(text, "Archive and output")
    assert "FILE" in section(text, "Arguments")
    for command in ("search", "forget", "label", "index verify", "trend", "jobs show"):
        assert not re.search(
            r"<\w+|list\[|9223372036854775807", run(*command.split(), "--help").out
        )


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("serch", "search"),
        ("index verfy", "verify"),
        ("search --lmit 3", "--limit"),
        ("cluster moods", "did you mean --name?"),
        ("map map.html", "did you mean --html?"),
        ("train satisfaction", "did you mean --task?"),
        ("export features", "Missing option '--output'"),
        ("show 1 2", "extra argument(s) (2) (see"),
        ("status now", "extra argument(s) (now) (see"),
    ],
)
def test_a_misspelt_command_or_option_is_answered_with_the_nearest(run, words, meant):
    done = run(*words.split())
    assert (done.code, meant in done.err, done.err.count("\n")) == (2, True, 1)


@pytest.mark.parametrize("group", ["", "index", "key", "jobs", "models", "config"])
def test_what_a_command_does_is_said_in_a_line_of_80_columns(run, monkeypatch, group):
    monkeypatch.setenv("COLUMNS", "80")
    lines = run(*group.split(), "--help").out.splitlines()
    assert [line for line in lines[1:] if "..." in line or len(line) > 80] == []

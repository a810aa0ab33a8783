"""The commands in the documentation are understood, with their options and arguments."""

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from typer.core import TyperCommand

from emotion_search import cli
from tests.conftest import ROOT
from tests.test_docs import PAGES

BLOCK = re.compile(r"^```(?:sh|console)\n(.*?)^```", re.S | re.M)
COMMAND = re.compile(r"(?:^|(?:\||&&) )(?:\$ )?emotion-search ([a-z].*?)(?= && | \|\|? |$)", re.M)
COMMANDS = {
    str(page.relative_to(ROOT)): [
        line
        for block in BLOCK.findall(page.read_text(encoding="utf-8"))
        for line in COMMAND.findall(re.sub(r"\$\(.*?\)", "today", block.replace("\\\n", "")))
    ]
    for page in PAGES
}


def test_commands_are_found():
    assert sum(map(len, COMMANDS.values())) > 100


@pytest.mark.parametrize("page", [page for page, lines in COMMANDS.items() if lines])
def test_commands_are_understood(page: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(TyperCommand, "invoke", lambda *_: None)
    for line in COMMANDS[page]:
        cli.app(shlex.split(line, comments=True), standalone_mode=False)  # raises if it is not


@pytest.mark.slow
def test_the_readmes_commands_work_one_after_another(
    emodb: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in [one for one in os.environ if one.startswith("EMOTION_SEARCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("EMOTION_SEARCH_HOME", str(tmp_path / "archive"))
    monkeypatch.setenv("EMOTION_SEARCH_MODEL", "acoustic")  # others are downloaded
    monkeypatch.chdir(tmp_path)
    head, *rows = (emodb / "labels.csv").read_text().splitlines()
    for folder, some in {"calls": rows[:45], "corpus": rows[45::5]}.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "labels.csv").write_text("\n".join([head, *some]))
        for name in (row.split(",")[0] for row in some):
            shutil.copy(emodb / name, tmp_path / folder)
    shutil.copy(emodb / rows[45].split(",")[0], "angry.wav")
    done = 0
    for line in COMMANDS["README.md"]:
        words = shlex.split(line.replace("~", str(tmp_path)), comments=True)
        if words[0] not in ("demo", "serve"):
            monkeypatch.setattr(sys, "argv", ["emotion-search", *words])
            with pytest.raises(SystemExit) as stop:
                cli.main()
            assert stop.value.code == 0, line
            done += 1
    assert done >= 6

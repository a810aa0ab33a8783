"""The commands and the Python of the pages that walk through a task run as they stand, in order."""

import os
import re
import shlex
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from emotion_search import cli
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.S | re.M)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, without settings, nor a width of lines: xdist sets one."""
    for name in [one for one in os.environ if one.startswith(("EMOTION_SEARCH_", "COLUMNS"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PWD", str(tmp_path))
    return tmp_path


@pytest.fixture
def walk(monkeypatch: pytest.MonkeyPatch):
    """Runs every block of a page, but for `serve`; how many commands there were."""

    def run(line: str) -> bool:
        words = [os.path.expandvars(word) for word in shlex.split(line, comments=True)]
        if words[:1] == ["export"]:
            monkeypatch.setenv(*words[1].split("=", 1))
        elif words[:1] != ["emotion-search"]:
            subprocess.run(line, shell=True, check=True)
        elif words[1] != "serve":
            monkeypatch.setattr(sys, "argv", words)
            with pytest.raises(SystemExit) as stop:
                cli.main()
            assert stop.value.code == (3 if "--alert" in words else 0), line
            return True
        return False

    def walk(page: str) -> int:
        commands = 0
        for kind, block in BLOCK.findall((ROOT / "docs" / page).read_text(encoding="utf-8")):
            if kind == "python":
                exec(compile(block, page, "exec"), {"__name__": page})
            else:
                commands += sum(run(line) for line in block.replace("\\\n", "").splitlines())
        return commands

    return walk


def test_a_call_centre_and_its_privacy(walk, place: Path, capsys):
    assert walk("call-centre.md") == 8
    assert {"call.html", "weeks.html"} <= {path.name for path in place.iterdir()}
    shown = capsys.readouterr().out
    assert "6 recordings (30 clips" in shown
    hits = [line.split()[-2] for line in shown.split("cosine  perc.")[1].splitlines()[1:3]]
    assert {*hits} == {"calls/call-3.wav", "calls/call-5.wav"}
    assert walk("privacy.md") == 4
    assert "6 recordings would be forgotten" in capsys.readouterr().out


def test_a_corpus(walk, place: Path, capsys):
    assert walk("corpus.md") == 11
    assert {"report.html", "map.html", "features"} <= {path.name for path in place.iterdir()}
    assert "56 clips by 7 speakers" in capsys.readouterr().out


def test_the_seven_uses_print_what_their_page_shows(walk, place: Path, emodb: Path, capsys):
    (place / "corpus").symlink_to(emodb)
    assert walk("uses.md") == 16
    printed = [parsed(line) for stream in capsys.readouterr() for line in stream.splitlines()]
    shown = re.findall(r"^```text\n(.*?)^```", (ROOT / "docs" / "uses.md").read_text(), re.S | re.M)
    lines = [line for block in shown for line in block.splitlines()]
    assert len(lines) > 20
    other = [line for line in lines if not any(alike(parsed(line), one) for one in printed)]
    assert not other, other


def parsed(line: str) -> tuple[str, list[float]]:
    """The words of a line and its numbers, but for how long something took."""
    line = re.sub(r"in (\d+ min )?[\d.]+ s;|[\d.]+ +<- taken", "", " ".join(line.split()))
    return NUMBER.sub("0", line), [float(one) for one in NUMBER.findall(line)]


def alike(one: tuple[str, list[float]], other: tuple[str, list[float]]) -> bool:
    """Whether words are the same, and numbers but for 5 % or 0.02: another machine may round
    otherwise."""
    return one[0] == other[0] and one[1] == pytest.approx(other[1], rel=0.05, abs=0.02)


def test_an_upgrade_of_an_archive_that_0_1_0_wrote(walk, place: Path, capsys):
    with tarfile.open(ROOT / "tests" / "data" / "archive-0.1.0.tar.xz") as packed:
        packed.extractall(place, filter="data")
    assert walk("upgrade.md") == 4
    shown = capsys.readouterr().out
    assert "is at version" in shown
    assert re.search(r"^recordings +63$", shown, re.M)
    assert "no damage" in shown

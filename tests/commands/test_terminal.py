"""What a terminal gets to see: names are shown, never obeyed; errors are one line."""

import subprocess
import sys
from pathlib import Path

import pytest

from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.commands.show.terminal import console, plain_streams, shown
from tests.commands.test_cli import ROOT, ingest, manifest, run
from tests.conftest import write_wav

__all__ = ["manifest", "run"]

EVIL = "\x1b]0;owned\x07\x1b[2Jx\x9b31m\u202egnp"
COMMANDS = [
    "status",
    "search --clip 1",
    "search --clip 1 --json",
    "trend 1",
    "failures",
    "failures --json",
    "suggest --task emotion",
    "trend --by week",
    "search --clip 1 --source EVIL",
    "search --clip 1 --cluster EVIL",
    "search EVIL",
    "use EVIL",
    "key revoke EVIL",
    "EVIL",
    "search --EVIL",
    "key list",
    "search --limit EVIL",
    "label --from EVIL",
    "status --home EVIL",
    "predict EVIL",
]


def test_control_characters_of_names_reach_no_terminal(
    run, manifest: Path, tmp_path: Path, monkeypatch
):
    ingest(run, manifest)
    monkeypatch.chdir(tmp_path)
    path = write_wav(tmp_path / f"{EVIL}.wav", speak("anger", speaker=77, seed=5))
    broken = tmp_path / f"broken{EVIL}.wav"
    broken.write_text("no audio")
    table = tmp_path / "x.csv"
    table.write_text(f"path,label,speaker,source,k{EVIL}\n{path}{f',{EVIL}' * 4}\n")
    run("ingest", "--manifest", table)
    run("ingest", broken)
    run("key", "create", "--name", EVIL)
    seen = ""
    for command in COMMANDS:
        done = run(*command.replace("EVIL", EVIL).split(" "))
        assert done.out + done.err, command
        seen += done.out + done.err
    assert not {char for char in seen if shown(char) != char}
    assert seen.count(r"\u001b[2Jx") > 15  # shown, not left out
    hits = run("search", "--clip", 2, "-k", 50, "--json").records
    assert EVIL in {hit["label"] for hit in hits}


def test_a_tables_cells_and_ours_are_told_apart(capsys: pytest.CaptureFixture[str]):
    with plain_streams():
        print("a\x1bb")
        console().file.write("\x1b[1mours")
    assert capsys.readouterr().out == "a\\u001bb\n\x1b[1mours"
    assert shown("x\n\ty – 中 é ‏") == "x\n\ty – 中 é ‏"


def test_streams_are_as_they_were_afterwards():
    before = sys.stdout
    with plain_streams():
        assert sys.stdout is not before
    assert sys.stdout is before


def test_a_closed_stdout_is_no_traceback(tmp_path):
    script = 'exec "$0" -m emotion_search.cli config show --home "$1" >&-'
    command = ["sh", "-c", script, sys.executable, str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")

"""A disk that is full or fails at any call: one line tells it, and the next run finishes."""

import errno
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.audio.workers import Decoders
from tests.conftest import ROOT, write_wav
from tests.power import UNREADABLE, fail, recorded, usable

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not usable(), reason="needs FUSE: libfuse3, fusermount3, mfusepy"),
]


@pytest.fixture
def mount(tmp_path: Path):
    folder, backing = tmp_path / "mount", tmp_path / "backing"
    folder.mkdir()
    backing.mkdir()
    with recorded(folder, backing, tmp_path / "record"):
        yield folder


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "cli.py"), *arguments, "--home", str(home)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(600)
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_whichever_call_fails_nothing_is_lost(mount: Path, tmp_path: Path, error: int):
    for i in range(2):
        write_wav(tmp_path / "audio" / f"{i}.wav", speak("anger", speaker=i, seed=i))
    home, rng = mount / "home", random.Random(error)
    ingest = ("ingest", str(tmp_path / "audio"), "--model", "acoustic")
    calls = sorted(rng.sample(range(1, 120), 4))
    for number, after in enumerate(calls):
        if number == len(calls) // 2:  # from here on the archive is there, and has other work
            assert run(home, *ingest).returncode == 0
        fail(mount, error, after)
        commands = [ingest] if number < len(calls) // 2 else [("index", "rebuild"), ("check",)]
        for command in commands:
            done = run(home, *command)
            assert "Traceback" not in done.stderr, (after, done.stderr)
            errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
            assert len(errors) == (done.returncode != 0), (after, done.stderr)
        fail(mount, 0, 0)
        if number < len(calls) // 2 and (home / "archive.db").exists():
            assert run(home, *ingest).returncode == 0
            status = json.loads(run(home, "status", "--json").stdout)
            assert status["recordings"] == 2
            (home / "archive.db").unlink()
    checked = run(home, "check")
    assert checked.returncode == 0, checked.stdout
    assert json.loads(run(home, "status", "--json").stdout)["recordings"] == 2


def test_audio_that_the_disk_does_not_give_is_not_called_corrupt(mount: Path):
    path = write_wav(mount / f"{UNREADABLE}.wav", speak("anger", speaker=1, seed=1, seconds=4.0))
    decoders = Decoders()
    with pytest.raises(OSError, match="Input/output error"):
        list(decoders.read(path, [None], "0" * 64))
    decoders.close()
    (mount / "home").mkdir()
    done = run(mount / "home", "ingest", str(path), "--model", "acoustic")
    assert done.returncode == 1
    assert "cannot be read (Input/output error)" in done.stdout + done.stderr

"""Ways into an archive and out of it, as a user meets them on the command line."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from engine.naming import Naming
from index.errors import InvalidInputError
from tests.conftest import tone, write_wav
from tests.test_cli import ROOT, run  # noqa: F401 - a fixture


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    for i in range(6):
        folder = tmp_path / "calls" / ("anger" if i % 2 else "neutral")
        write_wav(folder / f"{i}.wav", tone(0.5, 200 + 50 * i))
    return tmp_path / "calls"


def ingest(run, *arguments: object):  # noqa: F811
    return run("ingest", *arguments, "--model", "acoustic", "--json")


def test_a_dry_run_counts_and_writes_nothing(run, calls: Path, tmp_path: Path):  # noqa: F811
    (calls / "text.wav").write_text("no audio")
    shown = run("ingest", calls, "--model", "acoustic", "--dry-run", "--json")
    record = shown.records[0]
    assert (record["files"], record["new"], record["known"], record["unusable"]) == (7, 6, 0, 1)
    assert record["duration"] == pytest.approx(3.0)
    assert record["estimated_seconds"] >= 0
    assert not (tmp_path / "home" / "archive.db").exists()
    (calls / "text.wav").unlink()
    ingest(run, calls)
    assert run("ingest", calls, "--dry-run", "--json").records[0]["known"] == 6


def test_a_limit_takes_so_many_new_files(run, calls: Path):  # noqa: F811
    assert ingest(run, calls, "--limit", 2).records[0]["recordings"] == 2
    second = ingest(run, calls, "--limit", 3).records[0]
    assert (second["known"], second["recordings"]) == (2, 3)


def test_paths_come_on_standard_input(run, calls: Path, monkeypatch):  # noqa: F811
    import io

    paths = [str(calls / "anger" / "1.wav"), str(calls / "gone.wav"), str(calls / "neutral")]
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(paths) + "\n"))
    done = ingest(run, "-")
    assert done.code == 1
    assert (done.records[0]["recordings"], done.records[0]["failed"]) == (4, 1)
    assert "gone.wav: no such file" in done.err


def test_labels_are_read_off_paths(run, calls: Path):  # noqa: F811
    ingest(run, calls, "--label-from", "parent-folder")
    assert run("status", "--json").records[0]["labels"] == {"anger": 3, "neutral": 3}


def test_expressions_name_what_paths_say():
    said = Naming(r"(?P<speaker>s\d+)-(?P<label>[a-z]+)-(?P<source>\w+)\.wav")(
        "/x/s12-anger-desk.wav"
    )
    assert (said.speaker, said.source, said.labels) == ("s12", "desk", {"emotion": "anger"})
    assert Naming(r"_([a-z]+)\.")("/x/1_fear.wav").labels == {"emotion": "fear"}
    assert Naming(r"(?P<speaker>s\d+)")("/x/s1.wav").labels == {}
    assert Naming(r"_([a-z]+)\.")("/x/1.wav").labels == {}
    for wrong in ("(", "abc"):
        with pytest.raises(InvalidInputError, match="--label-from"):
            Naming(wrong)


def test_failed_files_are_tried_again(run, calls: Path):  # noqa: F811
    bad = calls / "bad.wav"
    bad.write_text("not yet")
    assert ingest(run, calls).code == 1
    write_wav(bad, tone(1.0, 500))
    again = ingest(run, "--retry-failed")
    assert (again.code, again.records[0]["recordings"]) == (0, 1)
    assert run("failures").out == ""


def test_a_preview_of_what_is_tried_again_counts_it(run, calls: Path):  # noqa: F811
    bad = calls / "bad.wav"
    bad.write_text("not yet")
    ingest(run, calls)
    write_wav(bad, tone(1.0, 500))
    shown = run("ingest", "--retry-failed", "--dry-run", "--json")
    assert (shown.code, shown.records[0]["files"], shown.records[0]["new"]) == (0, 1, 1)
    ingest(run, "--retry-failed")
    nothing = ingest(run, "--retry-failed")
    assert (nothing.code, nothing.records[0]["recordings"]) == (0, 0)


def test_silence_is_counted_apart_and_ends_well(run, tmp_path: Path):  # noqa: F811
    quiet = write_wav(tmp_path / "quiet.wav", np.zeros(20 * 16_000, np.float32))
    first = run("ingest", quiet, "--model", "acoustic")
    assert (first.code, first.err) == (0, "")
    assert "0 failed, 1 without speech" in first.out
    assert "no speech" in run("failures").out
    assert run("failures", "--json").records[0]["kind"] == "silent"
    assert "1 known already" in run("ingest", quiet).out


def test_a_notice_tells_of_other_cuts_and_how_to_get_them(run, tmp_path: Path):  # noqa: F811
    call = write_wav(tmp_path / "call.wav", tone(20.0))
    run("ingest", call, "--model", "acoustic", "--segments", "fixed", "--window", 10)
    kept = run("ingest", call, "--segments", "fixed", "--window", 5)
    assert "1 known recordings are cut under other options" in kept.err
    preview = run("ingest", call, "--segments", "fixed", "--window", 5, "--recut", "--dry-run")
    assert "1 to be cut anew" in preview.out
    done = run("ingest", call, "--segments", "fixed", "--window", 5, "--recut")
    assert "1 cut anew" in done.out
    assert done.err == ""
    assert run("status", "--json").records[0]["clips"] == 4


def test_a_rescan_hashes_what_size_and_time_would_pass(run, calls: Path):  # noqa: F811
    ingest(run, calls)
    path = calls / "neutral" / "0.wav"
    before = path.stat()
    write_wav(path, tone(0.5, 777))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert ingest(run, calls).records[0]["recordings"] == 0
    again = ingest(run, calls, "--rescan").records[0]
    assert (again["recordings"], again["known"], again["duplicates"]) == (1, 5, 0)


def test_the_files_own_time_may_tell_when_it_was(run, calls: Path):  # noqa: F811
    path = calls / "neutral" / "0.wav"
    os.utime(path, (1_600_000_000, 1_600_000_000))
    ingest(run, path, "--time-from", "file")
    ingest(run, calls / "anger")
    (hit,) = run("search", "--clip", 2, "--before", "2020-12-31", "--json").records
    assert hit["recorded_at"] == "2020-09-13T12:26:40+00:00"
    assert hit["metadata"] == {"recorded_at_from": "file"}


def test_clips_are_labelled_corrected_and_unlabelled(run, calls: Path, tmp_path: Path):  # noqa: F811
    ingest(run, calls)
    assert run("label", 1, 2, "--label", "joy").out == "2 clips labelled\n"
    assert run("label", 1, "--label", "grief").code == 0
    assert run("label", 2, "--remove").out == "1 clips unlabelled\n"
    assert run("label", 1, "--task", "satisfaction", "--label", "low").code == 0
    labels = run("search", "--clip", 2, "--label", "grief", "--json").records[0]["labels"]
    assert labels == {"emotion": "grief", "satisfaction": "low"}
    (tmp_path / "l.csv").write_text("clip,label\n3,joy\n4,joy\n1,\n")
    assert run("label", "--from", tmp_path / "l.csv").code == 0
    assert run("status", "--json").records[0]["labels"] == {"joy": 2}
    unknown = run("label", 1, 999, "--label", "joy")
    assert unknown.code == 1
    assert "1 clips are not in this archive: 999" in unknown.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("label", 1),
        ("label", "--label", "x"),
        ("label", 1, "--label", "x", "--remove"),
        ("label", 1, "--label", ""),
        ("forget",),
        ("forget", 1, "--source", "x"),
        ("ingest", "--watch", "--manifest", "m.csv"),
        ("ingest", ".", "--channels", "both"),
        ("ingest", ".", "--segments", "words"),
        ("ingest", ".", "--hop", 2),
        ("ingest", ".", "--time-from", "moon"),
        ("ingest", ".", "--label-from", "("),
    ],
)
def test_misuse_is_one_line_and_exit_code_2(run, arguments):  # noqa: F811
    done = run(*arguments)
    assert done.code == 2
    assert done.out == ""


def test_forgetting_by_filter_counts_first_and_asks(run, calls: Path):  # noqa: F811
    ingest(run, calls / "anger", "--source", "old", "--recorded-at", "2019-05-01")
    ingest(run, calls / "neutral", "--source", "new", "--recorded-at", "2026-05-01")
    assert run("forget", "--source", "old", "--dry-run").out == "3 recordings would be forgotten\n"
    unasked = run("forget", "--before", "2020-01-01")
    assert (unasked.code, unasked.err.count("--yes")) == (2, 1)
    assert run("forget", "--before", "2020-01-01", "--yes").out == "3 recordings forgotten\n"
    assert run("status", "--json").records[0]["sources"] == {"new": 3}
    assert len(run("search", "--clip", 4, "--json").records) == 2


def start(home: Path, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "cli.py"), *map(str, arguments), "--home", str(home)]
    environment = {**os.environ, "EMOTION_SEARCH_WATCH_QUIET": "0.3"}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def test_ctrl_c_finishes_the_batch_and_says_how_to_go_on(tmp_path: Path):
    for i in range(400):
        write_wav(tmp_path / "calls" / f"{i:03}.wav", tone(2.0, 100 + i))
    home = tmp_path / "home"
    process = start(home, "ingest", tmp_path / "calls", "--model", "acoustic", "--json")
    time.sleep(4)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    if process.returncode == 0:
        pytest.skip("this machine was done before it could be interrupted")
    assert process.returncode == 130
    assert "run the same command to go on" in err
    kept = json.loads(out.splitlines()[-1])["recordings"] if out else 0
    again = start(home, "ingest", tmp_path / "calls", "--json")
    out, _ = again.communicate(timeout=120)
    done = json.loads(out)
    assert (done["known"], done["known"] + done["recordings"]) == (kept, 400)


def test_a_watched_folder_takes_what_arrives_once_it_is_whole(tmp_path: Path):
    calls, home = tmp_path / "calls", tmp_path / "home"
    write_wav(calls / "a.wav", tone(0.5))
    process = start(home, "ingest", calls, "--watch", "--model", "acoustic", "--json")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["recordings"] == 1
    time.sleep(1.0)
    whole = write_wav(tmp_path / "b.wav", tone(3.0, 300)).read_bytes()
    with (calls / "b.wav").open("wb") as file:
        for part in (whole[:1000], whole[1000:]):
            file.write(part)
            file.flush()
            time.sleep(0.1)
    assert json.loads(process.stdout.readline()) | {"seconds": 0} == {
        "recordings": 1,
        "clips": 1,
        "known": 0,
        "duplicates": 0,
        "failed": 0,
        "silent": 0,
        "recut": 0,
        "cut_otherwise": 0,
        "duration": 3.0,
        "seconds": 0,
    }
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in err

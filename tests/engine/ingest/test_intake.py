"""Ways into an archive and out of it, as a user meets them on the command line."""

import contextlib
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from emotion_search.engine.files.path_rules import PathRule
from emotion_search.engine.library.library import Library
from emotion_search.index.errors import InvalidInputError
from tests.commands.test_cli import ROOT, run  # noqa: F401 - a fixture
from tests.conftest import tone, write_wav


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
    assert "text.wav: " in shown.err
    assert record["duration"] == pytest.approx(3.0)
    assert record["estimated_seconds"] >= 0
    assert not (tmp_path / "home" / "archive.db").exists()
    (calls / "text.wav").unlink()
    ingest(run, calls)
    assert run("ingest", calls, "--dry-run", "--json").records[0]["known"] == 6


def test_a_dry_run_foresees_limit_missing_files_and_names_that_cannot_be(run, calls: Path):  # noqa: F811
    limited = run("ingest", calls, "--model", "acoustic", "--dry-run", "--limit", 2, "--json")
    assert limited.records[0]["new"] == 2
    (calls / os.fsdecode(b"caf\xe9.wav")).write_bytes(b"x")
    (calls / "m.csv").write_text("path\nanger/1.wav\ngone.wav\n")
    shown = run("ingest", calls, "--model", "acoustic", "--dry-run", "--json")
    assert shown.records[0]["unusable"] == 1
    assert "not valid UTF-8" in shown.err
    rows = run(
        "ingest", "--manifest", calls / "m.csv", "--model", "acoustic", "--dry-run", "--json"
    )
    assert (rows.records[0]["new"], rows.records[0]["unusable"]) == (1, 1)
    assert "m.csv: line 3" in rows.err


def test_a_dry_run_opens_no_file_in_its_own_process(run, calls: Path, monkeypatch):  # noqa: F811
    def fail(*_):
        raise AssertionError("a decoder may crash")

    monkeypatch.setattr("emotion_search.engine.audio.tracks.open_track", fail)
    shown = run("ingest", calls, "--model", "acoustic", "--dry-run", "--json")
    assert shown.records[0]["new"] == 6


def test_a_limit_takes_so_many_new_files(run, calls: Path):  # noqa: F811
    assert ingest(run, calls, "--limit", 2).records[0]["recordings"] == 2
    second = ingest(run, calls, "--limit", 3).records[0]
    assert (second["known"], second["recordings"]) == (2, 3)


def test_a_limit_gets_past_files_that_cannot_be_used(run, calls: Path):  # noqa: F811
    for number in range(3):
        (calls / f"a{number}.wav").write_text("no audio")
    for taken in (2, 2, 2):
        done = ingest(run, calls, "--limit", 2).records[0]
        assert (done["recordings"], done["failed"]) == (taken, 3)
    assert run("status", "--json").records[0]["recordings"] == 6


@pytest.fixture
def stdin(monkeypatch):
    """Gives bytes to the program on standard input."""

    def give(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    return give


def test_paths_come_on_standard_input(run, calls: Path, stdin):  # noqa: F811
    paths = [str(calls / "anger" / "1.wav"), str(calls / "gone.wav"), str(calls / "neutral")]
    stdin("\n".join([*paths, ""]).encode())
    done = ingest(run, "-")
    assert done.code == 1
    assert (done.records[0]["recordings"], done.records[0]["failed"]) == (4, 1)
    assert "gone.wav: no such file" in done.err


def test_names_on_standard_input_are_taken_to_the_letter(
    run,  # noqa: F811
    calls: Path,
    stdin,
    monkeypatch,
):
    monkeypatch.chdir(calls)
    write_wav(calls / "~x.wav", tone(0.5, 900))
    write_wav(calls / "a[1].wav", tone(0.5, 950))
    (calls / "dead.wav").symlink_to("nowhere")
    strange = calls / os.fsdecode(b"caf\xe9.wav")
    strange.write_bytes(b"x")
    stdin(b"~x.wav\0a[1].wav\0dead.wav\0caf\xe9.wav\0" + b"y" * 3000)
    done = ingest(run, "-")
    assert (done.code, done.records[0]["recordings"], done.records[0]["failed"]) == (1, 2, 3)
    assert "dead.wav: cannot be read" in done.err
    assert "not valid UTF-8" in done.err


def test_no_path_on_standard_input_is_not_the_whole_manifest(run, calls: Path, stdin, tmp_path):  # noqa: F811
    manifest = tmp_path / "m.csv"
    manifest.write_text(f"path\n{calls}/anger/1.wav\n")
    stdin(b"")
    done = ingest(run, "-", "--manifest", manifest)
    assert done.code == 1
    assert "no audio files in -" in done.err
    assert "no archive at" in run("status").err


def test_an_odd_argument_is_a_failure_of_its_own(run, calls: Path, monkeypatch):  # noqa: F811
    monkeypatch.chdir(calls)
    write_wav(calls / "~x.wav", tone(0.5, 900))
    (calls / "dead.wav").symlink_to("nowhere")
    done = ingest(run, "~x.wav", "dead.wav", "neutral")
    assert (done.code, done.records[0]["recordings"], done.records[0]["failed"]) == (1, 4, 1)
    again = ingest(run, "--retry-failed")
    assert (again.code, again.records[0]["failed"]) == (1, 1)


def test_a_dead_link_in_a_manifest_costs_itself_alone(run, calls: Path):  # noqa: F811
    (calls / "dead.wav").symlink_to("nowhere")
    (calls / "m.csv").write_text("path\ndead.wav\nanger/1.wav\ngone.wav\n")
    done = ingest(run, "--manifest", calls / "m.csv")
    assert (done.code, done.records[0]["recordings"], done.records[0]["failed"]) == (1, 1, 2)
    assert "m.csv: line 4" in done.err


def test_a_path_that_says_no_label_is_a_failure_of_its_own(run, calls: Path):  # noqa: F811
    write_wav(calls / ("l" * 210) / "x.wav", tone(0.5, 900))
    for arguments in (("--dry-run",), ()):
        done = ingest(run, calls, "--label-from", "parent-folder", *arguments)
        assert "label must have 1 to 200 characters, not 210" in done.err
    assert (done.code, done.records[0]["recordings"], done.records[0]["failed"]) == (1, 6, 1)


def test_spans_that_a_recording_does_not_hold_are_failures_of_their_rows(run, calls: Path):  # noqa: F811
    rows = ["path,start,end,label", "anger/1.wav,0.1,0.3,joy", "anger/1.wav,0.2,0.9,fear"]
    (calls / "m.csv").write_text("\n".join(rows) + "\n")
    for known in (0, 1):
        done = ingest(run, "--manifest", calls / "m.csv")
        assert (done.code, done.records[0]["known"], done.records[0]["failed"]) == (1, known, 1)
        (failure,) = run("failures", "--json").records
        assert failure["path"] == f"{calls / 'm.csv'}: line 3"
        assert "no clip from 0.2 to 0.9 s" in failure["reason"]
    assert run("status", "--json").records[0]["labels"] == {"joy": 1}


def test_labels_are_read_off_paths(run, calls: Path):  # noqa: F811
    ingest(run, calls, "--label-from", "parent-folder")
    assert run("status", "--json").records[0]["labels"] == {"anger": 3, "neutral": 3}


def test_expressions_name_what_paths_say():
    annotations = PathRule(r"(?P<speaker>s\d+)-(?P<label>[a-z]+)-(?P<source>\w+)\.wav")(
        "/x/s12-anger-desk.wav"
    )
    assert (annotations.speaker, annotations.source, annotations.labels) == (
        "s12",
        "desk",
        {"emotion": "anger"},
    )
    assert PathRule(r"_([a-z]+)\.")("/x/1_fear.wav").labels == {"emotion": "fear"}
    assert PathRule(r"(?P<speaker>s\d+)")("/x/s1.wav").labels == {}
    assert PathRule(r"_([a-z]+)\.")("/x/1.wav").labels == {}
    for wrong in ("(", "abc"):
        with pytest.raises(InvalidInputError, match="--label-from"):
            PathRule(wrong)


def test_failed_files_are_tried_again(run, calls: Path):  # noqa: F811
    bad = calls / "bad.wav"
    bad.write_text("not yet")
    assert ingest(run, calls).code == 1
    write_wav(bad, tone(1.0, 500))
    again = ingest(run, "--retry-failed")
    assert (again.code, again.records[0]["recordings"]) == (0, 1)
    assert run("failures").out == ""


def test_trying_again_with_a_manifest_takes_no_other_rows(run, calls: Path):  # noqa: F811
    bad = calls / "bad.wav"
    bad.write_text("not yet")
    ingest(run, bad)
    write_wav(bad, tone(1.0, 500))
    (calls / "m.csv").write_text("path,label\nbad.wav,joy\nanger/1.wav,joy\n")
    for expected in (1, 0):
        done = ingest(run, "--retry-failed", "--manifest", calls / "m.csv")
        assert (done.code, done.records[0]["recordings"]) == (0, expected)
    assert run("status", "--json").records[0]["labels"] == {"joy": 1}


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
    assert "1 known recording cut under other options" in kept.err
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
    assert run("label", 2, "--remove").out == "1 clip unlabelled\n"
    assert run("label", 1, "--task", "satisfaction", "--label", "low").code == 0
    labels = run("search", "--clip", 2, "--label", "grief", "--json").records[0]["labels"]
    assert labels == {"emotion": "grief", "satisfaction": "low"}
    (tmp_path / "l.csv").write_text("clip,label\n3,joy\n4,joy\n1,\n")
    table = run("label", "--from", tmp_path / "l.csv")
    assert (table.code, table.out) == (0, "2 clips labelled, 1 clip unlabelled\n")
    assert run("status", "--json").records[0]["labels"] == {"joy": 2}
    unknown = run("label", 1, 999, "--label", "joy")
    assert unknown.code == 1
    assert (unknown.out, unknown.err) == ("", "error: no clip 999 in this archive\n")
    (tmp_path / "l.csv").write_text("clip,label\n1,joy\n998,joy\n999,joy\n")
    some = run("label", "--from", tmp_path / "l.csv")
    assert (some.code, some.err) == (1, "error: no clip 998, 999 in this archive\n")
    assert run("status", "--json").records[0]["labels"] == {"joy": 2}  # none of them was set


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
    assert run("forget", "--source", "old", "--dry-run").out.startswith(
        "3 recordings would be forgotten: 3 clips"
    )
    unasked = run("forget", "--before", "2020-01-01")
    assert (unasked.code, unasked.err.count("--yes")) == (2, 1)
    assert run("forget", "--before", "2020-01-01", "--yes").out == "3 recordings forgotten\n"
    assert run("status", "--json").records[0]["sources"] == {"new": 3}
    assert len(run("search", "--clip", 4, "--json").records) == 2


def start(home: Path, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "cli.py"), *map(str, arguments), "--home", str(home)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def recordings(home: Path) -> int:
    """How many are committed so far."""
    place = f"file:{home}/archive.db?mode=ro"
    with (
        contextlib.suppress(sqlite3.OperationalError),
        contextlib.closing(sqlite3.connect(place, uri=True)) as archive,
    ):
        return int(archive.execute("SELECT COUNT(*) FROM recordings").fetchone()[0])
    return 0


@pytest.mark.slow
def test_ctrl_c_finishes_the_batch_and_says_how_to_go_on(tmp_path: Path):
    for i in range(400):
        write_wav(tmp_path / "calls" / f"{i:03}.wav", tone(2.0, 100 + i))
    home = tmp_path / "home"
    process = start(home, "ingest", tmp_path / "calls", "--model", "acoustic", "--json")
    while process.poll() is None and not recordings(home):
        time.sleep(0.1)
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


@pytest.mark.slow
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
        "mixed": 0,
        "duplicates": 0,
        "failed": 0,
        "forgotten": 0,
        "grown": 0,
        "moved": 0,
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


@pytest.mark.slow
def test_what_arrives_during_the_first_ingest_is_watched_too(run, calls, monkeypatch):  # noqa: F811
    original = Library.ingest

    def slow(library: Library, files, options, **how):
        files = list(files)
        late = calls / "late.wav"
        if late.exists():
            os.kill(os.getpid(), signal.SIGINT)
        else:
            write_wav(late, tone(0.5, 900))
        return original(library, files, options, **{**how, "stop": None})

    monkeypatch.setattr(Library, "ingest", slow)
    first, second = ingest(run, calls, "--watch").records
    assert (first["recordings"], second["recordings"]) == (6, 1)


@pytest.mark.slow
def test_a_watched_folder_may_be_empty_and_takes_folders_that_are_moved_in(tmp_path: Path):
    calls = tmp_path / "calls"
    calls.mkdir()
    write_wav(tmp_path / "batch" / "a.wav", tone(0.5))
    (tmp_path / "batch" / "text.wav").write_text("no audio")
    process = start(tmp_path / "home", "ingest", calls, "--watch", "--model", "acoustic", "--json")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["recordings"] == 0
    (tmp_path / "batch").rename(calls / "batch")
    taken = json.loads(process.stdout.readline())
    assert (taken["recordings"], taken["failed"]) == (1, 1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "text.wav" in err
    assert "Traceback" not in err

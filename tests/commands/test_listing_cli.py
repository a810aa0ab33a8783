"""What is in an archive, listed and shown; clips played and written to files."""

import errno
import sys
from pathlib import Path

import pytest
import soundfile

from emotion_search.engine.files import atomic
from emotion_search.engine.settings import Settings
from tests.commands.test_cli import run
from tests.conftest import tone, write_wav
from tests.templates import Template

__all__ = ["run"]  # a fixture


@pytest.fixture
def archive(run, tmp_path: Path, voices_archive: Template):
    voices_archive.place(Settings(home=tmp_path / "home", model="acoustic"))
    return run


def test_recordings_are_listed_in_the_order_asked_for(archive):
    newest = archive("list", "recordings", "--label", "anger", "--sort", "recorded_at", "--json")
    assert [one["recorded_at"][:7] for one in newest.records] == ["2026-03", "2026-02", "2026-01"]
    oldest = archive("list", "recordings", "--sort", "recorded_at", "--order", "asc", "-k", 2)
    assert [line.split()[-1] for line in oldest.out.splitlines()] == [
        "file",
        "anger-0.wav",
        "happiness-0.wav",
    ]
    assert "--limit 0 lists all" in oldest.err
    by_share = ["list", "recordings", "--emotion", "angry", "--sort", "share"]
    angry = archive(*by_share, "--json").records
    assert {one["share"] for one in angry} == {1.0}
    head, row = archive(*by_share).out.splitlines()[:2]
    assert ("share" in head, "100%" in row) == (True, True)
    clips = archive("list", "clips", "--emotion", "angry", "--json", "--limit", 10**20).records
    assert [one["recording"] for one in angry] == [one["recording"] for one in clips]
    assert len(archive("list", "recordings", "--limit", 0, "--json").records) == 12
    assert archive("list", "recordings", "-k", 12).err == ""


def test_clips_are_listed_by_id_or_by_the_score_of_an_emotion(archive):
    by_id = archive("list", "clips", "--source", "field", "--json").records
    assert [one["clip"] for one in by_id] == sorted(one["clip"] for one in by_id)
    assert {one["source"] for one in by_id} == {"field"}
    sad = archive("list", "clips", "--sort", "sadness", "-k", 12, "--json").records
    assert sad == sorted(sad, key=lambda one: -one["scores"]["sad"])
    assert archive("list", "clips", "--sort", "sad", "-k", 3).out.startswith(" sad")


@pytest.mark.parametrize(
    ("what", "filters", "rows"),
    [
        ("sources", [], [("field", 6, 6), ("studio", 6, 6)]),
        ("sources", ["--label", "anger"], [("studio", 3, 3)]),
        ("speakers", ["--source", "field"], [(f"voice{i}", 2, 2) for i in range(3)]),
        (
            "labels",
            ["--speaker", "voice1", "--source", "studio"],
            [("anger", 1, 1), ("neutral", 1, 1)],
        ),
        ("labels", ["--label", "anger", "--source", "field"], []),
        ("tasks", [], [("emotion", 12)]),
    ],
)
def test_values_are_counted_among_the_clips_that_pass(archive, what, filters, rows):
    listed = archive("list", what, *filters, "--json").records
    assert [tuple(one.values()) for one in listed] == rows
    shown = archive("list", what, *filters)
    assert shown.err == ("" if rows else f"notice: no {what} match\n")
    assert all(row[0] in shown.out for row in rows)


def test_labels_of_a_task_that_nobody_used_are_an_error(archive):
    done = archive("list", "labels", "--task", "emotoin")
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "error: no clip has a label under the task emotoin; did you mean emotion?\n"
    )


def test_a_limit_holds_for_speakers_and_sources_too(archive):
    done = archive("list", "speakers", "--limit", 1)
    assert len(done.out.splitlines()) == 2
    assert done.err == "notice: these are the first 1; --limit 0 lists all\n"


@pytest.mark.parametrize(
    "arguments", [["list", "clips"], ["list", "speakers"], ["search", "--clip", 1]]
)
def test_an_order_without_anything_to_sort_by_is_misuse(archive, arguments):
    done = archive(*arguments, "--order", "asc")
    assert (done.code, done.out, done.err) == (2, "", "error: --order goes with --sort\n")


def test_a_wav_is_not_written_under_the_name_of_another_format(archive, tmp_path):
    done = archive("extract", 1, "--output", tmp_path / "clip.mp3")
    assert (done.code, "clip.wav" in done.err) == (2, True)
    assert not (tmp_path / "clip.mp3").exists()


def test_an_export_does_not_become_a_file_of_the_name_of_stdout(archive, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = archive("export", "--output", "-", "--format", "jsonl")
    assert (done.code, done.err[:36]) == (2, "error: an export is a file or folder")
    assert not (tmp_path / "-").exists()


def test_a_clip_is_shown_with_its_neighbours_on_its_channel(
    run, tmp_path: Path, fixed_windows, monkeypatch
):
    stereo = tone(3.0)[:, None].repeat(2, axis=1)
    call = write_wav(tmp_path / "calls" / "call.wav", stereo)
    given = ["--channels", "agent=0,customer=1", "--window", 1, "--label", "calm"]
    assert run("ingest", call.parent, "--model", "acoustic", *given).code == 0
    clips = run("list", "clips", "--channel", "customer", "--json").records

    first, second = (run("show", one["clip"], "--json").records[0] for one in clips[:2])

    assert (first["before"], first["after"]) == (None, clips[1]["clip"])
    assert (second["before"], second["after"]) == (clips[0]["clip"], clips[2]["clip"])
    assert second["paths"] == [str(call)]
    shown = run("show", clips[1]["clip"]).out
    assert "0:01.00–0:02.00 (1.00 s)" in shown
    assert f"before       clip {clips[0]['clip']}, 0:00.00–0:01.00" in shown
    assert "channel      1 (customer)" in shown
    monkeypatch.setenv("COLUMNS", "80")
    narrow = run("show", clips[1]["clip"]).out.replace(str(call), "")
    assert max(map(len, narrow.splitlines())) <= 80
    whole = run("show", "--recording", 1)
    assert f"path         {call}" in whole.out
    (record,) = run("show", "--recording", 1, "--json").records
    assert len(record["clips"]) == record["labels"]["emotion"]["calm"] == 6


def test_a_clip_is_written_whole_and_over_nothing(archive, voices: Path, tmp_path: Path):
    file = tmp_path / "clip.wav"
    assert archive("extract", 2, "--output", file).out == f"{file}: 1.00 s at 16000 Hz\n"
    name = archive("show", 2, "--json").records[0]["paths"][0]
    written, rate = soundfile.read(file, dtype="int16")
    assert rate == 16_000
    assert written.tolist() == soundfile.read(name, dtype="int16")[0].tolist()
    before = file.read_bytes()
    assert archive("extract", 3, "-o", file).code == 1
    assert file.read_bytes() == before
    stretch = ["--recording", 2, "--start", 0.25, "--end", 0.5]
    assert archive("extract", *stretch, "-o", file, "--overwrite").code == 0
    assert soundfile.read(file, dtype="int16")[0].tolist() == written[4000:8000].tolist()
    assert [one.name for one in tmp_path.glob("clip.wav*")] == ["clip.wav"]
    beyond = archive("extract", "--recording", 2, "--end", 9, "-o", tmp_path / "b.wav")
    assert beyond.err == "notice: the recording ends at 1.00 s\n"


def test_a_target_that_the_system_refuses_is_named_with_the_reason(archive, tmp_path, monkeypatch):
    def full(partial: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic, "publish", full)
    file = tmp_path / "clip.wav"
    assert archive("extract", 2, "-o", file).err == f"error: No space left on device: {file}\n"
    assert list(tmp_path.glob("*clip.wav*")) == []
    folder = archive("extract", 2, "-o", tmp_path)
    assert folder.err == f"error: {tmp_path} cannot be written: it is a folder\n"
    monkeypatch.setattr("os.access", lambda *_: False)
    read_only = archive("extract", 2, "-o", file).err
    assert read_only == f"error: {file} cannot be written: read-only, or no permission\n"


def test_a_clip_is_played_by_what_there_is(archive, tmp_path: Path, monkeypatch):
    player = tmp_path / "bin" / "ffplay"
    player.parent.mkdir()
    monkeypatch.setenv("PATH", str(player.parent))
    monkeypatch.setitem(sys.modules, "sounddevice", None)  # cannot be imported
    assert "install FFmpeg" in archive("play", 2).err
    player.write_text(f"#!{sys.executable}\nimport sys\nopen({str(tmp_path / 'played')!r}, 'wb')"
                      ".write(sys.stdin.buffer.read())\n")  # fmt: skip
    player.chmod(0o700)
    assert archive("play", 2).code == 0
    archive("extract", 2, "-o", tmp_path / "clip.wav")
    assert (tmp_path / "played").read_bytes() == (tmp_path / "clip.wav").read_bytes()
    player.write_text(f"#!{sys.executable}\nimport sys\nsys.exit('audio open failed')\n")
    assert "extract ID" in archive("play", 2).err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["show"], 2),
        (["show", 1, "--recording", 1], 2),
        (["show", 99], 1),
        (["play", "--recording", 99], 1),
        (["extract", 1, "--start", 0.5, "--output", "x.wav"], 2),
        (["extract", 1, "--output", "none/x.wav"], 1),
        (["list", "zorn"], 2),
        (["list", "tasks", "--sort", "name"], 2),
        (["list", "recordings", "--sort", "angry"], 2),
        (["list", "recordings", "--sort", "share", "--order", "asc"], 2),
        (["open", 1, "--address", "http://127.0.0.1:9"], 1),
    ],
)
def test_misuse_is_one_clear_error(archive, arguments, code):
    ran = archive(*arguments)
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith("error: ")
    assert ran.err.count("\n") == 1

"""Predictions, trends, export and import, as a user of the command line meets them."""

import csv
import io
import json
import shutil
import sys
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import soundfile

from emotion_search.engine.library.library import Library
from emotion_search.engine.pages.page import require_png, write_png
from emotion_search.index.errors import EmotionSearchError
from emotion_search.index.vectors.space import Method
from tests.commands.test_cli import ingest, manifest, run
from tests.conftest import tone, write_wav

__all__ = ["manifest", "run"]  # fixtures


def test_predict_reads_a_list_and_goes_on_past_a_bad_file(run, voices, tmp_path, monkeypatch):
    bad = tmp_path / "bad.wav"
    bad.write_text("no audio")
    files = [voices / "anger-0.wav", bad, voices / "sadness-0.wav"]
    monkeypatch.setattr(
        sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join(map(str, files)).encode()))
    )
    done = run("predict", "-", "--model", "acoustic", "--json")
    assert done.code == 1
    assert [record["error"] is None for record in done.records] == [True, False, True]
    assert done.records[0]["confidence"] == max(done.records[0]["scores"].values())
    plain = run(
        "predict", files[0], "--model", "acoustic", "--granularity", "window", "--window", 0.5
    )
    assert len(plain.out.splitlines()) == 3
    assert [record["adapted"] for record in done.records] == ["none", None, "none"]
    assert "notice: scores are unadapted, files: 2" in done.err
    named = run("predict", files[0], "--model", "acoustic", "--speaker", "ann")
    assert (named.code, "there is none here" in named.err) == (1, True)
    frames = run("predict", files[0], "--model", "acoustic", "--granularity", "frame")
    assert (frames.code, "another granularity" in frames.err) == (1, True)


def test_predict_says_what_it_made_of_several_channels(run, voices, tmp_path):
    voice = soundfile.read(voices / "anger-0.wav", dtype="float32")[0]
    call = write_wav(tmp_path / "call.wav", np.stack([voice, 0.5 * voice], axis=1))
    turned = write_wav(tmp_path / "turned.wav", np.stack([voice, -voice], axis=1))
    done = run("predict", call, turned, voices / "anger-1.wav", "--model", "acoustic", "--json")
    mixed = f"notice: {call}: its 2 channels are mixed; one side of a call alone is what ingest"
    assert mixed in done.err
    assert f"notice: {turned}: its channels cancel each other out" in done.err
    assert "notices" not in done.records[0]
    assert "mixed" not in run("predict", voices / "anger-1.wav", "--model", "acoustic").err
    out = tmp_path / "out"
    assert mixed in run("embed", call, "--model", "acoustic", "--output-dir", out).err
    assert mixed in run("compare", call, turned, "--model", "acoustic").err
    run("ingest", voices, "--model", "acoustic")
    assert "notice: call.wav: its 2 channels are mixed" in run("search", call).err


def test_predict_and_embed_take_folders(run, voices, tmp_path):
    folder = tmp_path / "some"
    folder.mkdir()
    for name in ("anger-0", "sadness-1"):
        shutil.copy(voices / f"{name}.wav", folder)
    (folder / "notes.txt").write_text("no audio")
    given = (folder, "--model", "acoustic", "--json")
    files = [str(folder / "anger-0.wav"), str(folder / "sadness-1.wav")]
    assert [one["file"] for one in run("predict", *given).records] == files
    done = run("embed", *given, "--output-dir", tmp_path / "out")
    assert [one["file"] for one in done.records] == files
    none = run("predict", tmp_path / "out")
    assert (none.code, none.err) == (1, f"error: {tmp_path / 'out'} holds no audio files\n")


def test_predict_writes_the_files_of_each_clip(run, voices, tmp_path, checkpoint):
    out = tmp_path / "out"
    given = ("predict", voices / "anger-0.wav", "--model", checkpoint, "--output-dir", out)
    assert run(*given, "--granularity", "frame").code == 0
    assert {p.name for p in (out / "anger-0").iterdir()} == {
        "result.json",
        "embedding.npy",
        "scores.npy",
    }
    again = run(*given)
    assert (again.code, "--overwrite" in again.err) == (1, True)
    assert run(*given, "--overwrite").code == 0


def test_trend_of_a_recording(run, manifest: Path, voices, tmp_path):
    ingest(run, manifest)
    shown = run("trend", 1, "--html", tmp_path / "t.html", "--csv", tmp_path / "t.csv")
    assert shown.code == 0
    assert "share of time" in shown.out
    page = (tmp_path / "t.html").read_text()
    assert "Turning points" in page
    assert "https://cdn" not in page.split("</script>", 1)[1]  # nothing is fetched
    rows = list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))
    record = run("trend", voices / "anger-0.wav", "--json").records[0]
    assert [float(row["time"]) for row in rows] == record["points"]["time"]
    top = max(record["share"], key=record["share"].get)
    alarmed = run("trend", 1, "--alert", f"{top}>50%")
    assert (alarmed.code, f"alert {top}>0.5" in alarmed.err) == (3, True)
    assert run("trend", 1, "--alert", f"{top}<0.5").code == 0


def test_trend_over_the_archive(run, manifest: Path, tmp_path, monkeypatch):
    monkeypatch.setenv("EMOTION_SEARCH_MIN_CONFIDENCE", "0")
    ingest(run, manifest)
    done = run("trend", "--by", "week", "--json", "--html", tmp_path / "a.html")
    assert [one["period"] for one in done.records] == ["2026-W01", "2026-W02", "2026-W03"]
    assert sum(one["recordings"] for one in done.records) == 12
    assert "Shares with 95" in (tmp_path / "a.html").read_text()
    only = run("trend", "--by", "day", "--speaker", "voice0", "--csv", "-")
    assert only.out.count("\n") == 1 + 4 * 9  # eight classes, and uncertain
    assert "alert angry>0 in" in run("trend", "--by", "month", "--alert", "anger>0").err
    assert run("trend", "--by", "month", "--alert", "anger>0").code == 3


def test_a_trend_says_whether_no_clip_matches_or_none_has_a_time(run, manifest: Path):
    ingest(run, manifest)
    late = run("trend", "--by", "week", "--after", "2030-01-01")
    assert "no clip matches, so that there is no week" in late.err
    manifest.write_text(manifest.read_text().replace("recorded_at", "when"))
    elsewhere = ("--home", manifest.parent / "undated")
    assert run("ingest", "--manifest", manifest, "--model", "acoustic", *elsewhere).code == 0
    timeless = run("trend", "--by", "week", *elsewhere)
    assert "no clip has a known time and length, so" in timeless.err


def test_what_is_not_sure_enough_is_uncertain(run, manifest: Path, tmp_path, monkeypatch):
    ingest(run, manifest)
    monkeypatch.setenv("EMOTION_SEARCH_MIN_CONFIDENCE", "1")
    assert run("trend", "--by", "month", "--alert", "anger>0").code == 0
    shares = run("trend", "--by", "month", "--html", tmp_path / "a.html").out
    assert "100 [76, 100]" in shares.splitlines()[1]
    assert shares.splitlines()[0].split() == ["month", "rec.", "time", "uncertain"]
    assert "uncertain" in (tmp_path / "a.html").read_text()
    assert run("trend", 1, "--alert", "anger>0", "--html", tmp_path / "t.html").code == 0
    assert "share of time   uncertain 100 %" in run("trend", 1).out
    assert "uncertain (top score below 1)" in (tmp_path / "t.html").read_text()
    hit = run("search", "--clip", 1, "--limit", 1, "--json").records[0]
    assert run("trend", 1, "--json").records[0]["uncertain"] == 1
    monkeypatch.setenv("COLUMNS", "200")
    hit_line = run("search", "--clip", 1, "--limit", 1).out.splitlines()[1]
    assert f"uncertain {hit['confidence']:.2f}" in hit_line
    same = run("search", "--clip", 1, "--json", "--emotion", hit["emotion"]).records
    assert hit["clip"] in {one["clip"] for one in same}  # the filter means the top class


MISUSES = [
    (["trend"], "--by"),
    (["trend", "1", "--by", "week"], "--by"),
    (["trend", "1", "--source", "x"], "goes without --source"),
    (["trend", "1", "--smooth", "0"], "smoothing"),
    (["trend", "--by", "year"], "--by year: choose day, week or month"),
    (["trend", "--by", "week", "--smooth", "5"], "--by goes without --smooth"),
    (["trend", "--by", "week", "--penalty", "5.0"], "--by goes without --penalty"),
    (["export", "--output", "x", "--format", "xml"], "choose npy"),
    (["export", "--output", "x", "--granularity", "frame", "--format", "csv"], "npy only"),
    (["predict", "x.wav", "--granularity", "word"], "utterance, frame or window"),
]


def test_misuse_is_told(run, manifest):
    ingest(run, manifest)
    for arguments, message in MISUSES:
        done = run(*arguments)
        assert (done.code, done.out, message in done.err) == (2, "", True), (arguments, done.err)


@pytest.mark.parametrize(
    "arguments", [("trend", 99999999999999999999999), ("tune", "--restore", 99999999999999999999)]
)
def test_a_number_that_no_database_holds_is_not_there(run, manifest, arguments):
    ingest(run, manifest)
    done = run(*arguments)
    assert (done.code, done.out) == (1, "")
    assert f"{arguments[-1]} in this archive" in done.err


def test_an_error_of_the_system_without_words_of_its_own_is_told(run, monkeypatch):
    def broken(*_: object, **__: object) -> None:
        raise OSError("the page is damaged")

    monkeypatch.setattr("emotion_search.engine.library.library.Library.open", broken)
    assert run("status").err == "error: the page is damaged\n"


def test_export_and_import(run, manifest: Path, tmp_path):
    ingest(run, manifest)
    out = tmp_path / "features"
    assert "12 clips in" in run("export", "--output", out).out
    some = run("export", "--output", tmp_path / "x.parquet", "--label", "anger", "--json")
    assert some.records == [{"path": str(tmp_path / "x.parquet"), "clips": 3, "failed": 0}]
    copy = ("--home", tmp_path / "copy")
    assert run("import", out, *copy).out.startswith("12 clips of 12 recordings added")
    assert run("import", out, *copy, "--json").records[0]["known"] == 12
    hits = [run("search", "--clip", 1, "--json", *where).records for where in ((), copy)]
    assert hits[0] == hits[1]
    write_wav(tmp_path / "q.wav", tone(1.0))
    assert run("search", tmp_path / "q.wav", "--json", *copy).code == 0


def test_a_picture_needs_what_it_needs(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "kaleido", None)
    with pytest.raises(EmotionSearchError, match=r"emotion-search\[png\]"):
        require_png()
    with pytest.raises(EmotionSearchError, match=r"does not work here \(RuntimeError\)"):
        write_png(Mock(to_image=Mock(side_effect=RuntimeError)), tmp_path / "x.png")


def test_json_has_no_nan(run, manifest):
    ingest(run, manifest)
    json.loads(run("trend", 1, "--json").out, parse_constant=lambda name: pytest.fail(name))


def test_a_model_that_serves_in_the_plain_space_where_another_was_is_told_of(
    run, manifest, monkeypatch
):
    ingest(run, manifest)
    spaces = [Mock(version=2, method=Method.BASELINE), None]
    monkeypatch.setattr(Library, "status", lambda _: Mock(space=spaces.pop(0)))
    notice = run("use", "acoustic").err
    assert "acoustic serves in the plain space" in notice
    assert "baseline; fit one by: emotion-search tune" in notice


def test_a_search_says_whose_baseline_the_example_takes(run, manifest, monkeypatch):
    ingest(run, manifest)
    monkeypatch.setattr("emotion_search.engine.quality.tune.FEWEST", 12)
    assert "baseline" not in run("search", "--clip", 1).err
    run("tune", "--method", "baseline")
    source = run("show", 1, "--json").records[0]["source"]
    assert run("search", "--clip", 1).err == f"notice: baseline of source {source} (space 1)\n"
    (one,) = run("search", "--clip", 1, "--limit", 1, "--json").records
    assert (one["baselines"][0]["level"], one["baselines"][0]["source"]) == ("source", source)


def test_an_archive_is_moved_to_another_model(run, manifest, voices, checkpoint):
    ingest(run, manifest)
    refused = run("use", checkpoint)
    assert (refused.code, "no embeddings of a model" in refused.err) == (1, True)
    done = run("reembed", "--model", checkpoint, "--json")
    assert (done.code, done.records[0]["clips"], done.records[0]["missing"]) == (0, 12, 0)
    assert f"switch: emotion-search use {checkpoint}" in done.err
    both = ("--models", "acoustic", "--models", checkpoint, "--bootstrap", 0)
    assert [r["name"] for r in run("evaluate", *both, "--json").records] == [
        "acoustic",
        str(checkpoint),
    ]
    table = run("evaluate", *both).out
    assert "UAR, linear probe" in table
    switched = run("use", checkpoint)
    assert switched.out == f"{checkpoint} serves now (12 of 12 clips)\n"
    assert switched.err == ""
    listed = {one["name"]: one for one in run("models", "--json").records}
    assert listed[str(checkpoint)]["active"]
    assert listed["acoustic"]["embedded"] == 12
    assert "12 of 12 clips embedded, serves this archive" in run("models").out
    mismatch = run("ingest", voices, "--model", "acoustic")
    assert (mismatch.code, "holds embeddings of model" in mismatch.err) == (1, True)
    assert run("models", "forget", "acoustic").out == "acoustic forgotten (12 embeddings)\n"

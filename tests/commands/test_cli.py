"""The command line, as a user meets it: what it prints where, and with which exit code."""

import dataclasses
import io
import json
import logging
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from importlib.metadata import version
from inspect import cleandoc, signature
from pathlib import Path

import numpy as np
import pytest

from emotion_search import cli
from emotion_search.engine.api.wire.filters import Filters
from emotion_search.engine.commands.options import clip_filter
from emotion_search.engine.commands.show.hits import clock
from emotion_search.engine.library.library import Library
from emotion_search.engine.settings import Settings, load_settings
from emotion_search.index.database.filters import ClipFilter
from tests.conftest import ROOT, tone, write_wav


class Ran:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def records(self) -> list[dict]:
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def run(tmp_path: Path, monkeypatch, capsys, caplog):
    """Runs the program on an archive in `tmp_path`."""
    monkeypatch.setenv("EMOTION_SEARCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["emotion-search", *map(str, arguments)])
        capsys.readouterr()
        caplog.clear()
        with pytest.raises(SystemExit) as stop, caplog.at_level(logging.WARNING):
            cli.main()
            sys.exit(0)
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        notices = "".join(f"notice: {message}\n" for message in caplog.messages)
        return Ran(int(stop.value.code or 0), out, err + notices)

    return run


@pytest.fixture
def manifest(voices: Path, tmp_path: Path) -> Path:
    path = tmp_path / "labels.csv"
    rows = ["path,label,speaker,recorded_at,take"]
    for number, wav in enumerate(sorted(voices.glob("*.wav"))):
        emotion, speaker = wav.stem.split("-")
        rows.append(f"{wav},{emotion},voice{speaker},2026-01-{number + 1:02}T00:00:00Z,{number}")
    path.write_text("\n".join(rows) + "\n")
    return path


def ingest(run, manifest: Path) -> None:
    """The archive of the manifest's voices: ingested once a session, then copied."""
    home, made = manifest.parent / "home", manifest.parents[1] / "ingested"
    if made.exists():
        shutil.copytree(made, home)
    else:
        assert run_ingest(run, manifest).code == 0
        shutil.copytree(home, made)


def run_ingest(run, manifest: Path) -> Ran:
    return run("ingest", "--manifest", manifest, "--source", "studio", "--model", "acoustic")


def test_ingest_then_search_then_status(run, manifest: Path, voices: Path):
    done = run_ingest(run, manifest)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("12 recordings (12 clips, 12.0 s) added")

    hits = run("search", "--clip", 1, "--json", "--limit", 3).records
    assert len(hits) == 3
    assert set(hits[0]) >= {
        "clip",
        "recording",
        "file",
        "source",
        "label",
        "start",
        "end",
        "similarity",
    }
    assert 1 not in {hit["clip"] for hit in hits}
    assert [hit["similarity"] for hit in hits] == sorted(
        (h["similarity"] for h in hits), reverse=True
    )

    table = run("search", voices / "anger-0.wav", "--limit", 2)
    header = table.out.splitlines()[0].split()
    assert header == ["cosine", "perc.", "clip", "label", "emotion", "same", "file"]
    assert len(table.out.splitlines()) == 3
    highest = hits[0]["scores"][hits[0]["emotion"]]
    assert highest == hits[0]["confidence"] == max(hits[0]["scores"].values())

    status = run("status", "--json").records[0]
    assert (status["clips"], status["recordings"], status["model"]) == (12, 12, "acoustic")
    assert "acoustic (256 dimensions)" in run("status").out


def test_a_known_query_file_touches_no_model_and_is_no_hit(run, manifest, voices, monkeypatch):
    ingest(run, manifest)
    monkeypatch.setattr(
        "emotion_search.engine.archive.archive.load_embedder",
        lambda *_: pytest.fail("a model was loaded"),
    )
    hits = run("search", voices / "anger-0.wav", "--json", "-k", 100).records
    assert len(hits) == 11
    assert str(voices / "anger-0.wav") not in {hit["file"] for hit in hits}
    assert len(run("search", "--clip", 5, "--json", "-k", 100).records) == 11


def test_a_new_query_file_is_embedded_on_the_fly(run, manifest, tmp_path):
    ingest(run, manifest)
    query = write_wav(tmp_path / "query.wav", tone(40.0, rate=44_100), 44_100)
    assert len(run("search", query, "--json", "-k", 100).records) == 12
    assert run("status", "--json").records[0]["clips"] == 12


def test_json_is_valid_whatever_the_encoding_of_stdout(run, manifest, monkeypatch):
    ingest(run, manifest)
    run("label", 2, "--label", "fröhlich")
    for encoding, letter in (("ascii", b"\\u00f6"), ("utf-8", "ö".encode())):
        stdout = io.TextIOWrapper(io.BytesIO(), encoding)
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stdout)
            run("search", "--clip", 1, "--label", "fröhlich", "--json")
        written = stdout.buffer.getvalue()
        assert json.loads(written)["label"] == "fröhlich"
        assert letter in written


def test_a_span_in_minutes_and_seconds():
    assert [clock(seconds) for seconds in (0, 59.994, 59.996, 61.5)] == [
        "0:00.00",
        "0:59.99",
        "1:00.00",
        "1:01.50",
    ]


def test_filters(run, manifest):
    ingest(run, manifest)

    def files(*options: object) -> set[str]:
        hits = run("search", "--clip", 1, "--json", "-k", 100, *options).records
        return {Path(hit["file"]).stem for hit in hits}

    assert files("--label", "sadness") == {f"sadness-{n}" for n in range(3)}
    assert files("--label", "sadness", "--label", "neutral", "--speaker", "voice2") == {
        "sadness-2",
        "neutral-2",
    }
    assert files("--after", "2026-01-11") == {"sadness-1", "sadness-2"}
    assert files("--before", "2026-01-03") == {"anger-1"}
    assert files("--meta", "take=4") == {"happiness-1"}
    alone = run("search", "--clip", 1, "--across", "source")
    assert (alone.code, "no clip matches that is of another source" in alone.err) == (0, True)
    twice = ("--across", "speaker", "--exclude-same", "speaker")
    assert files("--source", "studio", *twice, "--label", "anger") == {"anger-1", "anger-2"}
    assert files("--label", "sad", "--emotion", "生气") <= {f"sadness-{n}" for n in range(3)}
    nothing = run("search", "--clip", 1, "--after", "2030-01-01", "--json")
    assert (nothing.code, nothing.out) == (0, "")
    unknown = run("search", "--clip", 1, "--source", "studoi")
    assert (unknown.code, unknown.out) == (1, "")
    assert unknown.err == "error: no clip has source studoi; did you mean studio?\n"
    some = run("search", "--clip", 1, "--label", "happy", "--label", "hapy", "--json")
    assert (some.code, len(some.records)) == (0, 3)
    assert some.err == "notice: no clip has emotion label hapy; did you mean happiness?\n"


def test_a_broken_file_makes_exit_code_one_and_is_listed(run, tmp_path):
    write_wav(tmp_path / "calls" / "good.wav", tone(1.0))
    (tmp_path / "calls" / "bad.wav").write_text("no audio")
    done = run("ingest", tmp_path / "calls", "--model", "acoustic")
    assert done.code == 1
    assert done.out.startswith("1 recording (1 clip, ")
    assert re.fullmatch(r"error: \S+bad\.wav: cannot be decoded as audio .*\n", done.err)
    listed = run("failures", "--json").records
    assert [(Path(f["path"]).name, f["attempts"]) for f in listed] == [("bad.wav", 1)]
    assert "bad.wav" in run("failures").out


def test_manifest_rows_that_cannot_be_used_are_listed(run, manifest):
    manifest.write_text(manifest.read_text() + "gone.wav,joy,x,2026-01-01,1\nx.wav,a,b,never,2\n")
    done = run_ingest(run, manifest)
    assert done.code == 1
    assert "12 recordings" in done.out
    assert "line 14" in done.err
    assert "no such file" in done.err
    assert "line 15" in done.err
    assert "taken as UTC" in done.err


def test_a_corrupt_index_is_rebuilt_with_a_notice(run, manifest, tmp_path):
    ingest(run, manifest)
    before = run("search", "--clip", 1, "--json").out
    (index,) = (tmp_path / "home" / "index").rglob("*.faiss")
    index.write_bytes(b"garbage")
    again = run("search", "--clip", 1, "--json")
    assert again.out == before
    assert "notice: the saved index is unusable" in again.err


def test_forget_erases(run, manifest):
    ingest(run, manifest)
    assert "recording 3 forgotten" in run("forget", 3).out
    assert 3 not in {h["clip"] for h in run("search", "--clip", 1, "--json", "-k", 99).records}
    assert run("forget", 3).code == 1


def test_an_unknown_recording_among_others_leaves_nothing_of_those_before_it(
    run, manifest, tmp_path
):
    ingest(run, manifest)
    assert run("forget", 3, 4, 999, 5).code == 1
    with Library.open(Settings(home=tmp_path / "home")) as library:
        status = library.index_status()
        assert (status.clips, status.revision) == (10, status.of_revision)
        library.forget(6, settle=False)  # and then the process was killed
    assert run("forget", 6).code == 1
    with Library.open(Settings(home=tmp_path / "home")) as library:
        assert library.index_status().clips == 9


def test_the_default_model_without_network_stops_in_seconds_with_the_cures(
    run, voices, monkeypatch, tmp_path
):
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "cache"))
    done = run("ingest", voices)
    assert done.code == 1
    assert "iic/emotion2vec_plus_large" in done.err
    assert "--model voice" in done.err
    assert "--model /path/to/checkpoint" in done.err


@pytest.mark.slow
def test_a_checkpoint_folder_as_model(run, manifest, checkpoint, voices, tmp_path, monkeypatch):
    assert run("ingest", "--manifest", manifest, "--model", checkpoint).code == 0
    (hit,) = run("search", "--clip", 1, "--json", "-k", 1).records
    assert sum(hit["scores"].values()) == pytest.approx(1.0, abs=1e-4)
    query = write_wav(tmp_path / "query.wav", tone(1.0))
    monkeypatch.chdir(checkpoint.parent)
    assert run("search", query, "--model", checkpoint.name).code == 0
    mixed = run("search", query, "--model", "acoustic")
    assert mixed.code == 1
    assert "cannot be compared" in mixed.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["ingest"], 2, "name folders or files"),
        (["ingest", "nowhere"], 1, "nowhere: no such file or folder"),
        (["ingest", "."], 1, "no audio files"),
        (["ingest", ".", "--manifest", "none.csv"], 1, "none.csv"),
        (["ingest", ".", "--recorded-at", "never"], 2, "--recorded-at"),
        (["ingest", ".", "--meta", "novalue"], 2, "key=value"),
        (["ingest", ".", "--label", ""], 2, "--label"),
        (["search"], 2, "give an example"),
        (["search", "a.wav", "--clip", "1"], 1, "a.wav"),
        (["search", "nowhere.wav"], 1, "nowhere.wav"),
        (["search", "--clip", "999"], 1, "no clip 999"),
        (["search", "--clip", "1", "--limit", "0"], 2, "limit must be 1 to 1000"),
        (["search", "--clip", "1", "--after", "tomorrow"], 2, "--after"),
        (["search", "--clip", "1", "--exclude-same", "mood"], 2, "recording, speaker or source"),
        (["search", "--clip", "1" + "0" * 30], 1, "no clip 1000"),
        (["search", "--clip", "1", "--source", "\udcff"], 2, "cannot be stored"),
        (["forget", "1" + "0" * 30], 2, "recordings"),
        (["ingest", "x" * 5000], 1, "no such file or folder"),
        (["ingest", "~nosuchuser/x"], 1, "no such file or folder"),
        (["status", "--home", "~nosuchuser/x"], 2, "home"),
        (["embed", "a.wav", "--output-dir", "/dev/null", "--model", "acoustic"], 1, "/dev/null"),
        (["search", "--clip", "one"], 2, "'--clip': one should be a valid integer (see"),
        (["search", "."], 1, "error: .: is a folder"),
        (["search", "8"], 1, "clip 8 is asked for by --clip 8"),
        (["trend", "none.wav"], 1, "nor is there such a file"),
        (["serve", "--port", "99999"], 2, "--port"),
        (["status", "--database", "mysql://x/y"], 2, "not supported"),
        (["nonsense"], 2, "nonsense"),
        (["search", "--bogus"], 2, "No such option: --bogus (see emotion-search search --help)"),
        (["search", "--clip", "1", "--across", "bogus"], 2, "--across (or --exclude-same) bogus"),
        (
            ["search", "--clip", "1", "--across", "speaker", "--exclude-same", "source"],
            2,
            "speaker and source: choose one",
        ),
        (["search", "--clip", "1", "--example-speaker", "x"], 2, "--example-speaker goes with"),
        (["search", "--clip", "1", "--label", ""], 2, "--label is empty"),
        (["search", "--clip", "1", "--source", "a", "--source", " "], 2, "--source is empty"),
        (["forget", "--source", "", "--yes"], 2, "--source is empty"),
        (["suggest", "--source", ""], 2, "--source is empty"),
        (["predict", "x.wav", "--output-dir", ""], 2, "--output-dir is empty"),
        (["label", "1", "--task", "", "--label", "x"], 2, "--task is empty"),
        (["label", "--from", "none.csv"], 1, "none.csv cannot be read: No such file or directory"),
        (["import", "none.npy", "x.csv"], 1, ".npy file: No such file or directory"),
        (["export", "--output", "x.foo"], 2, "no format has the ending .foo"),
        (["models", "--home", "/other", "forget", "acoustic"], 2, "after the command: forget"),
        (["trend", "1", "--png", "/tmp"], 1, "/tmp cannot be written"),
        (["evaluate", "--html", "../labels.csv"], 1, "labels.csv is there already"),
        (["trend", "1", "--csv", "../home/archive.db"], 1, "archive.db is there already"),
        (["evaluate", "--seed", str(2**31)], 2, "--seed"),
    ],
)
def test_misuse_is_one_clear_error(run, manifest, tmp_path, monkeypatch, arguments, code, message):
    ingest(run, manifest)
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    done = run(*arguments)
    assert done.code == code
    assert done.out == ""
    assert message in done.err
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1


def test_settings_that_are_empty_count_as_not_set(run, manifest):
    ingest(run, manifest)
    assert run("search", "--clip", 1, "--model", "", "--database", "").code == 0


@pytest.mark.parametrize("arguments", [["status"], ["search", "--clip", "1"], ["failures"]])
def test_without_an_archive_the_way_to_one_is_said(run, tmp_path, arguments):
    done = run(*arguments)
    assert done.code == 1
    assert "emotion-search ingest FOLDER" in done.err
    assert not (tmp_path / "home").exists()


def test_a_locked_database_is_named_after_a_wait(run, manifest, tmp_path, impatient, voices):
    ingest(run, manifest)
    other = sqlite3.connect(tmp_path / "home" / "archive.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    done = run("ingest", voices, "--label", "other")
    other.close()
    assert done.code == 1
    assert "locked by another writer" in done.err


def test_settings_are_arguments_then_the_environment_in_which_empty_counts_as_not_set(monkeypatch):
    monkeypatch.setenv("EMOTION_SEARCH_WINDOW", "7")
    monkeypatch.setenv("emotion_search_jobs", "3")
    monkeypatch.setenv("EMOTION_SEARCH_DECODERS", "")
    settings = load_settings()
    assert (settings.window, settings.jobs, settings.decoders) == (7, 3, 2)
    assert load_settings(window=9, decoders=None).window == 9


def test_a_bad_setting_is_named(run, monkeypatch):
    monkeypatch.setenv("EMOTION_SEARCH_WINDOW", "-3")
    done = run("status")
    assert done.code == 2
    assert "EMOTION_SEARCH_WINDOW" in done.err


def test_variables_of_settings_that_are_no_more_are_ignored(monkeypatch):
    monkeypatch.setenv("EMOTION_SEARCH_BUSY_TIMEOUT", "soon")
    assert load_settings() == Settings(home=load_settings().home)


def test_variables_of_no_setting_are_told_once(monkeypatch, caplog):
    monkeypatch.setenv("EMOTION_SEARCH_MODLE", "voice")
    monkeypatch.setenv("EMOTION_SEARCH_TEST_SOMETHING", "1")
    load_settings()
    load_settings()
    assert caplog.messages == ["EMOTION_SEARCH_MODLE is no setting; did you mean model?"]


def test_serve_says_what_is_wrong_before_it_starts(run, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "archive.db").write_bytes(b"no database " * 500)
    done = run("serve", "--port", "0")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "corrupt" in done.err


def test_embed_writes_arrays(run, checkpoint, voices, tmp_path):
    out = tmp_path / "out"
    files = sorted(voices.glob("anger-*.wav"))
    done = run("embed", *files, "--output-dir", out, "--model", checkpoint, "--json")
    assert [record["embedding"] for record in done.records] == [f"{f.stem}.npy" for f in files]
    assert (out / "result.json").exists()
    again = run("embed", *files, "--output-dir", out, "--model", checkpoint)
    assert (again.code, "--overwrite" in again.err) == (1, True)
    (tmp_path / "bad.wav").write_text("no audio")
    bad = run("embed", tmp_path / "bad.wav", "--output-dir", tmp_path / "o2", "--model", "acoustic")
    assert bad.code == 1
    assert "cannot be decoded" in bad.err


def test_migrate_makes_the_tables(run):
    assert "is at version" in run("migrate").out
    assert run("status", "--json").records[0]["clips"] == 0


def test_an_empty_archive_says_how_to_fill_it(run):
    run("migrate")
    done = run("search", "--clip", 1)
    assert done.code == 1
    assert "emotion-search ingest" in done.err


def test_evaluate_measures_an_archive(run, manifest: Path, tmp_path: Path):
    ingest(run, manifest)
    record = run("evaluate", "--json", "--bootstrap", 20).records[0]
    assert record["gallery"] == "speaker"
    assert record["micro"]["mAP"]["value"] > record["chance"]["mAP"]
    done = run("evaluate", "--exclude-same", "none", "--html", tmp_path / "report.html")
    assert done.code == 0
    assert "mAP by class" in done.out
    assert "Query by example" in (tmp_path / "report.html").read_text()
    result = tmp_path / "Voices.json"
    assert run("evaluate", "--space", "centred", "--mteb", result, "--bootstrap", 0).code == 0
    read = json.loads(result.read_text())
    assert read["task_name"] == "Voices"
    (scores,) = read["scores"]["test"]
    assert scores["main_score"] == scores["map"] > scores["chance_map"]
    assert 0 < scores["recall_at_10"] <= 1


def test_evaluate_measures_vectors_of_ones_own(run, tmp_path: Path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(40, 5)))
    rows = [f"{'ab'[i % 2]},s{i % 5}" for i in range(40)]
    (tmp_path / "l.csv").write_text("label,speaker\n" + "\n".join(rows))
    given = ("--embeddings", tmp_path / "x.npy", "--labels", tmp_path / "l.csv")
    assert run("evaluate", *given, "--json").records[0]["queries"] == 40
    assert run("evaluate", *given[:2]).code == 2


def test_evaluate_tells_what_else_nearness_follows(run, manifest: Path):
    ingest(run, manifest)
    (record,) = run("evaluate", "--json", "--bootstrap", 20).records
    assert set(record["triplets"]) == {"nothing", "speaker"}
    assert "metadata key text" in record["left_out"]["sentence"]
    assert record["nearest"]["speaker"]["chance"] == pytest.approx(3 / 11)
    assert [one["gallery"] for one in record["galleries"]] == ["recording"]
    assert record["scores"]["clips"] == 12
    assert sum(map(sum, record["scores"]["confusion"])) == 12
    shown = run("evaluate", "--bootstrap", 20).out
    for part in ("with the speaker kept in", "distractor shares", "own speaker", "class scores"):
        assert part in shown
    assert "left out: sentence (what is said is not known" in shown
    wrong = run("evaluate", "--sentence-key", "words")
    assert (wrong.code, wrong.err.count("\n")) == (1, 1)
    assert "no labelled clip has the metadata key words" in wrong.err
    (one,) = run("evaluate", "--json", "--exclude-same", "speaker", "--bootstrap", 0).records
    assert one["galleries"] == []


def test_evaluate_says_how_many_asked_and_what(run, tmp_path: Path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(40, 5)))
    rows = [f"{'abc'[i % 2 if i else 2]},s{i % 5}" for i in range(40)]
    (tmp_path / "l.csv").write_text("label,speaker\n" + "\n".join(rows))
    given = ("--embeddings", tmp_path / "x.npy", "--labels", tmp_path / "l.csv", "--bootstrap", 0)
    asked = "39 queries, each against clips of other speakers; 1 more had nothing to find\n"
    assert asked in run("evaluate", *given).out
    asked = "39 queries, each against all other clips; 1 more had nothing to find\n"
    assert asked in run("evaluate", *given, "--exclude-same", "none").out


def test_evaluate_says_what_is_needed(run, manifest: Path, voices: Path):
    run("ingest", voices, "--model", "acoustic")
    wrong = run("evaluate")
    assert wrong.code == 1
    assert "no clip has a label under the task emotion" in wrong.err
    assert run("evaluate", "--space", "curved").code == 2
    watch = run("trend", "--by", "week", "--alert", "anger>0.1")
    assert (watch.code, "none to watch" in watch.err) == (1, True)
    assert run("evaluate", "--exclude-same", "nobody").code == 2


def test_tune_lists_and_restores(run, manifest: Path):
    ingest(run, manifest)
    small = run("tune")
    assert (small.code, small.err.count("\n")) == (1, 1)
    assert "needs 50 clips at least" in small.err
    assert run("tune", "--list", "--json").records[0]["method"] == "plain"
    assert "serves" in run("tune", "--restore", 0).out
    assert run("tune", "--restore", 3).code == 1
    assert run("tune", "--method", "magic").code == 2
    assert run("tune", "--restore", 0, "--list").code == 2


def test_the_commands_of_the_demo_search_its_own_archive(run, voices, monkeypatch, tmp_path):
    monkeypatch.setenv("EMOTION_SEARCH_DATABASE_URL", f"sqlite:///{tmp_path}/other.db")
    monkeypatch.setenv("EMOTION_SEARCH_MODEL", "/other")
    output = run("demo", "--audio", voices).out
    command = next(line for line in output.splitlines() if "YOUR.wav" in line)
    arguments = shlex.split(command.replace("YOUR.wav", f"{voices}/anger-1.wav"), comments=True)
    assert "cosine" in run(*arguments[1:]).out


@pytest.mark.slow
def test_the_demo_answers(run, voices):
    shown = run("demo")
    assert shown.code == 0
    assert "64 clips" in shown.out
    assert "cosine" in shown.out
    assert "12 clips" in run("demo", "--audio", voices).out


def test_every_command_has_an_example_and_stands_in_the_docs(run):
    docs = (ROOT / "README.md").read_text() + "".join(
        path.read_text() for path in (ROOT / "docs").glob("*.md")
    )
    names = [name for group in cli.COMMANDS.values() for name in group if name != "key"]
    names += ["models fetch", "models check", "key create", "key list", "key revoke"]
    names += ["index status", "index verify", "index rebuild", "index repair"]
    names.remove("index")
    for name in names:
        assert f"emotion-search {name}" in run(*name.split(), "--help").out
        assert f"emotion-search {name}" in docs


def test_the_version_is_that_of_the_package(run):
    shown = run("--version")
    assert (shown.code, shown.out) == (0, f"emotion-search {version('emotion-search')}\n")


def test_help_lists_every_command_under_its_group(run):
    lines = run("--help").out.splitlines()
    titles = [line.removesuffix(":") for line in lines if line and line[0] != " "]
    assert titles[2:] == ["Archive", "Search", "Understand", "Learn", "Serve", "Models"]
    listed = {line.split()[0] for line in lines[lines.index("Archive:") :] if line.startswith("  ")}
    assert listed == {name for group in cli.COMMANDS.values() for name in group}


def test_the_help_of_the_program_says_what_each_command_says_itself():
    commands = cli.LazyCommands()
    for group in cli.COMMANDS.values():
        for name, place in group.items():
            paragraph = commands[name].help.split("\n\n")[0]
            assert (name, paragraph) == (commands[name].name, cleandoc(cli._summary(place)))


LOADED = {  # what is loaded beside the standard library, by what is run
    ("--help",): {"typer"},
    ("status",): {"typer", "pydantic", "sqlalchemy", "numpy"},
    ("search", "--clip", "1"): {"typer", "pydantic", "sqlalchemy", "numpy", "faiss", "rich"},
}
HEAVY = {
    *("typer", "rich", "pydantic", "sqlalchemy", "alembic", "numpy", "faiss", "psycopg", "scipy"),
    *("sqlalchemy.dialects.postgresql", "sklearn", "torch", "transformers", "funasr", "pyarrow"),
    *("av", "soundfile", "soxr", "silero_vad", "fastapi", "httpx", "plotly", "yaml", "safetensors"),
}


@pytest.mark.parametrize("arguments", LOADED, ids=" ".join)
def test_a_command_loads_no_library_that_it_has_no_use_for(arguments, run, manifest):
    ingest(run, manifest)
    code = "import sys, atexit; from emotion_search.cli import main;"
    code += "atexit.register(lambda: print(*sys.modules, file=sys.stderr)); main()"
    command = [sys.executable, "-c", code, *arguments]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout
    loaded = HEAVY & set(ran.stderr.split())
    assert loaded <= LOADED[arguments]


def test_a_folder_with_modules_of_these_names_breaks_nothing(tmp_path):
    (tmp_path / "cli.py").write_text("raise SystemExit('not this one')")
    for name in ("engine", "index", "migrations"):
        (tmp_path / name).mkdir()
    program = Path(sys.executable).with_name("emotion-search")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    shown = subprocess.run([program, "--help"], env=environment, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert "ingest" in shown.stdout


def test_search_takes_several_examples_and_counterexamples(run, manifest, voices):
    ingest(run, manifest)
    hits = run("search", "--clip", 1, "--clip", 2, "--unlike-clip", 5, "--json").records
    assert hits
    assert not {1, 2, 5} & {hit["clip"] for hit in hits}
    exact = run("search", "--clip", 1, "--json", "--exact").records
    assert exact == run("search", "--clip", 1, "--json").records


def test_clips_with_the_most_of_something_are_found_without_an_example(run, manifest):
    ingest(run, manifest)
    found = run("search", "--sort", "sad", "-k", 20, "--json").records
    scores = [one["scores"]["sad"] for one in found]
    assert scores == sorted(scores, reverse=True)
    newest = run("search", "--sort", "recorded_at", "--label", "anger", "-k", 2).out.splitlines()[
        :3
    ]
    assert [line.split()[0] for line in newest] == ["recorded_at", "2026-01-03", "2026-01-02"]
    least = run("search", "--sort", "sad", "--order", "asc", "-k", 20, "--json").records
    assert [one["clip"] for one in least][::-1] == [one["clip"] for one in found]
    assert "choose one of score" in run("search", "--sort", "zorn").err
    for misuse in (["--clip", 1], ["--unlike-clip", 1], ["--across", "speaker"], ["--order", "x"]):
        assert run("search", "--sort", "score", *misuse).code == 2


def test_what_the_model_hears_is_a_filter(run, manifest):
    ingest(run, manifest)
    hits = run("search", "--clip", 1, "-k", 100, "--json").records
    predicted = max(hits[0]["scores"], key=hits[0]["scores"].get)
    least = hits[0]["scores"][predicted] - 1e-4
    some = run(
        "search", "--clip", 1, "-k", 100, "--json", "--emotion", predicted, "--min-score", least
    ).records
    assert {hit["clip"] for hit in some} == {
        hit["clip"]
        for hit in hits
        if max(hit["scores"], key=hit["scores"].get) == predicted
        and hit["scores"][predicted] >= least
    }
    long = run("search", "--clip", 1, "--min-duration", 100, "--json")
    assert (long.code, long.out) == (0, "")


def test_the_index_is_shown_checked_and_made_anew(run, manifest):
    ingest(run, manifest)
    (state,) = run("index", "status", "--json").records
    assert (state["kind"], state["revision"]) == ("flat", state["of_revision"])
    assert run("index", "verify").code == 0
    assert "flat" in run("index", "rebuild").out
    (status,) = run("status", "--json").records
    assert status["index"]["clips"] == status["clips"]


def test_an_archive_is_copied(run, manifest, tmp_path):
    ingest(run, manifest)
    source, target = f"sqlite:///{tmp_path / 'home' / 'archive.db'}", f"sqlite:///{tmp_path}/b.db"
    before = run("search", "--clip", 1, "--json").records
    copied = run("copy", "--from", source, "--to", target)
    assert (copied.code, copied.out.startswith("copied")) == (0, True)
    again = run("copy", "--from", source, "--to", target)
    assert again.code == 1
    assert "holds an archive already" in again.err
    assert run("search", "--clip", 1, "--json", "--database", target).records == before


def test_the_command_line_and_the_api_have_the_same_filters():
    options = {"metadata" if name == "meta" else name for name in signature(clip_filter).parameters}
    assert options == Filters.model_fields.keys()
    fields = {field.name.removesuffix("s") for field in dataclasses.fields(ClipFilter)}
    assert fields - {"not_recording", "not_speaker", "not_source"} == options


def test_a_user_without_a_home_directory_is_told_what_to_name(run, monkeypatch, tmp_path):
    def unknown(_: int) -> None:
        raise KeyError("no such user")

    for name in ("EMOTION_SEARCH_HOME", "HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    done = run("status")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "name the archive's folder by --home" in done.err
    done = run("status", "--home", "~/calls")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert run("migrate", "--home", tmp_path / "named").code == 0

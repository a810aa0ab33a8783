"""``forget``: what it counts, asks and removes."""

from contextlib import suppress
from pathlib import Path
from unittest.mock import Mock

from emotion_search.engine.library.library import Library
from tests.commands.test_cli import ingest, manifest, run

__all__ = ["manifest", "run"]  # fixtures


def test_a_dry_run_counts_what_is_there(run, manifest):
    ingest(run, manifest)
    counted = run("forget", 1, 2, 99, "--dry-run")
    there = "2 clips (2.0 s), 2 labels, 2 known files"
    assert counted.out == f"2 recordings would be forgotten: {there}\n"
    assert (counted.code, counted.err) == (1, "error: no recording 99 in this archive\n")
    assert run("forget", "--meta", "take=4", "--dry-run").out[:2] == "1 "
    assert run("forget", "--ingested-before", "2026-01-01", "--dry-run").out[:2] == "0 "
    both = run("forget", "--older-than", "2000w", "--before", "2027-01-01", "--dry-run")
    assert both.out[:2] == "0 "
    assert run("status", "--json").records[0]["recordings"] == 12


def test_a_source_that_nothing_has_is_a_slip_and_metadata_may_come(run, manifest):
    ingest(run, manifest)
    for given in [("--source", "a"), ("--speaker", "b")]:
        done = run("forget", *given, "--yes")
        assert (done.code, done.out, done.err[:14]) == (1, "", "error: no clip")
    assert run("forget", "--meta", "take=99", "--yes").code == 0


def test_what_a_nightly_ingest_meets_again_is_said(run, manifest, voices):
    ingest(run, manifest)
    assert run("forget", "--meta", "take=4", "--yes").out == "1 recording forgotten\n"
    again = run("ingest", voices, "--json")
    assert (again.code, again.records[0]["forgotten"], again.records[0]["recordings"]) == (0, 1, 0)
    assert "1 file passed over, forgotten before; --again takes back such" in again.err
    assert run("ingest", voices, "--again", "--json").records[0]["recordings"] == 1


def test_ones_own_files_are_removed_only_when_somebody_says_so(run, tmp_path, voices):
    own = tmp_path / "own.wav"
    own.write_bytes((voices / "anger-0.wav").read_bytes())
    run("ingest", own, "--model", "acoustic")
    for option, count in (((), "1 known file"), (("--and-files",), "1 removed file")):
        assert run("forget", 1, "--dry-run", *option).out.endswith(f"{count}\n")
    asked = run("forget", 1, "--and-files")
    assert (asked.code, own.exists()) == (2, True)
    assert "1 recording with files would be forgotten: say --yes" in asked.err
    assert run("forget", 1, "--and-files", "--yes").code == 0
    assert not own.exists()


def test_a_file_that_could_not_be_removed_is_named(run, tmp_path, voices):
    own = tmp_path / "own.wav"
    own.write_bytes((voices / "anger-0.wav").read_bytes())
    run("ingest", own, "--model", "acoustic")
    own.write_bytes(b"something else")
    done = run("forget", 1, "--and-files", "--yes")
    assert (done.code, done.err) == (1, f"error: {own}: holds something else now\n")
    assert run("status", "--json").records[0]["recordings"] == 0


def test_retention_is_a_setting(run, manifest: Path, monkeypatch):
    ingest(run, manifest)
    assert "EMOTION_SEARCH_RETENTION" in run("forget", "--expired", "--yes").err
    monkeypatch.setenv("EMOTION_SEARCH_RETENTION", "9 months")
    wrong = run("forget", "--expired", "--yes")
    assert (wrong.code, "is no age such as 90d" in wrong.err) == (2, True)
    monkeypatch.setenv("EMOTION_SEARCH_RETENTION", "1h")
    assert run("forget", "--expired", "--dry-run").out.startswith("12 recordings would be")
    assert run("forget", "--expired", "--yes").out == "12 recordings forgotten\n"


def test_nothing_is_taken_for_erased_under_a_misspelt_name(run, manifest):
    ingest(run, manifest)
    for rest in (["--dry-run"], ["--yes"]):
        done = run("forget", "--source", "studoi", *rest)
        assert (done.code, done.out) == (1, "")
        assert done.err == "error: no clip has source studoi; did you mean studio?\n"


def test_what_a_killed_call_erased_leaves_the_saved_index_with_the_next(run, manifest, monkeypatch):
    ingest(run, manifest)
    with monkeypatch.context() as killed, suppress(KeyboardInterrupt):
        killed.setattr(Library, "settle", Mock(side_effect=KeyboardInterrupt))
        run("forget", "--speaker", "voice1", "--yes")
    saved = ("index", "status", "--json")
    assert run(*saved).records[0]["clips"] == 12
    assert run("forget", "--speaker", "voice1", "--dry-run").code == 1
    assert run(*saved).records[0]["clips"] == 12
    assert run("forget", "--speaker", "voice1", "--yes").err.startswith("error: no clip")
    assert run(*saved).records[0]["clips"] == 8

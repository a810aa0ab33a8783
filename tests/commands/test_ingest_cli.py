"""``ingest`` on the command line: manifests in other forms, nightly runs, what it names."""

from pathlib import Path

import numpy as np
import pytest

from emotion_search.engine.audio.synthetic_voices import speak
from tests.commands.test_cli import run
from tests.conftest import tone, write_wav

__all__ = ["run"]  # a fixture


def test_a_dry_run_shows_how_the_first_rows_are_understood(run, tmp_path, voices):
    (tmp_path / "calls").symlink_to(voices)
    table = tmp_path / "m.csv"
    rows = "".join(f"calls/{wav.name};jo;3.9.2026 14:00\n" for wav in sorted(voices.glob("*.wav")))
    table.write_text(f"Datei;Kunde;Datum\n{rows}")
    names = ["--map", "path=Datei", "--map", "speaker=Kunde", "--map", "recorded_at=Datum"]
    form = ["--date-format", "%d.%m.%Y %H:%M", "--timezone", "Europe/Berlin"]
    dry = ["ingest", "--manifest", table, *names, *form, "--model", "acoustic", "--dry-run"]
    shown = run(*dry)
    assert (shown.code, shown.err) == (0, "")
    assert [line.split() for line in shown.out.splitlines()[:2]] == [
        ["path", "recorded_at", "speaker"],
        ["calls/anger-0.wav", "2026-09-03T12:00:00+00:00", "jo"],
    ]
    assert len(shown.out.splitlines()) == 1 + 5 + 1
    record = run(*dry, "--json").records[0]
    assert record["rows"][0] == {
        "path": str(tmp_path / "calls" / "anger-0.wav"),
        "recorded_at": "2026-09-03T12:00:00+00:00",
        "speaker": "jo",
    }
    assert "needs" not in run("ingest", voices, "--timezone", "Europe/Berlin", "--dry-run").err


def labels(run) -> dict:
    return run("status", "--json").records[0]["labels"]


def test_labels_are_read_off_names_with_codes(run, tmp_path, voices):
    for name in ("03-01-05-01-01-01-12", "03-01-03-01-01-01-07", "03-01-05-01-01-01-01"):
        number = int(name[-2:]) % 2
        target = tmp_path / "3-05-x" / f"{name}.wav"
        target.parent.mkdir(exist_ok=True)
        target.write_bytes((voices / f"anger-{number}.wav").read_bytes() + bytes(2 * int(name[-1])))
    by_hand = ["--label-from", r"name:^\d\d-\d\d-(\d\d)", "--label-map", "05=wrath"]
    run("ingest", tmp_path, *by_hand, "--model", "acoustic")
    assert labels(run) == {"wrath": 2, "03": 1}
    run("ingest", tmp_path, "--label-map", "RAVDESS")
    assert labels(run) == {"anger": 2, "happiness": 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--label-from", "/([A-Z]+)-x"], "it is in no path, such as"),
        (["--label-map", "ravdess"], "--label-map ravdess: no name is as there, such as"),
        (["--label-map", "Crema_D"], "--label-map crema-d: no name is as there, such as"),
        (["--label-from", "name:(\\d)", "--label-map", "9=joy"], "no path has a code of 9; "),
        (["--manifest", "other.csv"], "no row of other.csv is for any of these files, such as"),
    ],
)
def test_what_matches_no_path_is_an_error_before_anything_is_ingested(
    run, tmp_path, voices, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.csv").write_text("path,label\ngone.wav,joy\n")
    for dry in (["--dry-run"], []):
        done = run("ingest", voices, *arguments, "--model", "acoustic", *dry)
        assert (done.code, done.out) == (1, "")
        assert message in done.err
    assert not (tmp_path / "home").exists()


def test_a_code_map_that_makes_no_sense_is_misuse(run, voices):
    unknown = run("ingest", voices, "--label-map", "iemocap")
    assert (unknown.code, "CODE=LABEL, or one of ravdess, emodb" in unknown.err) == (2, True)
    assert run("ingest", voices, "--label-map", "1=joy").code == 2


def test_a_nightly_run_speaks_of_new_failures_alone(run, tmp_path, voices):
    calls = tmp_path / "calls"
    calls.mkdir()
    (calls / "a.wav").write_bytes((voices / "anger-0.wav").read_bytes())
    nightly = ["ingest", calls, "--model", "acoustic", "--quiet"]
    first = run(*nightly, "--recorded-at", "2026-01-01")
    assert (first.code, first.out, first.err) == (0, "", "")
    (calls / "bad.wav").write_text("no audio")
    second = run(*nightly)
    assert (second.code, second.out, second.err.count("\n")) == (1, "", 1)
    assert second.err.startswith(f"error: {calls / 'bad.wav'}: ")
    third = run(*nightly, "--json")
    assert (third.code, third.err) == (0, "")
    record = third.records[0]
    assert (record["failed"], record["failed_new"], record["known"]) == (1, 0, 1)
    (calls / "worse.wav").write_text("nor this")
    fourth = run(*nightly)
    assert fourth.code == 1
    assert fourth.err.splitlines()[1:] == [
        "error: 1 file failed as before; list them with: emotion-search failures"
    ]
    assert run(*nightly).code == 0
    loud = run("ingest", calls, "--fail-on", "new")
    assert (loud.code, "notice: 2 files failed as before" in loud.err) == (0, True)
    assert run(*nightly, "--fail-on", "any").code == 1
    (calls / "new.wav").write_text("no audio")
    assert run(*nightly, "--fail-on", "none").code == 0
    assert run(*nightly, "--fail-on", "some").code == 2
    assert run("ingest", calls).err.count("error: ") == 3  # as ever, with exit code 1


def test_channels_of_calls_are_not_mixed_silently(run, tmp_path):
    sides = [speak("anger", speaker=n, seed=n) for n in (1, 2)]
    stereo = np.stack([side[: min(map(len, sides))] for side in sides], axis=1)
    write_wav(tmp_path / "call.wav", stereo)
    write_wav(tmp_path / "mono.wav", sides[0])
    done = run("ingest", tmp_path, "--model", "acoustic", "--json")
    assert (done.code, done.records[0]["recordings"], done.records[0]["mixed"]) == (0, 2, 1)
    assert done.err.startswith("notice: of 1 recording the channels were mixed, since")
    assert "article 5(1)(f)" in done.err
    for channels in ("mix", "split", "customer=1"):
        write_wav(tmp_path / "call.wav", stereo * (0.9 - len(channels) / 100))
        done = run("ingest", tmp_path / "call.wav", "--channels", channels)
        assert (done.code, done.err) == (0, "")


def test_rows_of_channels_give_each_its_speaker(run, tmp_path):
    write_wav(tmp_path / "call.wav", np.stack([tone(2), tone(2, 330)], axis=1))
    table = tmp_path / "m.csv"
    table.write_text("path,channel,speaker\ncall.wav,0,agent\ncall.wav,1,jo\n")
    done = run("ingest", "--manifest", table, "--dry-run", "--model", "acoustic")
    assert "--channels split is taken" in done.err
    assert "differ" not in done.err
    table.write_text("path,channel,source,text\ncall.wav,0,a,hi\ncall.wav,1,b,bye\n")
    done = run("ingest", "--manifest", table, "--dry-run", "--model", "acoustic")
    assert "differ in source, text, of which a recording has but one: the last counts" in done.err
    table.write_text("path,channel,speaker\ncall.wav,1,jo\n")
    done = run("ingest", "--manifest", table, "--dry-run", "--model", "acoustic")
    assert "--channels 1 is taken" in done.err
    done = run(
        "ingest", "--manifest", table, "--dry-run", "--model", "acoustic", "--channels", "mix"
    )
    assert done.err == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--map", "speeker=Kunde"], "--map speeker: did you mean speaker?"),
        (["--date-format", "%d.%m.%Y %Q"], "31.01.2026 09:30 is '%d.%m.%Y %H:%M'"),
        (["--date-format", "%H:%M"], "31.01.2026 09:30 is '%d.%m.%Y %H:%M'"),
        (["--label-from", "(?P<emotion>x)"], "is called label, speaker or source, not emotion"),
    ],
)
def test_what_would_say_nothing_of_any_row_is_misuse(run, tmp_path, arguments, message):
    table = tmp_path / "m.csv"
    table.write_text("Datei;Kunde\nx.wav;jo\n")
    done = run("ingest", "--manifest", table, "--map", "path=Datei", *arguments, "--dry-run")
    assert (done.code, done.out, message in done.err) == (2, "", True)


def test_a_dry_run_shows_no_more_columns_than_can_be_read(run, tmp_path):
    names = ",".join(f"m{i}" for i in range(40))
    table = tmp_path / "m.csv"
    table.write_text(f"path,{names}\nx.wav{',1' * 40}\n")
    shown = run("ingest", "--manifest", table, "--model", "acoustic", "--dry-run")
    assert ("m18" in shown.out, "m19" in shown.out) == (True, False)
    assert "notice: and 21 columns more, which are metadata" in shown.err


def test_an_ingest_of_nothing_makes_no_archive(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    for path in ("nowhere", "empty"):
        done = run("ingest", path)
        assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert not (tmp_path / "home").exists()


def test_a_table_without_rows_is_an_error_of_a_dry_run_too(run, tmp_path):
    table = tmp_path / "m.csv"
    table.write_text("path,label\n")
    for dry in (["--dry-run"], []):
        done = run("ingest", "--manifest", table, "--model", "acoustic", *dry)
        assert (done.code, done.err) == (1, f"error: no audio files in {table}\n")

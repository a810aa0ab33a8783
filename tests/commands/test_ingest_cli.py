"""``ingest`` on the command line: manifests in other forms, nightly runs, what it names."""

import numpy as np

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


def test_rows_of_channels_give_each_its_speaker(run, tmp_path):
    write_wav(tmp_path / "call.wav", np.stack([tone(2), tone(2, 330)], axis=1))
    table = tmp_path / "m.csv"
    table.write_text("path,channel,speaker\ncall.wav,0,agent\ncall.wav,1,jo\n")
    done = run("ingest", "--manifest", table, "--dry-run", "--model", "acoustic")
    assert "--channels split is taken" in done.err
    table.write_text("path,channel,speaker\ncall.wav,1,jo\n")
    done = run("ingest", "--manifest", table, "--dry-run", "--model", "acoustic")
    assert "--channels 1 is taken" in done.err
    done = run(
        "ingest", "--manifest", table, "--dry-run", "--model", "acoustic", "--channels", "mix"
    )
    assert done.err == ""

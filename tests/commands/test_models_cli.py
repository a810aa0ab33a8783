"""``models`` on the command line: which there are, and how a checkpoint does here."""

import re

import pytest

from emotion_search.engine.embedders.emotion2vec import model as emotion2vec_model
from tests.commands.test_cli import manifest, run

__all__ = ["manifest", "run"]  # fixtures


def test_models_are_listed_checked_and_missed(run, checkpoint, monkeypatch, tmp_path):
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "cache"))
    listed = {one["name"]: one for one in run("models", "--json").records}
    assert listed["acoustic"]["place"] == "built in"
    assert listed["iic/emotion2vec_plus_large"]["place"] == "not downloaded"
    monkeypatch.setenv("COLUMNS", "80")
    narrow = run("models").out.splitlines()
    assert sum(line.startswith("iic/emotion2vec_") for line in narrow) == 5
    assert max(map(len, narrow)) <= 80
    checked = run("models", "check", checkpoint)
    assert checked.code == 0
    assert "cosine to FunASR's embedding   1.0000" in checked.out
    assert re.search(r"(?m)^bfloat16 .* s of audio a second, cosine to float32 at", checked.out)
    assert "of the ten nearest" not in checked.out  # there is no archive
    missed = run("models", "fetch", "iic/emotion2vec_plus_base")
    assert missed.code == 1
    assert "cannot be reached" in missed.err


@pytest.mark.parametrize("has", [True, False])
def test_ingest_into_a_new_archive_points_to_a_faster_precision_where_the_processor_has_it(
    has, run, manifest, checkpoint, monkeypatch
):
    monkeypatch.setattr(emotion2vec_model, "cpu_has_bfloat16", lambda: has)
    rows = (
        "ingest",
        "--manifest",
        manifest,
        "--model",
        checkpoint,
        "--limit",
        1,
        "--device",
        "cpu",
    )
    assert ("multiplies in bfloat16" in run(*rows).err) == has
    assert not has or "bfloat16" not in run(*rows).err  # the archive has clips in one already


def test_a_check_says_what_a_precision_changes_in_the_archive(run, manifest, checkpoint):
    run("ingest", "--manifest", manifest, "--model", checkpoint)
    out = run("models", "check", checkpoint).out
    same = re.search(r"bfloat16 .* ([\d.]+) % of the ten nearest the same \(12 clips\)", out)
    assert same is not None
    assert 50 < float(same[1]) <= 100


def test_the_archives_model_is_listed(run, manifest, checkpoint):
    run("ingest", "--manifest", manifest, "--model", checkpoint)
    assert f"{checkpoint}" in run("models").out
    assert "serves this archive" in run("models").out

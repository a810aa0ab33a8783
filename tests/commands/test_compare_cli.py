"""How alike files and clips are, on the command line, with and without an archive."""

from pathlib import Path

import numpy as np
import pytest

from emotion_search.engine.files.tables import csv_rows
from tests.commands.test_cli import ingest, manifest, run  # noqa: F401 - fixtures


def test_files_are_compared_by_their_embeddings(run, voices: Path, tmp_path: Path):  # noqa: F811
    files = [voices / f"{name}.wav" for name in ("anger-0", "sadness-1", "anger-0")]
    (found,) = run("compare", *files, "--model", "acoustic", "--json").records
    assert [one["name"] for one in found["things"]] == [str(file) for file in files]
    for one in found["things"]:
        assert max(one["scores"], key=one["scores"].get) == one["emotion"]
        assert one["scores"][one["emotion"]] == one["confidence"]
    run("embed", *files[:2], "--output-dir", tmp_path / "e", "--model", "acoustic")
    rows = [np.load(tmp_path / "e" / f"{file.stem}.npy") for file in files[:2]]
    cosine = rows[0] @ rows[1] / np.linalg.norm(rows[0]) / np.linalg.norm(rows[1])
    expected = [[1, cosine, 1], [cosine, 1, cosine], [1, cosine, 1]]
    assert np.allclose(found["cosines"], expected, atol=1e-5)
    assert found["percentiles"] is None
    shown = run("compare", *files, "--model", "acoustic").out.splitlines()
    assert shown[0].split() == ["file", "emotion", "1", "2"]
    assert shown[2].split()[-1] == f"{cosine:.4f}"
    assert shown[3].split()[-2:] == ["1.0000", f"{cosine:.4f}"]


def test_an_emotion_of_too_low_a_score_is_uncertain(run, voices, monkeypatch):  # noqa: F811
    monkeypatch.setenv("EMOTION_SEARCH_MIN_CONFIDENCE", "1")
    files = [voices / f"{name}.wav" for name in ("anger-0", "sadness-1")]
    shown = run("compare", *files, "--model", "acoustic").out.splitlines()
    assert [line.split()[2] for line in shown[1:]] == ["uncertain", "uncertain"]


def test_in_an_archive_they_are_as_alike_as_a_search_says(run, manifest, voices):  # noqa: F811
    ingest(run, manifest)
    hits = run("search", "--clip", 1, "--json", "-k", 3).records
    clips = [option for hit in hits for option in ("--clip", hit["clip"])]
    (found,) = run("compare", "--clip", 1, *clips, "--json").records
    assert np.allclose(found["cosines"][0][1:], [hit["similarity"] for hit in hits], atol=1e-5)
    assert np.allclose(found["percentiles"][0][1:], [hit["percentile"] for hit in hits], atol=0.01)
    assert found["things"][1]["name"] == f"clip {hits[0]['clip']}"
    assert found["things"][1]["emotion"] == hits[0]["emotion"]
    shown = run("compare", hits[0]["file"], "--clip", 1).out.splitlines()
    cosine, percentile = shown[2].split()[-2:]
    assert float(cosine) == pytest.approx(hits[0]["similarity"], abs=1e-4)
    assert float(percentile.strip("()")) == pytest.approx(hits[0]["percentile"], abs=0.06)
    gone = run("compare", "--clip", 1, "--clip", 99)
    assert (gone.code, gone.err) == (1, "error: no clip 99 in this archive\n")


def test_the_matrix_as_a_page(run, voices, tmp_path):  # noqa: F811
    page = tmp_path / "matrix.html"
    done = run(
        "compare", *sorted(voices.glob("anger-*.wav"))[:2], "--model", "acoustic", "--html", page
    )
    assert (done.code, done.out) == (0, f"matrix in {page}\n")
    text = page.read_text()
    assert '"1 anger-0.wav","2 anger-1.wav"' in text
    assert f"<td>{voices / 'anger-1.wav'}</td>" in text
    nowhere = run("compare", voices, "--html", tmp_path / "no" / "matrix.html")
    assert nowhere.code == 1
    assert "there is no folder" in nowhere.err


def test_a_folder_is_its_files_and_the_unusable_are_named(run, voices, tmp_path):  # noqa: F811
    bad = tmp_path / "bad.wav"
    bad.write_text("no audio")
    output = tmp_path / "matrix.csv"
    done = run("compare", voices, bad, "--model", "acoustic", "--csv", output)
    assert (done.code, done.out) == (1, f"matrix in {output}\n")
    assert done.err.startswith(f"error: {bad}: cannot be decoded as audio")
    names = [str(file) for file in sorted(voices.glob("*.wav"))]
    table = [row for _, row in csv_rows(output)]
    assert [row[""] for row in table] == names
    matrix = np.array([[float(row[name]) for name in names] for row in table])
    assert np.array_equal(matrix, matrix.T)
    assert (np.diag(matrix) == 1).all()
    assert -1 <= matrix.min() < 0.99
    wide = run("compare", voices, "--model", "acoustic")
    assert (wide.code, wide.err) == (
        2,
        "error: 12 are too many for a table here; use --html FILE, --csv FILE or --json\n",
    )


def test_nothing_to_compare_is_an_error(run, voices, tmp_path):  # noqa: F811
    file = voices / "anger-0.wav"
    one = run("compare", file)
    assert (one.code, one.err) == (2, "error: give 2 to 1000 files and clips to compare, not 1\n")
    empty = run("compare", file, tmp_path, "--model", "acoustic")
    assert (empty.code, empty.err) == (1, f"error: {tmp_path} holds no audio files\n")
    none = run("compare", file, "--clip", 1)
    assert (none.code, none.err) == (
        1,
        "error: there is no clip here; fill an archive by emotion-search ingest\n",
    )
    ids = run("compare", file, "42", "--model", "acoustic")
    assert "error: 42: is not there; clip 42 is asked for by --clip 42\n" in ids.err
    missing = run("compare", file, tmp_path / "x.wav", "--model", "acoustic")
    assert missing.code == 1
    assert missing.err == (
        f"error: {tmp_path / 'x.wav'}: is not there\n"
        "error: fewer than two of them can be compared\n"
    )


def test_in_an_archive_too_what_cannot_be_used_is_named(run, manifest, voices, tmp_path):  # noqa: F811
    ingest(run, manifest)
    bad, gone = tmp_path / "bad.wav", tmp_path / "gone.wav"
    bad.write_text("no audio")
    done = run("compare", voices / "anger-0.wav", bad, gone, "--clip", 2, "--json")
    assert (done.code, len(done.records[0]["things"])) == (1, 2)
    first, second = done.err.splitlines()
    assert first.startswith(f"error: {bad}: cannot be decoded as audio")
    assert second == f"error: {gone}: is not there"


def test_a_matrix_that_cannot_be_written_is_refused_before_anything_is_embedded(
    run,  # noqa: F811
    voices,
    tmp_path,
):
    for option in ("--csv", "--html"):
        target = tmp_path / "none" / "matrix"
        done = run("compare", voices, option, target, "--model", "no-such-model")
        assert (done.code, f"there is no folder {target.parent}" in done.err) == (1, True)

"""Archives as files: rows agree with the archive and with each other, and are there when whole."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet
from sqlalchemy import update

from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.embedders.emotion2vec.model import Emotion2vec
from emotion_search.engine.files.scan import find_audio
from emotion_search.engine.ingest.options import IngestOptions
from emotion_search.engine.library.library import Library
from emotion_search.engine.settings import Settings
from emotion_search.engine.transfer import export as archive_export
from emotion_search.engine.transfer import frames as frame_export
from emotion_search.engine.transfer.export import export_archive
from emotion_search.index.database.clips import vectors_of
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.schema import Clip
from emotion_search.index.errors import InvalidInputError
from tests.conftest import write_wav


def stored(library: Library, ids) -> np.ndarray:
    with library.database.read() as session:
        return vectors_of(session, library.model(), list(ids))


def test_arrays_and_table_agree_row_by_row(filled, tmp_path, monkeypatch):
    monkeypatch.setattr(archive_export, "_PAGE", 5)
    filled.label([(3, "satisfaction", "low")])
    done = filled.export(tmp_path / "out")
    assert done.clips == 12
    with (tmp_path / "out" / "clips.csv").open() as file:
        rows = list(csv.DictReader(file))
    ids = [int(row["clip"]) for row in rows]
    assert ids == list(range(1, 13))
    vectors = np.load(tmp_path / "out" / "embeddings.npy")
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors, stored(filled, ids))
    scores = np.load(tmp_path / "out" / "scores.npy")
    classes = filled.model().classes
    for number, row in enumerate(rows):
        clip = filled.clip(ids[number])
        assert np.allclose(scores[number], [clip.scores[name] for name in classes])
        assert float(row[f"score:{classes[0]}"]) == pytest.approx(clip.scores[classes[0]])
        assert (row["label"], row["path"], row["source"]) == (clip.label, clip.path, clip.source)
        assert json.loads(row["metadata"]) == dict(clip.metadata)
    assert [row["label:satisfaction"] for row in rows].count("low") == 1
    about = json.loads((tmp_path / "out" / "about.json").read_text())
    assert (about["model"], about["clips"], about["dimension"]) == ("acoustic", 12, 256)


def test_formulas_survive_export_and_import_and_are_none_in_the_file(filled, tmp_path):
    filled.label([(3, "emotion", "=cmd|' /C calc'!A0")])
    filled.export(tmp_path / "x.csv", wanted=ClipFilter(labels=("=cmd|' /C calc'!A0",)))
    assert ",'=cmd|" in (tmp_path / "x.csv").read_text()
    filled.export(tmp_path / "raw.csv", raw=True)
    assert ",=cmd|" in (tmp_path / "raw.csv").read_text()
    filled.export(tmp_path / "out")
    with Library.open(Settings(home=tmp_path / "other"), create=True) as other:
        other.import_embeddings(tmp_path / "out")
        assert "=cmd|' /C calc'!A0" in other.status().counts.labels


def test_an_ending_of_no_format_is_refused(filled, tmp_path):
    with pytest.raises(InvalidInputError, match=r"\.foo; use \.parquet, .* --format"):
        filled.export(tmp_path / "x.foo")
    assert filled.export(tmp_path / "x.foo", kind="npy").path.is_dir()


def test_one_file_formats_and_filters(filled, tmp_path):
    wanted = ClipFilter(labels=("sadness",))
    filled.export(tmp_path / "x.parquet", wanted=wanted)
    table = parquet.read_table(tmp_path / "x.parquet")
    ids = table["clip"].to_pylist()
    assert [filled.clip(i).label for i in ids] == ["sadness"] * 3
    vectors = np.array(table["embedding"].to_pylist(), np.float32)
    assert np.array_equal(vectors, stored(filled, ids))
    filled.export(tmp_path / "x.jsonl", wanted=wanted)
    lines = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert [line["clip"] for line in lines] == ids
    assert filled.export(tmp_path / "x.csv", wanted=wanted).clips == 3
    empty = filled.export(tmp_path / "none", wanted=ClipFilter(sources=("elsewhere",)))
    assert (empty.clips, np.load(tmp_path / "none" / "embeddings.npy").shape) == (0, (0, 256))


def test_nothing_is_written_over_unasked(filled, tmp_path):
    (tmp_path / "x.csv").write_text("mine")
    with pytest.raises(InvalidInputError, match="--overwrite"):
        filled.export(tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text() == "mine"
    filled.export(tmp_path / "x.csv", overwrite=True)
    filled.export(tmp_path / "out")
    with pytest.raises(InvalidInputError, match="--overwrite"):
        filled.export(tmp_path / "out")
    assert filled.export(tmp_path / "out", overwrite=True).clips == 12
    filled.export(tmp_path / "out", kind="csv", overwrite=True)
    assert (tmp_path / "out").is_file()
    with pytest.raises(InvalidInputError, match="choose npy, parquet"):
        filled.export(tmp_path / "y", kind="xlsx")
    with pytest.raises(InvalidInputError, match=r"y\.csv cannot be written: File exists"):
        filled.export(tmp_path / "x.csv" / "y.csv")


@pytest.mark.parametrize("mine", ["notes.txt", "frames/mine.npy", ".hidden", "clips/1.wav"])
def test_overwriting_spares_a_folder_with_anything_else_in_it(filled, tmp_path, mine):
    filled.export(tmp_path / "out")
    path = tmp_path / "out" / mine
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    with pytest.raises(InvalidInputError, match="no folder that export has written"):
        filled.export(tmp_path / "out", overwrite=True)
    assert path.read_text() == "mine"
    assert (tmp_path / "out" / "about.json").exists()


def test_overwriting_spares_a_folder_that_is_no_export(filled, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "clips.csv").write_text("mine")
    with pytest.raises(InvalidInputError, match=r"no about\.json"):
        filled.export(tmp_path / "out", overwrite=True)


def test_overwriting_never_takes_the_archive(sqlite_settings, voices_archive):
    voices_archive.place(sqlite_settings)
    with Library.open(sqlite_settings) as library:
        home = sqlite_settings.home
        for output, kind in ((home, None), (home.parent, None), (home / "archive.db", "csv")):
            with pytest.raises(InvalidInputError, match="another name"):
                library.export(output, kind=kind, overwrite=True)
        assert library.status().counts.clips == 12
        assert library.export(home / "out", overwrite=True).clips == 12


@pytest.mark.parametrize("name", ["out", "x.parquet", "x.csv", "x.jsonl"])
def test_an_interrupted_export_leaves_nothing(filled, tmp_path, monkeypatch, name):
    monkeypatch.setattr(archive_export, "_PAGE", 5)
    pages = archive_export.clips_with_vectors

    def interrupted(*args, after_id, **kwargs):
        if after_id >= 5:
            raise KeyboardInterrupt
        return pages(*args, after_id=after_id, **kwargs)

    monkeypatch.setattr(archive_export, "clips_with_vectors", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_archive(filled.database, filled.model(), tmp_path / "to" / name)
    assert list((tmp_path / "to").iterdir()) == []


def test_frames_average_to_the_stored_embedding(checkpoint: Path, tmp_path, monkeypatch):
    """Also of several clips of both channels of a long recording, over several pages."""
    monkeypatch.setattr(frame_export, "_PAGE", 3)
    settings = Settings(
        home=tmp_path / "home", model=str(checkpoint), window=4.0, segments="fixed", device="cpu"
    )
    voice = np.concatenate([speak("anger", speaker=1, seed=s) for s in range(5)])
    long = write_wav(tmp_path / "long.wav", np.stack([voice, voice[::-1]], axis=1), 16_000)
    gone = write_wav(tmp_path / "gone.wav", speak("sadness", speaker=2, seed=0), 16_000)
    with Library.open(settings, create=True) as library:
        from emotion_search.engine.audio.channels import parse_channels

        library.ingest(
            find_audio([str(long), str(gone)]).files,
            IngestOptions(channels=parse_channels("split")),
        )
        gone.unlink()
        done = library.export_frames(tmp_path / "out")
        with (tmp_path / "out" / "clips.csv").open() as file:
            ids = [int(row["clip"]) for row in csv.DictReader(file)]
        assert len(ids) == done.clips >= 4
        assert {library.clip(i).channel for i in ids} == {0, 1}
        for clip_id, vector in zip(ids, stored(library, ids), strict=True):
            frames = np.load(tmp_path / "out" / "frames" / f"{clip_id}.npy")
            clip = library.clip(clip_id)
            assert len(frames) == (round((clip.end - clip.start) * 16_000) - 400) // 320 + 1
            assert np.allclose(frames.mean(axis=0), vector, atol=1e-4)
        assert [reason for _, reason in done.failed] == [
            "is no longer there (No such file or directory)"
        ]
        assert isinstance(library.embedder()._embedder, Emotion2vec)


def test_a_clip_that_is_rounded_beyond_its_file_is_heard_to_its_end(checkpoint, tmp_path):
    path = write_wav(tmp_path / "a.wav", speak("anger", speaker=1, seed=0))
    settings = Settings(home=tmp_path / "home", model=str(checkpoint), device="cpu")
    with Library.open(settings, create=True) as library:
        library.ingest(find_audio([str(path)]).files)
        for beyond, clips in ((0.03, 1), (0.06, 0)):
            with library.database.write() as session:
                session.execute(update(Clip).values(end=2.0 + beyond))
            done = library.export_frames(tmp_path / "out", overwrite=True)
            assert (done.clips, len(done.failed)) == (clips, 1 - clips)


def test_frames_of_a_model_without_are_refused(filled, tmp_path):
    with pytest.raises(InvalidInputError, match="no frames"):
        filled.export_frames(tmp_path / "out")
    assert not (tmp_path / "out").exists()

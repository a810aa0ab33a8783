"""Ingest: everything once, nothing half, the bad files named and the rest kept."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import event, text

from emotion_search.engine.audio.channels import parse_channels
from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.embedders.acoustic.model import Acoustic
from emotion_search.engine.files.manifest import Manifest
from emotion_search.engine.files.scan import Found, Scan, find_audio
from emotion_search.engine.ingest import pipeline
from emotion_search.engine.ingest.options import IngestOptions
from emotion_search.engine.library.library import Library
from emotion_search.engine.settings import Settings
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.recordings import Annotations
from emotion_search.index.errors import InvalidInputError, StorageFullError
from tests.conftest import tone, write_wav


def ingest(library: Library, *paths: Path, annotations=None, **options):
    files = find_audio([str(path) for path in paths], annotations).files
    return library.ingest(files, IngestOptions(**options))


@pytest.fixture
def counted(monkeypatch):
    """Number of clips embedded."""
    seen = []
    original = Acoustic.embed

    def embed(self, clips):
        seen.extend(clips)
        return original(self, clips)

    monkeypatch.setattr(Acoustic, "embed", embed)
    return seen


def test_what_is_ingested_is_known_with_all_that_was_said(filled: Library):
    counts = filled.status().counts
    assert (counts.recordings, counts.clips, counts.labelled) == (12, 12, 12)
    assert counts.labels == {"anger": 3, "happiness": 3, "neutral": 3, "sadness": 3}
    assert counts.sources == {"field": 6, "studio": 6}
    (clip,) = filled.clips(ClipFilter(labels=("sadness",), speakers=("voice1",)))
    assert clip.name == "sadness-1.wav"
    assert (clip.start, clip.end) == (0.0, 1.0)
    assert clip.metadata["take"] == "1"
    assert clip.recorded_at is not None
    assert clip.recorded_at.isoformat() == "2026-02-01T00:00:00+00:00"


def test_a_second_run_embeds_nothing(filled: Library, voices: Path, counted):
    report = ingest(filled, voices)
    assert (report.known, report.recordings, len(counted)) == (12, 0, 0)


def test_the_same_bytes_under_another_name_are_one_recording(
    library: Library, tmp_path: Path, counted
):
    first = write_wav(tmp_path / "a" / "x.wav", tone(1.0))
    for name in ("b/y.wav", "c/z.wav"):
        (tmp_path / name).parent.mkdir()
        shutil.copy(first, tmp_path / name)
    report = ingest(library, tmp_path / "a", tmp_path / "b")
    assert (report.recordings, report.duplicates, len(counted)) == (1, 1, 1)
    report = ingest(library, tmp_path)
    assert (report.known, report.duplicates, len(counted)) == (2, 1, 1)
    assert library.status().counts.clips == 1


def test_a_file_that_changed_is_a_new_recording(library: Library, tmp_path: Path):
    path = write_wav(tmp_path / "x.wav", tone(1.0, 200))
    ingest(library, path)
    write_wav(path, tone(1.0, 300))
    os.utime(path, ns=(1, 1))
    report = ingest(library, path)
    assert report.recordings == 1
    old, new = library.clips()
    assert old.path is None
    assert new.path == str(path)


def test_bad_files_are_named_and_the_rest_goes_on(library: Library, tmp_path: Path):
    good = write_wav(tmp_path / "good.wav", tone(1.0))
    (tmp_path / "text.wav").write_text("no audio at all")
    (tmp_path / "empty.wav").write_bytes(b"")
    write_wav(tmp_path / "none.wav", np.zeros(0, np.float32))
    write_wav(tmp_path / "nan.wav", np.full(16_000, np.nan, np.float32), subtype="FLOAT")
    write_wav(tmp_path / "short.wav", tone(0.024))
    cut = write_wav(tmp_path / "cut.wav", tone(40.0))
    cut.write_bytes(cut.read_bytes()[:-100_000])
    report = ingest(library, tmp_path)
    reasons = {Path(path).name: reason for path, reason in report.failed}
    assert report.recordings == 1
    assert set(reasons) == {"text.wav", "empty.wav", "none.wav", "nan.wav", "short.wav", "cut.wav"}
    assert "24.0 ms of at least 25 ms" in reasons["short.wav"]
    assert "truncated" in reasons["cut.wav"]
    assert [clip.path for clip in library.clips()] == [str(good)]
    noted = {Path(f.path).name: f for f in library.failures()}
    assert {name: f.reason for name, f in noted.items()} == reasons
    ingest(library, tmp_path)
    assert {f.attempts for f in library.failures()} == {2}
    write_wav(tmp_path / "text.wav", tone(1.0, 300))
    ingest(library, tmp_path)
    assert "text.wav" not in {Path(f.path).name for f in library.failures()}


def test_known_files_and_folders_that_can_be_read_again_are_no_failures(
    filled: Library, voices: Path, tmp_path: Path
):
    kept = [one.path for one in filled.clips(limit=2)]
    away = [*kept, str(voices), str(tmp_path / "gone")]
    filled.note_failures(Found(unusable=[(path, "cannot be read") for path in away]))
    scan = Scan([str(voices)])
    assert filled.ingest(scan).known == 12
    filled.note_failures(scan.found)
    assert [one.path for one in filled.failures()] == [str(tmp_path / "gone")]


@pytest.mark.parametrize("rate", [8_000, 96_000])
def test_other_rates_and_stereo_are_taken(library: Library, tmp_path: Path, rate):
    voice = speak("anger", speaker=1, seed=0, seconds=1.0, rate=rate)
    stereo = np.stack([voice, np.zeros_like(voice)], axis=1)
    path = write_wav(tmp_path / "x.wav", stereo, rate)
    ingest(library, path, channels=parse_channels("0"))
    (clip,) = library.clips()
    assert (clip.channel, clip.end) == (0, pytest.approx(1.0, abs=0.001))
    with library.database.read() as session:
        row = session.execute(text("SELECT sample_rate, channels FROM recordings")).one()
    assert tuple(row) == (rate, 2)


def test_a_long_recording_becomes_windows_in_batches(
    fixed_windows, library: Library, tmp_path: Path, counted, monkeypatch
):
    monkeypatch.setattr(pipeline, "BATCH_S", 20.0)
    voice = np.concatenate([speak("anger", speaker=1, seed=s) for s in range(20)])
    ingest(library, write_wav(tmp_path / "long.wav", voice))
    spans = [(clip.start, clip.end) for clip in library.clips()]
    assert spans == [(0.0, 15.0), (15.0, 30.0), (30.0, 40.0)]
    assert len(counted) == 3
    hits = library.search(library.clips()[0].id, exclude_same="recording")
    assert hits == []


def test_annotations_given_again_replace_and_add_without_embedding(
    library: Library, tmp_path: Path, counted
):
    path = write_wav(tmp_path / "x.wav", tone(1.0))
    first = Annotations(source="a", labels={"emotion": "joy"}, metadata={"k": "1", "m": "2"})
    ingest(library, path, annotations={str(path): first})
    second = Annotations(labels={"emotion": "anger"}, metadata={"k": "3"})
    ingest(library, path, annotations={str(path): second})
    (clip,) = library.clips()
    assert (clip.source, clip.label, clip.metadata) == ("a", "anger", {"k": "3", "m": "2"})
    assert len(counted) == 1


def test_a_full_disk_leaves_nothing_half_written_and_the_next_run_finishes(
    sqlite_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for number in range(60):
        write_wav(tmp_path / "calls" / f"{number:02}.wav", tone(1.0, 100 + 5 * number))
    monkeypatch.setattr(pipeline, "BATCH_S", 3.0)
    with Library.open(sqlite_settings, create=True) as library:
        with library.database.read() as session:
            pages = session.scalar(text("PRAGMA page_count"))

        @event.listens_for(library.database._alchemy, "begin")
        def disk(connection):
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + full}")

        full = 2
        with pytest.raises(StorageFullError, match="run the same command again"):
            ingest(library, tmp_path / "calls")
        counts = library.status().counts
        assert 0 < counts.recordings < 60
        assert counts.recordings == counts.clips
        full = 100_000
        report = ingest(library, tmp_path / "calls")
        assert report.known == counts.recordings
        assert library.status().counts.recordings == 60
        assert len(library.search(1, limit=100)) == 59


def test_scanning_finds_audio_and_says_what_it_passes_over(tmp_path: Path):
    for name in (
        "a.wav",
        "sub/B.FLAC",
        "sub/deep/c.mp3",
        ".hidden.wav",
        ".git/d.wav",
        "e.m4a",
        "f.dss",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "notes.txt").write_bytes(b"x")
    (tmp_path / "odd.bin").write_bytes(b"x")
    found = find_audio([str(tmp_path), str(tmp_path / "odd.bin"), str(tmp_path / "a.wav")])
    names = [str(Path(file.path).relative_to(tmp_path)) for file in found.files]
    assert names == ["a.wav", "e.m4a", "odd.bin", "sub/B.FLAC", "sub/deep/c.mp3"]
    assert found.passed_over == {".dss": 1}
    globbed = find_audio([f"{tmp_path}/**/*.mp3"])
    assert [Path(file.path).name for file in globbed.files] == ["c.mp3"]


@pytest.mark.parametrize("missing", ["nowhere", "nothing*.wav"])
def test_an_argument_that_names_nothing_is_refused(tmp_path: Path, missing):
    with pytest.raises(InvalidInputError, match=missing.replace("*", r"\*")):
        find_audio([str(tmp_path / missing)])


def test_names_that_are_not_utf8_and_dead_links_are_named(
    library: Library, tmp_path: Path, monkeypatch
):
    folder = tmp_path / "calls"
    folder.mkdir()
    (folder / os.fsdecode(b"caf\xe9.wav")).write_bytes(b"x")
    (folder / "dead.wav").symlink_to(tmp_path / "gone.wav")
    found = find_audio([str(folder)])
    assert found.files == []
    library.note_failures(found)
    reasons = {Path(f.path).name: f.reason for f in library.failures()}
    assert reasons["dead.wav"].startswith("cannot be read")
    assert any("UTF-8" in reason for reason in reasons.values())
    monkeypatch.setattr(library.database, "write", None)  # with nothing to note, nothing is written
    library.note_failures(Found(), Manifest())


def test_the_archive_equals_what_the_embedder_says(filled: Library, voices: Path):
    from emotion_search.engine.audio.file import decode

    clip = filled.clips(limit=1)[0]
    with filled.database.read() as session:
        stored = session.scalar(
            text("SELECT vector FROM embeddings WHERE clip_id = :c"), {"c": clip.id}
        )
    expected = Acoustic().embed([decode(Path(str(clip.path)))]).vectors[0]
    assert np.allclose(np.frombuffer(stored, "<f4"), expected, rtol=0, atol=1e-6)

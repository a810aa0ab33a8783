"""Recordings whose files are moved, copied or lost."""

import shutil
from pathlib import Path

import pytest

from emotion_search import Library, find_audio
from emotion_search.index.database.files import list_failures
from emotion_search.index.errors import InvalidInputError


def ingest(library: Library, *folders: Path):
    return library.ingest(find_audio([str(folder) for folder in folders]).files)


@pytest.fixture
def placed(library: Library, voices: Path, tmp_path: Path) -> Library:
    """An archive of two voices in the folder `old`, and of one failure."""
    (tmp_path / "old" / "deep").mkdir(parents=True)
    shutil.copy2(voices / "anger-0.wav", tmp_path / "old")
    shutil.copy2(voices / "anger-1.wav", tmp_path / "old" / "deep")
    (tmp_path / "old" / "bad.wav").write_text("no audio")
    ingest(library, tmp_path / "old")
    return library


def test_an_ingest_of_the_new_place_forgets_the_old_one(placed: Library, tmp_path: Path):
    (tmp_path / "old").rename(tmp_path / "new")
    report = ingest(placed, tmp_path / "new")
    assert (report.moved, report.duplicates, report.recordings) == (2, 0, 0)
    assert placed.vanished() == []
    assert placed.clip(1).path == str(tmp_path / "new" / "anger-0.wav")


def test_a_hit_shows_the_path_that_exists(placed: Library, tmp_path: Path):
    shutil.copytree(tmp_path / "old", tmp_path / "a copy")
    assert ingest(placed, tmp_path / "a copy").duplicates == 2
    assert placed.clip(1).path == str(tmp_path / "a copy" / "anger-0.wav")
    shutil.rmtree(tmp_path / "a copy")
    assert placed.clip(1).path == str(tmp_path / "old" / "anger-0.wav")


def test_a_moved_folder_is_told_to_the_archive_without_reading_it(
    placed: Library, tmp_path: Path, monkeypatch
):
    (tmp_path / "old").rename(tmp_path / "new")
    (tmp_path / "old-er").mkdir()
    (tmp_path / "new" / "deep" / "anger-1.wav").write_bytes(b"other")
    monkeypatch.setattr(
        "emotion_search.engine.files.scan.sha256_of", lambda path: pytest.fail(f"read {path}")
    )
    tried = placed.relocate(str(tmp_path / "old"), str(tmp_path / "new"), dry_run=True)
    assert (tried.moved, placed.clip(1).path) == (1, str(tmp_path / "old" / "anger-0.wav"))
    done = placed.relocate(str(tmp_path / "old") + "/", str(tmp_path / "new"))
    assert (done.moved, len(done.left)) == (1, 1)
    assert "holds something else" in done.left[0][1]
    assert placed.clip(1).path == str(tmp_path / "new" / "anger-0.wav")
    assert placed.vanished() == [str(tmp_path / "old" / "deep" / "anger-1.wav")]
    with placed.database.read() as session:
        assert [one.path for one in list_failures(session)] == [str(tmp_path / "new" / "bad.wav")]
    with pytest.raises(InvalidInputError, match="no recording is known"):
        placed.relocate(str(tmp_path / "ol"), str(tmp_path / "new"))


def test_a_copy_with_another_time_is_the_same_and_keeps_the_first(placed: Library, tmp_path: Path):
    shutil.copytree(tmp_path / "old", tmp_path / "new", copy_function=shutil.copyfile)
    assert placed.relocate(str(tmp_path / "old"), str(tmp_path / "new")).moved == 2
    shutil.rmtree(tmp_path / "new")
    assert placed.clip(1).path == str(tmp_path / "old" / "anger-0.wav")


def test_places_that_vanished_are_told_and_dropped(placed: Library, tmp_path: Path):
    assert placed.drop_vanished() == 0
    (tmp_path / "old" / "anger-0.wav").unlink()
    assert placed.vanished() == [str(tmp_path / "old" / "anger-0.wav")]
    assert placed.drop_vanished() == 1
    assert (placed.vanished(), placed.clip(1).path) == ([], None)
    assert placed.recordings(missing=True) == [1]
    assert placed.status().counts.recordings == 2

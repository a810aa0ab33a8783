"""What was backed up is what is restored, row by row, also while others write."""

import json
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest

from emotion_search import Library, Settings
from emotion_search.engine.archive.backup import backup, restore
from emotion_search.engine.service.uploads import take_in
from emotion_search.index.database.connection import Database
from emotion_search.index.database.files import FileFacts
from emotion_search.index.database.models import rename_model
from emotion_search.index.database.recordings import (
    Annotations,
    NewClip,
    NewRecording,
    add_recordings,
)
from emotion_search.index.errors import InvalidInputError
from tests.conftest import tone, write_wav
from tests.index.database.test_copy import rows


def add(library: Library, number: int) -> None:
    """A recording with two clips, in one transaction."""
    vector, scores = np.full(256, number + 1, np.float32), np.full(8, 0.125, np.float32)
    clips = [NewClip(None, start, start + 1.0, vector, scores) for start in (0.0, 1.0)]
    new = NewRecording(
        FileFacts(f"/made/{number}.wav", 1, 1), f"{number}.wav", f"{number:064x}", 2.0, 8000, 1,
        Annotations(labels={"emotion": "anger"}), clips,
    )  # fmt: skip
    model = library.model()
    assert model is not None
    with library.database.write() as session:
        add_recordings(session, model.id, [new])[0]


def elsewhere(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "elsewhere", model="acoustic")


def restored_rows(settings: Settings) -> dict[str, list[str]]:
    database = Database(settings.database)
    found = rows(database)
    database.close()
    return found


def test_every_row_and_upload_comes_back(filled: Library, tmp_path: Path):
    upload = write_wav(tmp_path / "sent.wav", tone(1.0))
    recording, _ = take_in(filled, upload, name="sent.wav")
    upload.unlink()
    filled.forget(2)
    done = backup(filled.settings, tmp_path / "b.tar")
    assert (done.uploads, done.models) == (1, 0)
    before = rows(filled.database)
    restore(elsewhere(tmp_path), tmp_path / "b.tar")
    after = restored_rows(elsewhere(tmp_path))
    at = str(filled.settings.uploads_folder)
    moved = str(elsewhere(tmp_path).uploads_folder)
    assert after == {
        table: sorted(row.replace(at, moved) for row in found) for table, found in before.items()
    }
    with Library.open(elsewhere(tmp_path)) as library:
        clip = library.clips_of(recording)[0]
        assert library.clip_audio(clip.id)[1] == 16_000
        assert library.verify_index().is_sound
        hits = [(hit.clip.id, round(hit.similarity, 5)) for hit in library.search(1, limit=5)]
        assert hits == [(h.clip.id, round(h.similarity, 5)) for h in filled.search(1, limit=5)]


def test_a_backup_under_load_is_one_moment(filled: Library, tmp_path: Path):
    stop, written = threading.Event(), 0

    def write() -> None:
        nonlocal written
        while not stop.is_set():
            add(filled, written)
            written += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while written < 5:
            pass
        backup(filled.settings, tmp_path / "b.tar")
        then = written
        while written < then + 5:
            pass
    finally:
        stop.set()
        writer.join()
    restore(elsewhere(tmp_path), tmp_path / "b.tar")
    found, source = restored_rows(elsewhere(tmp_path)), rows(filled.database)
    for table in ("recordings", "clips", "embeddings", "labels", "locations"):
        assert set(found[table]) <= set(source[table]), table
    made = len(found["recordings"]) - 12
    assert 5 <= made < written
    assert len(found["clips"]) == len(found["embeddings"]) == len(found["labels"]) == 12 + 2 * made
    with Library.open(elsewhere(tmp_path)) as library:  # its ids go on
        add(library, 10**6)
        assert library.verify_index().is_sound


def test_a_tuned_model_comes_with_it_under_its_new_place(filled: Library, tmp_path: Path):
    weights = tmp_path / "tuned" / "model.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(b"weights")
    model = filled.model()
    assert model is not None
    with filled.database.write() as session:
        rename_model(session, model.fingerprint, str(weights))
    assert backup(filled.settings, tmp_path / "b.tar").models == 1
    weights.unlink()
    restore(elsewhere(tmp_path), tmp_path / "b.tar")
    with Library.open(Settings(home=tmp_path / "elsewhere")) as library:
        there = library.model()
        assert there is not None
        assert Path(there.name).read_bytes() == b"weights"
        assert Path(there.name).is_relative_to(tmp_path / "elsewhere")


def test_into_another_database_but_never_over_an_archive(
    filled: Library, database_url: str, tmp_path: Path
):
    backup(filled.settings, tmp_path / "b.tar")
    with pytest.raises(InvalidInputError, match="holds an archive already"):
        restore(filled.settings, tmp_path / "b.tar")
    before = rows(filled.database)
    filled.database.migrate("base")
    assert restore(filled.settings, tmp_path / "b.tar").uploads == 0
    assert rows(filled.database) == before


def test_settings_come_along_and_no_passwords(filled: Library, tmp_path: Path):
    set_ = filled.settings.model_copy(
        update={
            "window": 8.0,
            "retention": "90d",
            "allowed_hosts": "",
            "index": "milvus+https://token@host",
        }
    )
    backup(set_, tmp_path / "b.tar")
    restore(elsewhere(tmp_path), tmp_path / "b.tar")
    lines = (tmp_path / "elsewhere" / "settings.env").read_text().split()
    assert lines == ["EMOTION_SEARCH_WINDOW=8.0", "EMOTION_SEARCH_RETENTION=90d"]


@pytest.mark.parametrize("damage", ["cut", "flipped", "foreign", "outside"])
def test_a_damaged_backup_is_refused_and_nothing_is_made(sqlite_filled, tmp_path, damage):
    file = tmp_path / "b.tar"
    backup(sqlite_filled.settings, file)
    content = bytearray(file.read_bytes())
    if damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    elif damage == "foreign":
        file.write_bytes(b"no tar at all" * 1000)
    else:
        (tmp_path / "x").write_text("x")
        (tmp_path / "backup.json").write_text(json.dumps({
            "format": 1, "created_at": "2026-01-01", "models": {}, "uploads": "/u",
            "files": {"uploads/../../x": {"size": 1, "sha256": "0" * 64}}}))  # fmt: skip
        with tarfile.open(file, "w") as tar:
            tar.add(tmp_path / "x", "uploads/../../x")
            tar.add(tmp_path / "backup.json", "backup.json")
    for dry_run in (True, False):
        with pytest.raises(InvalidInputError, match=r"b\.tar is no backup, or is not whole"):
            restore(elsewhere(tmp_path), file, dry_run=dry_run)
    assert list((tmp_path / "elsewhere").rglob("*")) == []


@pytest.fixture
def sqlite_filled(sqlite_settings: Settings, voices_archive):
    voices_archive.place(sqlite_settings)
    with Library.open(sqlite_settings) as opened:
        yield opened


def test_a_backup_takes_no_others_place_unasked(sqlite_filled: Library, tmp_path: Path):
    (tmp_path / "b.tar").write_text("precious")
    with pytest.raises(InvalidInputError, match="--overwrite"):
        backup(sqlite_filled.settings, tmp_path / "b.tar")
    assert (tmp_path / "b.tar").read_text() == "precious"
    backup(sqlite_filled.settings, tmp_path / "b.tar", overwrite=True)
    assert restore(elsewhere(tmp_path), tmp_path / "b.tar", dry_run=True).uploads == 0
    assert not (tmp_path / "elsewhere").exists()
    with pytest.raises(InvalidInputError, match="is a folder"):
        backup(sqlite_filled.settings, tmp_path, overwrite=True)
    assert (tmp_path / "b.tar").is_file()

"""Damage is found wherever a bit changes, told with its cure, and mended where audio allows."""

import random
import sqlite3
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from emotion_search.engine.archive.check import check, drop_damaged
from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.library.library import Library
from emotion_search.engine.quality import tune
from emotion_search.engine.service.uploads import take_in
from emotion_search.engine.settings import Settings
from emotion_search.index.errors import DatabaseError, EmotionSearchError
from emotion_search.index.vectors.space import Method
from tests.conftest import write_wav
from tests.templates import Template


def found(settings: Settings, **how: bool) -> list[str]:
    try:
        with Library.open(settings) as library:
            return [f"{one.where}: {one.what}" for one in check(library, **how)]
    except EmotionSearchError as error:
        return [str(error)]


def flip(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def change(settings: Settings, table: str, column: str, how: Callable[[bytes], bytes]) -> None:
    """Change the bytes in some row of a database."""
    database = create_engine(settings.database_url)
    with database.begin() as connection:
        key = "ctid" if database.dialect.name == "postgresql" else "rowid"
        rows = f"SELECT {key}, {column} FROM {table} ORDER BY {column} LIMIT 1"
        row, data = connection.execute(text(rows)).one()
        write = text(f"UPDATE {table} SET {column} = :data WHERE {key} = :row")
        connection.execute(write, {"data": how(bytes(data)), "row": row})
    database.dispose()


@pytest.fixture
def archive(settings: Settings, voices_archive: Template) -> Settings:
    voices_archive.place(settings)
    assert found(settings, audio=True) == []
    return settings


@pytest.mark.parametrize("column", ["vector", "scores"])
def test_every_bit_of_an_embedding_counts(archive: Settings, column: str):
    rng = random.Random(column)
    for _ in range(5):
        before = []

        def damaged(data: bytes, before: list = before) -> bytes:
            before.append(data)
            return flip(data, rng.randrange(8 * len(data)))

        change(archive, "embeddings", column, damaged)
        (line,) = found(archive)
        assert line.startswith("embeddings of acoustic: 1 of 12 are damaged")
        database = create_engine(archive.database_url)
        with database.begin() as connection:
            whole = zlib.crc32(before[0])
            connection.execute(
                text(f"UPDATE embeddings SET {column} = :data WHERE {column}_crc32 = :whole"),
                {"data": before[0], "whole": whole},
            )
        database.dispose()
    assert found(archive) == []


def test_bits_of_the_file_count_wherever_they_mean_something(
    sqlite_settings: Settings, voices_archive: Template
):
    settings = sqlite_settings.model_copy(
        update={"database_url": f"sqlite:///{sqlite_settings.home / 'archive.db'}"}
    )
    voices_archive.place(settings)
    file = settings.home / "archive.db"

    def rows() -> object:
        with sqlite3.connect(file) as database:
            database.text_factory = bytes
            tables = database.execute("SELECT name FROM sqlite_master WHERE rootpage").fetchall()
            names = [name.decode() for (name,) in tables if not name.startswith(b"ix_")]
            try:
                return [
                    sorted(database.execute(f"SELECT * FROM {name}"), key=repr)
                    for name in names
                    if "autoindex" not in name
                ]
            except sqlite3.Error as error:
                return error

    with sqlite3.connect(
        file
    ) as database:  # metadata is indexed, and so doubled, up to 200 letters
        database.execute("UPDATE recording_metadata SET value = substr(value, 1, 200)")
    database.execute("VACUUM")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    whole, content = file.read_bytes(), rows()
    rng = random.Random(4)
    missed = []
    for _ in range(60):
        bit = rng.randrange(8 * len(whole))
        for log in file.parent.glob("archive.db-*"):
            log.unlink()
        file.write_bytes(flip(whole, bit))
        if not found(settings) and rows() != content:
            missed.append(bit)
    assert missed == []


def test_a_space_that_is_damaged_does_not_answer(archive: Settings, monkeypatch):
    monkeypatch.setattr(tune, "FEWEST", 10)
    with Library.open(archive) as library:
        library.tune(method=Method.CENTRED)
    change(archive, "spaces", "mean", lambda data: flip(data, 77))
    with Library.open(archive) as library:
        with pytest.raises(DatabaseError, match="emotion-search check"):
            library.search(1)
        (line, *_) = [f"{one.where}: {one.what}; {one.cure}" for one in check(library)]
        assert line.startswith("spaces: a checksum is wrong; emotion-search tune --restore 0")
        library.restore_space(0)
        assert library.search(1)


@pytest.mark.parametrize("how", [lambda data: flip(data, 30), lambda data: data[:-4]])
def test_a_damaged_embedding_is_not_answered_with(archive: Settings, tmp_path: Path, how):
    change(archive, "embeddings", "vector", how)
    with Library.open(archive) as library:
        for act in (library.rebuild_index, lambda: library.export(tmp_path / "out.csv")):
            with pytest.raises(DatabaseError, match=r"clip \d+ is damaged; .* check --mend"):
                act()


def test_what_is_damaged_is_made_anew_from_the_audio(archive: Settings):
    with Library.open(archive) as library:
        expected = [(hit.clip.id, hit.similarity) for hit in library.search(1, exact=True)]
    change(archive, "embeddings", "vector", lambda data: flip(data, 30))
    with Library.open(archive) as library:
        (model,) = drop_damaged(library)
        assert library.reembed(model.name)[0].clips == 1
        library.rebuild_index()
        hits = library.search(1, exact=True)
    assert [hit.clip.id for hit in hits] == [clip for clip, _ in expected]
    assert found(archive) == []


def test_embeddings_of_earlier_versions_get_their_checksums(archive: Settings):
    database = create_engine(archive.database_url)
    with database.begin() as connection:
        connection.execute(text("UPDATE embeddings SET vector_crc32 = NULL, scores_crc32 = NULL"))
    database.dispose()
    assert found(archive) == []
    change(archive, "embeddings", "vector", lambda data: flip(data, 0))
    assert "1 of 12 are damaged" in found(archive)[0]


def test_files_that_are_gone_or_changed_are_told(archive: Settings, tmp_path: Path):
    mine = write_wav(tmp_path / "mine.wav", speak("anger", speaker=5, seed=5))
    sent = write_wav(tmp_path / "sent.wav", speak("anger", speaker=6, seed=6))
    from emotion_search.engine.files.scan import find_audio

    with Library.open(archive) as library:
        library.ingest(find_audio([str(mine)]).files)
        take_in(library, sent, name="sent.wav")
    (upload,) = archive.uploads_folder.glob("*.wav")
    mine.write_bytes(flip(mine.read_bytes(), 1000))
    upload.unlink()
    (line,) = found(archive)
    assert line.startswith("recording 14: its file is gone")
    changed, gone = found(archive, audio=True)
    assert changed.startswith("recording 13: its file is not what was ingested")
    assert gone == line


def test_rows_that_belong_to_nothing_are_told(sqlite_settings: Settings, voices_archive: Template):
    settings = sqlite_settings.model_copy(
        update={"database_url": f"sqlite:///{sqlite_settings.home / 'archive.db'}"}
    )
    voices_archive.place(settings)
    with sqlite3.connect(settings.home / "archive.db") as database:
        database.execute("DELETE FROM recordings WHERE id = 3")
        database.execute("UPDATE clips SET start_s = 'x' WHERE id = 4")
    told = found(settings)
    assert "clips: 1 rows belong to recordings that are not there" in told
    assert "clips: 1 rows have text where numbers belong" in told

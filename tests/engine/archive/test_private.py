"""What others on the machine, and readers of messages, get to see of an archive."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emotion_search.engine.archive.disk_use import disk_use
from emotion_search.engine.files.scan import find_audio
from emotion_search.engine.library.library import Library
from emotion_search.engine.service.spool import Incoming
from emotion_search.engine.service.uploads import take_in
from emotion_search.engine.settings import Settings
from emotion_search.index.database.connection import Database


@pytest.fixture
def _usual_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_usual_umask")
@pytest.mark.parametrize("kind", ["flat", "quantised"])
def test_home_and_its_files_are_their_owners_alone(voices: Path, tmp_path: Path, kind: str):
    home = tmp_path / "new" / "home"
    settings = Settings(home=home, model="acoustic", index=kind)
    with Library.open(settings, create=True) as library:
        library.ingest(find_audio([str(voices)]).files)
        incoming = Incoming(library.uploads, library.database)
        incoming.open()
        sent = tmp_path / "sent.wav"
        sound, rate = soundfile.read(next(iter(voices.glob("*.wav"))))
        soundfile.write(sent, np.roll(sound, 100), rate)
        with sent.open("rb") as content:
            received = incoming.receive(content)
        take_in(library, library.uploads.incoming(received.stored), name="sent.wav")
        files = [path for path in home.rglob("*") if path.is_file()]
        assert {path.suffix for path in files} >= {".db", ".faiss", ".json", ".wav", ".lock"}
        assert {path.name: oct(path.stat().st_mode & 0o777) for path in files} == {
            path.name: "0o600" for path in files
        }
        for folder in (home, home / "uploads", home / "uploads" / "incoming"):
            assert folder.stat().st_mode & 0o777 == 0o700
        assert library.exposed() == []
        home.chmod(0o750)
        assert library.exposed() == [home]
    with Library.open(settings, create=True) as library:
        assert library.exposed() == [home]  # a notice, not another permission


def test_a_database_elsewhere_is_looked_at_too(tmp_path: Path):
    file = tmp_path / "elsewhere.db"
    settings = Settings(home=tmp_path / "home", database_url=f"sqlite:///{file}")
    with Library.open(settings, create=True) as library:
        assert library.exposed() == []
        file.chmod(0o640)
        assert library.exposed() == [file]


def test_disk_use_counts_what_is_there(database: Database, tmp_path: Path):
    settings = Settings(home=tmp_path / "home")
    before = disk_use(settings, database)
    assert before.database > 50_000  # the tables
    assert (before.index, before.uploads) == (0, 0)
    assert 0 < before.free < before.total
    for folder, size in ((settings.index_folder / "a" / "b", 5), (settings.uploads_folder, 7)):
        folder.mkdir(parents=True)
        (folder / "x").write_bytes(bytes(size))
    after = disk_use(settings, database)
    assert (after.index, after.uploads) == (5, 7)


@pytest.mark.parametrize("name", ["password", "sslpassword"])
def test_a_password_in_the_query_of_a_database_url_is_masked(name: str):
    url = f"postgresql://me:first@nowhere.invalid/x?{name}=sec%2Bret&passfile=/p&sslmode=prefer"
    address, query = str(Database(url)).split("?")
    assert address == "postgresql+psycopg://me:***@nowhere.invalid/x"
    assert set(query.split("&")) == {f"{name}=***", "passfile=%2Fp", "sslmode=prefer"}
    assert "first" not in repr(Settings(database_url=url))

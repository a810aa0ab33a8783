"""An archive on a read-only file system: searched as it is, changed by nobody."""

import logging
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from emotion_search import Library, Settings
from emotion_search.index.errors import DatabaseError
from tests.templates import Template


def readable_only(home: Path) -> None:
    """Take away the right to write in the home, whoever asks."""
    mount = ["mount", "--bind", str(home), str(home)]
    if os.getuid() == 0:  # for whom permissions do not count
        try:
            subprocess.run(mount, check=True, capture_output=True)
            subprocess.run(["mount", "-o", "remount,ro,bind", str(home)], check=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("nothing can be mounted here")
    else:
        for folder in (home, *(path for path in home.rglob("*") if path.is_dir())):
            folder.chmod(0o555)


@pytest.fixture
def snapshot(sqlite_settings: Settings, voices_archive: Template) -> Iterator[Settings]:
    """An archive of the voices that ``readable_only`` may be called on."""
    voices_archive.place(sqlite_settings)
    yield sqlite_settings
    home = sqlite_settings.home
    if os.getuid() == 0:
        while subprocess.run(["umount", "-l", str(home)], capture_output=True).returncode == 0:
            pass
    for folder in (home, *(path for path in home.rglob("*") if path.is_dir())):
        folder.chmod(0o755)


def test_it_is_searched_by_its_saved_index_with_one_notice(snapshot: Settings, caplog, voices):
    with Library.open(snapshot) as library:
        library.save_index()
        before = [(hit.clip.id, hit.similarity) for hit in library.search(1, limit=5)]
    readable_only(snapshot.home)
    with caplog.at_level(logging.WARNING), Library.open(snapshot) as library:
        assert [(hit.clip.id, hit.similarity) for hit in library.search(1, limit=5)] == before
        assert library.search(voices / "anger-0.wav", limit=1)
        assert library.status().counts.clips == 12
        with pytest.raises(DatabaseError, match="cannot be opened for writing"):
            library.label([(1, "emotion", "joy")])
    assert len(caplog.messages) == 1
    assert caplog.messages[0].endswith("cannot be written to: it is read as it is")


@pytest.mark.parametrize("shared", [True, False], ids=["with -shm", "without"])
def test_what_is_only_in_the_log_is_read_or_said_to_be_missing(snapshot, caplog, shared):
    library = Library.open(snapshot)
    with library.database.read() as reader:
        reader.execute(text("SELECT count(*) FROM clips"))
        library.label([(1, "emotion", "joy")])
        if not shared:
            (snapshot.home / "archive.db-shm").unlink()
        readable_only(snapshot.home)
        with caplog.at_level(logging.WARNING), Library.open(snapshot) as other:
            assert other.clip(1).label == ("joy" if shared else "anger")
    assert ("not seen here" in caplog.text) is not shared

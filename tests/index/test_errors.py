"""What is said of errors that are not ours."""

import sqlite3

import pytest
from sqlalchemy.exc import DBAPIError

from emotion_search.index.database.driver_errors import translated
from emotion_search.index.errors import StorageFullError, reason


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FileNotFoundError(2, "No such file", "/secret/a.wav"), "No such file"),
        (RuntimeError("\n first\nsecond"), "first"),
        (EOFError(), "EOFError"),
        (OSError(), "OSError"),
    ],
)
def test_a_reason_is_a_line_without_paths_of_the_system_and_never_empty(error, words):
    assert reason(error) == words


def test_a_disk_without_room_for_the_shared_memory_of_sqlite_is_called_full():
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = "SQLITE_IOERR_SHMSIZE"
    told = translated(DBAPIError("SELECT 1", {}, error), "archive.db", 1.0)
    assert isinstance(told, StorageFullError)

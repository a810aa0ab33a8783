"""Damage to what an archive is known by: an error of one line from every command, and mended."""

import shutil
import sqlite3
import subprocess
import sys

import pytest

from emotion_search.engine.library.library import Library
from emotion_search.engine.settings import Settings
from emotion_search.index.database.models import archive_uuid
from tests.commands.test_cli import run
from tests.conftest import ROOT
from tests.templates import Template

__all__ = ["run"]  # a fixture


@pytest.fixture
def archive(sqlite_settings: Settings, voices_archive: Template) -> Settings:
    voices_archive.place(sqlite_settings)
    return sqlite_settings


def identity(settings: Settings) -> str:
    with Library.open(settings) as library, library.database.read() as session:
        return archive_uuid(session)


def set_identity(settings: Settings, value: str) -> None:
    with sqlite3.connect(settings.home / "archive.db") as database:
        database.execute(f"UPDATE archive SET uuid = {value}")


@pytest.mark.parametrize("value", ["x'00'", "''", "'../../elsewhere'", "5"])
def test_an_archive_without_identity_is_told_and_gets_that_of_its_index(
    archive, run, voices, value: str
):
    run("index", "rebuild")
    before = identity(archive)
    set_identity(archive, value)
    for command in ("status", "search --clip 1", f"ingest {voices}", "forget 1", "check"):
        done = run(*command.split())
        assert done.code == 1
        assert done.err.count("error: ") == 1
        assert done.err.rstrip().endswith(("emotion-search check", "names the cure"))
    assert not list(archive.home.parent.glob("elsewhere*"))
    assert run("check", "--mend").code == 0
    assert identity(archive) == before


def test_where_no_index_tells_it_the_identity_is_new_and_that_is_said(archive: Settings, run):
    before = identity(archive)
    shutil.rmtree(archive.home / "index", ignore_errors=True)
    set_identity(archive, "''")
    assert "takes in again what was forgotten" in run("check", "--mend").err
    assert identity(archive) not in ("", before)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_that_cannot_start_says_so_in_a_line(archive: Settings, workers: int):
    set_identity(archive, "x'00'")
    command = [sys.executable, ROOT / "cli.py", "serve", "--port", "0", "--home", archive.home]
    done = subprocess.run(
        [*command, "--workers", str(workers)], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "the archive is damaged: its uuid is not one" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ")

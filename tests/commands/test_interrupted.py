"""Ctrl-C while a command works: one line, exit code 130, nothing half-written."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from emotion_search.engine.settings import Settings
from emotion_search.engine.transfer import export
from tests.commands.test_cli import run
from tests.templates import Template

__all__ = ["run"]


@pytest.fixture
def archive(voices_archive: Template, tmp_path: Path) -> Iterator[None]:
    voices_archive.place(Settings(home=tmp_path / "home"))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("output", ["features", "clips.csv"])
def test_an_export_leaves_nothing(run, archive, tmp_path: Path, monkeypatch, output):
    before = {path.name for path in tmp_path.iterdir()}
    monkeypatch.setattr(export, "write_about", lambda *_: signal.raise_signal(signal.SIGINT))
    monkeypatch.setattr(export, "publish", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    done = run("export", "--output", tmp_path / output)
    assert (done.code, done.out) == (130, "")
    assert done.err == "error: interrupted; what is not whole is not kept\n"
    assert {path.name for path in tmp_path.iterdir()} == before


def test_a_page_stays_as_it_was(run, archive, tmp_path: Path, monkeypatch):
    page = tmp_path / "map.html"
    assert run("map", "--html", page).code == 0
    whole = page.read_bytes()
    monkeypatch.setattr(
        "emotion_search.engine.files.atomic.publish", lambda *_: signal.raise_signal(signal.SIGINT)
    )
    assert run("map", "--html", page, "--overwrite").code == 130
    assert page.read_bytes() == whole
    assert [one.name for one in tmp_path.glob("*map*")] == ["map.html"]

"""Files and folders get their names in one step."""

import ctypes
from pathlib import Path

import pytest

from emotion_search.index.disk.sync import publish


def folder(path: Path, **files: str) -> Path:
    path.mkdir()
    for name, text in files.items():
        (path / name).write_text(text)
    return path


def content(path: Path) -> dict[str, str]:
    return {one.name: one.read_text() for one in path.iterdir()}


def none_such(_: object) -> None:
    raise OSError("no such library")


@pytest.mark.parametrize("at_once", [True, False])
def test_a_folder_takes_the_place_of_another_whole(tmp_path: Path, monkeypatch, at_once: bool):
    if at_once:
        monkeypatch.delattr(Path, "rename")  # what the system does not do in one step
    else:
        monkeypatch.setattr(ctypes, "CDLL", none_such)
    target, partial = folder(tmp_path / "x", a="old", b="old"), folder(tmp_path / "y", a="new")
    publish(partial, target)
    assert content(target) == {"a": "new"}
    assert content(partial) == {"a": "old", "b": "old"}
    assert sorted(one.name for one in tmp_path.iterdir()) == ["x", "y"]


def test_a_file_replaces_a_folder_only_where_that_is_meant(tmp_path: Path):
    target, partial = folder(tmp_path / "x", a="old"), tmp_path / "y"
    partial.write_text("new")
    with pytest.raises(IsADirectoryError):
        publish(partial, target)
    assert content(target) == {"a": "old"}
    publish(partial, target, over_folder=True)
    assert target.read_text() == "new"


def test_a_folder_that_cannot_be_placed_leaves_the_one_before(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", none_such)
    target, partial = folder(tmp_path / "x", a="old"), folder(tmp_path / "y", a="new")
    rename = Path.rename

    def refuse(path: Path, to: Path) -> Path:
        if path == partial:
            raise PermissionError("no")
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(PermissionError):
        publish(partial, target)
    assert (content(target), content(partial)) == ({"a": "old"}, {"a": "new"})

"""Names find their family of models."""

from importlib import import_module
from pathlib import Path

import pytest

from emotion_search.engine.embedders.hub import cached_folder
from emotion_search.engine.embedders.registry import FAMILIES, absolute, family_of
from emotion_search.engine.settings import Settings


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("voice", None),
        ("mine.voice.safetensors", None),
        ("acoustic", "network"),
        ("tuned/model.safetensors", "network"),
        ("tuned", "checkpoint"),
        ("iic/emotion2vec_plus_large", "checkpoint"),
    ],
)
def test_a_name_finds_its_family(name: str, base: str | None):
    assert family_of(name).base == base


def test_every_known_model_is_of_the_family_that_lists_it():
    assert all(family_of(name) is family for family in FAMILIES for name in family.known)


def test_only_names_of_files_become_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in ("acoustic", "mine"):
        Path(name).mkdir()
    assert absolute("acoustic") == "acoustic"
    assert absolute("mine") == str(tmp_path / "mine")
    assert absolute("iic/emotion2vec_base") == "iic/emotion2vec_base"


def test_a_file_of_weights_may_lie_in_the_home_folder(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/me")
    name = "~/tuned/model.safetensors"
    assert family_of(name).files(name, Settings()) == Path("/home/me/tuned/model.safetensors")


def test_only_the_owner_iic_is_another_on_hugging_face(monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []
    monkeypatch.setattr(
        "huggingface_hub.snapshot_download", lambda name, **_: asked.append(name) or "/none"
    )
    for name in ("iic/x", "basiic/x"):
        cached_folder(name, "huggingface")
    assert asked == ["emotion2vec/x", "basiic/x"]


@pytest.mark.parametrize(
    "name",
    ["iic/emotion2vec_plus_base", "emotion2vec/emotion2vec_plus_base", "emotion2vec_plus_base"],
)
def test_names_of_both_hubs_and_of_funasr_are_one_model(name, monkeypatch, tmp_path):
    asked: list[str] = []
    monkeypatch.setattr(
        "huggingface_hub.snapshot_download", lambda name, **_: asked.append(name) or "/none"
    )
    monkeypatch.setattr(
        import_module("modelscope.hub.snapshot_download"),
        "snapshot_download",
        lambda name, **_: asked.append(name) or "/none",
    )
    assert absolute(name) == "iic/emotion2vec_plus_base"
    for hub in ("modelscope", "huggingface"):
        assert family_of(name).place(name, Settings(hub=hub)) == "not downloaded"
    assert asked == ["iic/emotion2vec_plus_base", "emotion2vec/emotion2vec_plus_base"]
    monkeypatch.chdir(tmp_path)
    Path("emotion2vec_plus_base").mkdir()
    assert absolute("emotion2vec_plus_base") == str(tmp_path / "emotion2vec_plus_base")


def test_others_of_a_like_name_stay_what_they_are():
    for name in ("emotion2vec/other", "me/emotion2vec_plus_base", "emotion2vec"):
        assert absolute(name) == name

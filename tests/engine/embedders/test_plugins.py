"""Models of other packages: found by their entry points, checked, named where they are at fault."""

import math
import re
import subprocess
import sys
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emotion_search.engine.embedders import plugins
from emotion_search.engine.embedders.base import BaseEmbedder
from emotion_search.engine.embedders.catalogue import list_models
from emotion_search.engine.embedders.registry import absolute, family_of, is_path, load_embedder
from emotion_search.engine.settings import Settings
from emotion_search.index.errors import ModelFailedError, ModelUnavailableError
from tests.conftest import ROOT, tone


class First(BaseEmbedder):
    """The first sample of a clip as its embedding."""

    def __init__(self, name: str, device: str, /, **other: object) -> None:
        self.name, self.fingerprint, self.dimension = name, "0" * 64, 1
        vars(self).update(other)

    def vector(self, clip):
        return clip[:1]


class Package(Distribution):
    """A package that is installed, as far as its metadata goes."""

    def __init__(self, name: str) -> None:
        self._name = name

    def read_text(self, filename: str) -> str:
        licence = "License-Expression: MIT\n" if self._name == "first-plugin" else ""
        return f"Metadata-Version: 2.4\nName: {self._name}\nVersion: 1.0\n{licence}"

    def locate_file(self, path):
        return path


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch):
    """Have packages that provide models."""
    found: list[EntryPoint] = []

    def add(package: str, name: str, provided: object) -> None:
        entry = EntryPoint(name, "nowhere", plugins.GROUP)
        vars(entry).update(dist=Package(package))
        loaded[entry.dist.name] = provided
        found.append(entry)

    loaded: dict[str, object] = {}
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: found)
    monkeypatch.setattr(EntryPoint, "load", lambda entry: loaded[entry.dist.name])
    plugins._declared.cache_clear()
    yield add
    plugins._declared.cache_clear()


def test_a_plug_in_is_loaded_by_its_name_and_may_read_more_from_it(install):
    install("first-plugin", "first", First)
    for name in ("first", "first:large"):
        embedder = load_embedder(name, Settings(device="cpu"))
        assert embedder.name == name
        assert embedder.embed([tone(0.5)]).vectors.tolist() == [[tone(0.5)[0]]]
    assert family_of("first/large").base == "checkpoint"


def test_a_plug_in_goes_before_a_folder_of_its_name(install, tmp_path, monkeypatch):
    install("first-plugin", "first", First)
    monkeypatch.chdir(tmp_path)
    Path("first").mkdir()
    assert absolute("first") == "first"
    assert not is_path("first")
    assert absolute("./first") == str(tmp_path / "first")


def test_plug_ins_are_listed_with_their_packages(install):
    install("first-plugin", "first", First)
    install("one", "twice", First)
    install("two", "twice", First)
    known = {one.name: (one.dimension, one.about, one.place) for one in list_models(Settings(), [])}
    assert known["first"] == (None, "plug-in first-plugin 1.0", "installed")
    licences = {one.name: one.licence for one in list_models(Settings(), [])}
    assert (licences["first"], licences["twice"]) == ("MIT", None)
    assert licences["iic/emotion2vec_plus_base"] == "FunASR model licence"
    assert licences["iic/emotion2vec_base"] is None
    assert licences["voice"] == "Apache-2.0, MIT, BSD-2-Clause"
    assert known["twice"] == (None, "plug-in one 1.0 and two 1.0", "provided twice")


def test_names_of_built_in_models_files_and_hubs_ask_no_package(install, monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.metadata.entry_points", None)
    for name in ("voice", "acoustic", "my.safetensors", "iic/emotion2vec_base", str(tmp_path)):
        family_of(name)
        absolute(name)
    with pytest.raises(TypeError):
        family_of("other")


def no_such_module(name: str, device: str):
    raise ImportError("no module named torchaudio")


@pytest.mark.parametrize(
    ("provided", "fault"),
    [
        (no_such_module, r"cannot be used \(ImportError: no module named torchaudio\)"),
        (7, r"cannot be used \(TypeError: 'int' object is not callable\)"),
        (lambda name, device: None, r"cannot be used \(AttributeError: .*classes"),
        (lambda name, device: First(name, device, name=""), "its name is no text"),
        (lambda name, device: First(name, device, fingerprint="1"), "fingerprint '1' is no sha256"),
        (lambda name, device: First(name, device, dimension=0), "its dimension is 0"),
        (lambda name, device: First(name, device, classes=["sad"]), "no tuple of names"),
        (lambda name, device: First(name, device, classes=("sad", " ")), "no tuple of names"),
        (lambda name, device: First(name, device, classes=("sad",) * 2), "have one name"),
        (lambda name, device: First(name, device, adapts=True), "adapts without one"),
        (lambda name, device: First(name, device, centre=np.ones(1)), "a centre without adapting"),
        (lambda name, device: First("other", device), "it was called bad, and says it is 'other'"),
        (lambda name, device: First(name, device, licence=7), "its licence is no text"),
        (lambda name, device: First(name, device, frames=None), "no method frames"),
        (lambda name, device: sys.exit("no licence"), r"cannot be used \(SystemExit: no licence\)"),
    ],
)
def test_what_is_wrong_with_a_plug_in_is_told_with_its_package(install, provided, fault):
    install("bad-plugin", "bad", provided)
    with pytest.raises(ModelUnavailableError, match=f"model bad: .*bad-plugin 1.0 .*{fault}"):
        load_embedder("bad", Settings(device="cpu"))


def test_two_plug_ins_of_one_name_are_both_named(install):
    install("one", "same", First)
    install("two", "same", First)
    with pytest.raises(ModelUnavailableError, match=r"both one 1\.0 and two 1\.0 provide it"):
        load_embedder("same", Settings(device="cpu"))


def test_vectors_of_another_shape_and_failures_are_the_models(install):
    install("first-plugin", "first", First)
    embedder = load_embedder("first", Settings(device="cpu"))
    model = embedder._embedder
    model.vector = lambda clip: 1 / 0
    with pytest.raises(ModelFailedError, match=r"the model first failed: ZeroDivisionError"):
        embedder.embed([tone(0.5)])
    model.vector = lambda clip: sys.exit()
    with pytest.raises(ModelFailedError, match=r"the model first failed: SystemExit"):
        embedder.embed([tone(0.5)])
    model.vector = lambda clip: clip[:1]
    model.scores = lambda vectors: np.ones((1, 2), np.float32)
    with pytest.raises(ModelFailedError, match=r"gave .* of shape \(1, 1\), \(1, 2\), not"):
        embedder.embed([tone(0.5)])
    model.dimension, model.vector = 2, lambda clip: clip[0]  # one number is no vector of two
    with pytest.raises(ModelFailedError, match=r"cannot reshape array of size 1"):
        embedder.embed([tone(0.5)])
    model.embed = lambda clips: None
    with pytest.raises(ModelFailedError, match=r"the model first failed: AttributeError"):
        embedder.embed([tone(0.5)])


@pytest.mark.parametrize("row", [(7, 7), (1.5, -0.5), (math.nan, math.nan), (0.6, 0.402), (0, 0)])
def test_scores_that_are_no_probabilities_are_the_models_fault(install, row):
    install("first-plugin", "first", lambda *called: First(*called, classes=("sad", "happy")))
    embedder = load_embedder("first", Settings(device="cpu"))
    embedder._embedder.scores = lambda vectors: np.array([row], np.float32)
    with pytest.raises(ModelFailedError, match="scores that are no probabilities"):
        embedder.embed([tone(0.5)])
    embedder._embedder.scores = lambda vectors: np.array([(1, 0)], np.float32)
    assert embedder.embed([tone(0.5)]).scores.tolist() == [[1, 0]]


def test_what_a_plug_in_prints_as_it_is_loaded_is_no_part_of_an_answer(install, capsys):
    def chatty(name: str, device: str) -> First:
        print("welcome")
        return First(name, device)

    install("first-plugin", "first", chatty)
    load_embedder("first", Settings(device="cpu"))
    assert capsys.readouterr() == ("", "welcome\n")


def test_names_that_mean_other_models_are_listed_as_such(install):
    install("first-plugin", "voice", First)
    install("first-plugin", "two words", First)
    places = [one.place for one in list_models(Settings(), []) if "plug-in" in one.about]
    assert places == ["not usable by this name"] * 2


@pytest.mark.slow
def test_the_plug_in_of_the_docs_installs_and_runs(tmp_path: Path):
    page = (ROOT / "docs" / "plugins.md").read_text()
    blocks = re.findall(r"^```(?:toml|python)\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert sum(block.count("\n") for block in blocks[:2]) < 60
    source, site = tmp_path / "emotion-bands", tmp_path / "site"
    source.mkdir()
    for name, block in zip(
        ("pyproject.toml", "emotion_bands.py", "test_bands.py"), blocks, strict=True
    ):
        (source / name).write_text(block)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--no-index", "--target", site, source], check=True)
    soundfile.write(tmp_path / "a.wav", tone(1.0), 16_000)
    path = {"PYTHONPATH": f"{site}:{ROOT}", "OMP_NUM_THREADS": "1", "HOME": str(tmp_path)}

    def run(*words: object) -> str:
        done = subprocess.run(
            [sys.executable, *map(str, words)],
            env={"PATH": "/usr/bin:/bin", **path},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "plug-in emotion-bands 0.1" in run(ROOT / "cli.py", "models")
    run(ROOT / "cli.py", "embed", "a.wav", "--output-dir", "out", "--model", "bands")
    assert np.load(tmp_path / "out" / "a.npy").shape == (32,)
    tests = run("-m", "pytest", "-q", "-p", "no:cacheprovider", source / "test_bands.py")
    assert "failed" not in tests

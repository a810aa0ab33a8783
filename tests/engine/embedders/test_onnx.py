"""``onnx:`` models: files that are what their description says, and exported emotion2vec."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from emotion_search.engine.embedders.acoustic.model import Acoustic
from emotion_search.engine.embedders.emotion2vec.model import Emotion2vec
from emotion_search.engine.embedders.registry import absolute, family_of, load_embedder
from emotion_search.engine.embedders.voice.model import Voice
from emotion_search.engine.settings import Settings
from emotion_search.index.errors import InvalidInputError, ModelUnavailableError
from emotion_search.testing import EmbedderTests
from tests.checkpoints import funasr_model
from tests.conftest import tone

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

CLASSES = ["sad", "angry"]


def write(folder: Path, *, width: int = 3, rank: int = 1, factor: float = 1.0, **described) -> Path:
    """A file that describes a clip by its mean, its mean square and its peak."""
    from onnx import TensorProto, helper

    kind = TensorProto.FLOAT
    node = helper.make_node
    nodes = [
        node("Reshape", ["samples", "flat"], ["x"]),
        node("Mul", ["x", "x"], ["xx"]),
        node("ReduceMean", ["x"], ["mean"], keepdims=1),
        node("ReduceMean", ["xx"], ["power"], keepdims=1),
        node("ReduceMax", ["x"], ["peak"], keepdims=1),
        node("Concat", ["mean", "power", "peak"], ["three"], axis=0),
        node("Mul", ["three", "factor"], ["all"]),
        node("Slice", ["all", "zero", "width"], ["vector"]),
        node("Slice", ["vector", "zero", "two"], ["first"]),
        node("Softmax", ["first"], ["scores"], axis=0),
    ]
    constants = [
        helper.make_tensor("factor", kind, [1], [factor]),
        *(
            helper.make_tensor(n, TensorProto.INT64, [1], [v])
            for n, v in (("flat", -1), ("zero", 0), ("two", 2), ("width", width))
        ),
    ]
    first = "m" if "features" in described else 1
    shape = ["n"] if rank == 1 else [first, "n"] if rank == 2 else [1, "m", "n"]
    graph = helper.make_graph(
        nodes,
        "mean and power",
        [helper.make_tensor_value_info("samples", kind, shape)],
        [helper.make_tensor_value_info(name, kind, ["m"]) for name in ("vector", "scores")],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    folder.mkdir(exist_ok=True)
    path = folder / "model.onnx"
    onnx.save(model, path)
    usual = {"input": "samples", "vector": "vector", "dimension": 3}
    given = usual | {"scores": "scores", "classes": CLASSES} | described
    path.with_suffix(".json").write_text(
        json.dumps({k: v for k, v in given.items() if v is not None})
    )
    return path


def load(path: Path):
    return load_embedder(f"onnx:{path}", Settings(device="cpu"))


class TestOnnx(EmbedderTests):
    longest = 35.0

    @pytest.fixture
    def embedder(self, tmp_path):
        return load(write(tmp_path / "one"))

    @pytest.fixture
    def changed(self, tmp_path):
        return load(write(tmp_path / "other", factor=2.0))


@pytest.mark.parametrize("rank", [1, 2])
def test_a_file_gives_what_it_computes(tmp_path, rank):
    clip = tone(1.0, 200)
    model = load(write(tmp_path, rank=rank))
    found = model.embed([clip])
    assert np.allclose(found.vectors, [[clip.mean(), (clip**2).mean(), clip.max()]], atol=1e-6)
    assert model.classes == ("sad", "angry")
    assert found.scores[0, 1] > found.scores[0, 0]


def test_a_file_without_scores_gives_none(tmp_path):
    model = load(write(tmp_path, scores=None, classes=None))
    assert model.classes == ()
    assert model.embed([tone(1.0)]).scores.shape == (1, 0)
    assert model.scores(np.ones((2, 3), np.float32)).shape == (2, 0)


def test_long_clips_go_in_by_pieces_short_ones_filled_up_others_rates_resampled(tmp_path):
    clip = np.concatenate([tone(1.5, 200), 0.1 * tone(1.5, 200)])
    pieces = load(write(tmp_path / "pieces", longest=1.5)).embed([clip]).vectors[0]
    halves = load(write(tmp_path / "whole")).embed([clip[:24_000], clip[24_000:]]).vectors
    assert np.allclose(pieces, halves.mean(axis=0), atol=1e-6)
    short = load(write(tmp_path / "short", shortest=0.5)).embed([tone(0.25)]).vectors[0]
    filled = np.concatenate([tone(0.25), np.zeros(4000, np.float32)])
    assert np.array_equal(short, load(tmp_path / "whole" / "model.onnx").embed([filled]).vectors[0])
    other = load(write(tmp_path / "rate", sample_rate=8000)).embed([tone(1.0, 5000)]).vectors
    assert other[0, 1] < 0.01  # 5 kHz is not in audio of 8 kHz


MEL = {"n_mels": 16, "n_fft": 512, "win_length": 400, "hop_length": 160}


class TestOnnxOfFeatures(EmbedderTests):
    longest = 31.0

    @pytest.fixture
    def embedder(self, tmp_path):
        return load(write(tmp_path / "one", rank=3, features=MEL))

    @pytest.fixture
    def changed(self, tmp_path):
        return load(write(tmp_path / "other", rank=3, features=MEL | {"mel_scale": "slaney"}))


@pytest.mark.parametrize("rank", [2, 3])
def test_a_file_of_features_is_given_those_that_are_declared(tmp_path, rank):
    clip, edges = tone(1.0, 400), np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 18)
    hz = 700 * (10 ** (edges / 2595) - 1)
    bins = np.arange(257) * 16_000 / 512
    bands = [
        np.minimum((bins - a) / (b - a), (c - bins) / (c - b)).clip(0)
        for a, b, c in zip(hz, hz[1:], hz[2:], strict=False)
    ]
    frames = np.lib.stride_tricks.sliding_window_view(clip, 400)[::160]
    window = np.hanning(401)[:400]
    power = np.abs(np.fft.rfft(frames * window, 512)) ** 2
    wanted = np.log10(np.maximum(power @ np.array(bands).T, 1e-6))
    described = MEL | {"center": False, "log": "log10", "floor": 1e-6}
    found = load(write(tmp_path, rank=rank, features=described)).embed([clip]).vectors[0]
    assert found == pytest.approx([wanted.mean(), (wanted**2).mean(), wanted.max()], rel=1e-3)


def test_features_that_make_no_sense_are_told_in_a_line(tmp_path):
    with pytest.raises(ModelUnavailableError, match=r"features\.hop_length: Field required"):
        load(write(tmp_path / "a", rank=3, features={"n_mels": 4, "n_fft": 64, "win_length": 64}))
    with pytest.raises(ModelUnavailableError, match="features cannot be computed") as raised:
        load(write(tmp_path / "b", rank=3, features=MEL | {"win_length": 1024}))
    assert "\n" not in str(raised.value)
    with pytest.raises(ModelUnavailableError, match=r"features are tensor.float. of two axes"):
        load(write(tmp_path / "c", rank=1, features=MEL))


def test_the_fingerprint_goes_by_file_and_description_and_data_beside(tmp_path):
    path = write(tmp_path)
    before = load(path).fingerprint
    described = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(described | {"about": "mine"}))
    assert load(path).fingerprint == before
    path.with_suffix(".json").write_text(json.dumps(described | {"classes": ["a", "b"]}))
    renamed = load(path).fingerprint
    (tmp_path / "model.onnx.data").write_bytes(b"weights")
    assert len({before, renamed, load(path).fingerprint}) == 3


def test_the_fingerprint_goes_by_the_file_of_any_name_and_not_by_others_beside(tmp_path):
    one = write(tmp_path / "one").rename(tmp_path / "model[1].onnx")
    (tmp_path / "one" / "model.json").rename(tmp_path / "model[1].json")
    before = load(one).fingerprint
    (tmp_path / "model[1].onnx.old").mkdir()
    assert load(one).fingerprint == before
    write(tmp_path / "one", factor=2.0).replace(one)
    assert load(one).fingerprint != before


@pytest.mark.parametrize(
    ("described", "fault"),
    [
        ({"dimension": 4}, r"vector is float32 of shape \(3,\); .* says float32 of shape \(1, 4\)"),
        ({"classes": ["a", "b", "c"]}, r"scores is float32 of shape \(2,\)"),
        ({"vector": "vektor"}, "has no output 'vektor'"),
        ({"input": "sample"}, "takes samples; its description says sample alone"),
        ({"scores": "first"}, "has no output 'first'"),
        ({"scores": "vector", "classes": ["a", "b", "c"]}, "no probabilities"),
        ({"classes": None}, "scores and classes go together"),
        ({"dimension": "many"}, "dimension: Input should be a valid integer"),
        ({"dimension": None}, "dimension: Field required"),
        ({"classes": ["a", "a"]}, "two of its classes .* have one name"),
        ({"longest": 1e9}, "longest: Input should be less than or equal to 3600"),
        ({"colour": "red"}, "colour: Extra inputs are not permitted"),
    ],
)
def test_a_file_that_is_not_what_its_description_says_is_refused(tmp_path, described, fault):
    with pytest.raises(ModelUnavailableError, match=fault):
        load(write(tmp_path, **described))


def test_what_is_no_model_is_refused(tmp_path):
    path = write(tmp_path)
    with pytest.raises(ModelUnavailableError, match=r"samples are tensor\(float\) of shape"):
        load(write(tmp_path / "three", rank=3))
    path.write_bytes(b"not ONNX")
    with pytest.raises(ModelUnavailableError, match="is no ONNX model that runs here"):
        load(path)
    path.with_suffix(".json").unlink()
    with pytest.raises(ModelUnavailableError, match=r"has no model\.json beside it"):
        load(path)
    path.unlink()
    with pytest.raises(ModelUnavailableError, match="there is no file"):
        load(path)


def test_a_relative_name_becomes_absolute(tmp_path, monkeypatch):
    write(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert absolute("onnx:model.onnx") == f"onnx:{tmp_path}/model.onnx"


def test_without_onnxruntime_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    name = f"onnx:{write(tmp_path)}"
    with pytest.raises(ModelUnavailableError, match=r"pip install 'emotion-search\[onnx\]'"):
        family_of(name).load(name, Settings())


@pytest.mark.slow
def test_exported_emotion2vec_answers_as_funasr_does(checkpoint, tmp_path):
    from emotion_search.engine.embedders.onnx.export import export_onnx

    own = Emotion2vec(checkpoint, name="small", device="cpu")
    exported = export_onnx(own, tmp_path / "e.onnx")
    assert [*exported.differences] == [0.025, 1.0, 7.0, 30.0]
    assert max(exported.differences.values()) < 1e-5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["e.json", "e.onnx"]
    model = load(exported.path)
    assert model.classes == own.classes
    theirs = funasr_model(checkpoint)
    for seconds in (1.0, 7.0, 30.0):
        clip = tone(seconds, 200)
        (answer,) = theirs.generate(clip, granularity="utterance", extract_embedding=True)
        found = model.embed([clip])
        assert np.abs(found.vectors[0] - answer["feats"]).max() < 1e-4
        assert np.abs(found.scores[0] - answer["scores"]).max() < 1e-4


def test_a_file_that_gives_other_numbers_is_not_written(tmp_path, monkeypatch):
    from emotion_search.engine.embedders.onnx import export

    monkeypatch.setattr(export, "_write", lambda model, described, path: path.touch())
    monkeypatch.setattr(export, "compare", lambda path, model, described: {1.0: float("nan")})
    with pytest.raises(ModelUnavailableError, match=r"differs from .* not written"):
        export.export_onnx(Voice(), tmp_path / "e.onnx")
    assert [*tmp_path.iterdir()] == []


def test_what_cannot_be_exported_is_told(tmp_path):
    from emotion_search.engine.embedders.onnx.export import export_onnx

    with pytest.raises(InvalidInputError, match="the model acoustic cannot be exported"):
        export_onnx(Acoustic(), tmp_path / "a.onnx")


@pytest.mark.slow
def test_exported_voice_answers_as_the_model_does(tmp_path):
    from emotion_search.engine.embedders.onnx.export import export_onnx

    own = Voice()
    exported = export_onnx(own, tmp_path / "v.onnx")
    assert [*exported.differences] == [1.0, 7.0]
    model = load(exported.path)
    for clip in (tone(0.0633), tone(1.2345, 150), np.zeros(20_000, np.float32)):
        one, two = own.embed([clip]), model.embed([clip])
        assert np.abs(one.vectors - two.vectors).max() < 1e-4
        assert np.abs(one.scores - two.scores).max() < 1e-4
    assert model.embed([tone(0.025)]).vectors.any()
    long = tone(9.0, 150)
    assert np.allclose(model.embed([long]).vectors, own.embed([long]).vectors, atol=1e-4)

"""Emotion2vec through the real FunASR class, on a small checkpoint of random weights."""

import json
import logging
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from emotion_search.engine.embedders.emotion2vec.model import Emotion2vec, english
from emotion_search.engine.embedders.registry import load_embedder
from emotion_search.engine.machine.threads import torch_threads
from emotion_search.engine.settings import Settings
from emotion_search.index.errors import AudioError, ModelUnavailableError
from tests.checkpoints import LABELS, funasr_model, make_checkpoint
from tests.conftest import tone


@pytest.fixture(scope="module")
def embedder(checkpoint: Path) -> Emotion2vec:
    return Emotion2vec(checkpoint, name="small", device="cpu")


def test_it_answers_as_funasr_does(checkpoint: Path, embedder: Emotion2vec):
    theirs = funasr_model(checkpoint)
    clips = [tone(0.025), tone(1.0, 150), tone(3.3, 400)]
    ours = embedder.embed(clips)
    for clip, vector, scores in zip(clips, ours.vectors, ours.scores, strict=True):
        (answer,) = theirs.generate(clip, granularity="utterance", extract_embedding=True)
        feats = answer["feats"]
        cosine = feats @ vector / np.linalg.norm(feats) / np.linalg.norm(vector)
        assert cosine >= 0.999999
        assert np.abs(scores - np.array(answer["scores"])).max() <= 1e-5
        assert answer["labels"] == list(LABELS)


def test_it_says_what_it_is(embedder: Emotion2vec):
    assert embedder.dimension == 32
    assert embedder.classes == (
        "angry",
        "disgusted",
        "fearful",
        "happy",
        "neutral",
        "other",
        "sad",
        "surprised",
        "unknown",
    )
    assert len(embedder.fingerprint) == 64


def test_other_weights_have_another_fingerprint(embedder: Emotion2vec, tmp_path: Path):
    other = Emotion2vec(make_checkpoint(tmp_path / "b", seed=1), name="small", device="cpu")
    same = Emotion2vec(make_checkpoint(tmp_path / "a", seed=0), name="other name", device="cpu")
    assert other.fingerprint != embedder.fingerprint
    assert same.fingerprint == embedder.fingerprint


def test_a_checkpoint_without_a_head_gives_no_scores(tmp_path: Path):
    bare = Emotion2vec(make_checkpoint(tmp_path / "bare", labels=None), name="bare", device="cpu")
    answer = bare.embed([tone(0.5)])
    assert bare.classes == ()
    assert (answer.vectors.shape, answer.scores.shape) == ((1, 32), (1, 0))


def test_unused_classes_are_left_out(tmp_path: Path):
    labels = ("生气/angry", "unuse_0", "难过/sad", "unuse_1", "<unk>")
    partly = Emotion2vec(make_checkpoint(tmp_path / "p", labels=labels), name="p", device="cpu")
    scores = partly.embed([tone(0.5)]).scores
    assert partly.classes == ("angry", "sad", "unknown")
    assert scores.sum() == pytest.approx(1.0, abs=1e-5)


def test_it_leaves_the_process_as_it_was(checkpoint: Path, capfd):
    def seed():
        torch.manual_seed(7)
        random.seed(7)
        np.random.seed(7)

    def numbers():
        return torch.rand(1).item(), random.random(), np.random.rand()

    def state():
        root = logging.getLogger()
        return list(root.handlers), root.level, torch.get_num_threads(), torch.initial_seed()

    with torch_threads(2):
        seed()
        before, expected = state(), numbers()
        seed()
        Emotion2vec(checkpoint, name="small", device="cpu").embed([tone(0.5)])
        assert numbers() == expected
        assert state() == before
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("bad", [np.zeros(399, np.float32), np.full(800, np.nan, np.float32)])
def test_what_cannot_be_embedded_is_refused(embedder: Emotion2vec, bad):
    with pytest.raises(AudioError):
        embedder.embed([bad])


def test_scores_of_stored_vectors_are_those_of_the_clip_wherever_the_archive_lies(
    embedder: Emotion2vec,
):
    embedded = embedder.embed([tone(0.5, 150), tone(1.0, 300)])
    again = embedder.scores(embedded.vectors)
    assert np.allclose(again, embedded.scores, atol=1e-6)
    assert not embedder.adapts
    assert np.array_equal(embedder.scores(embedded.vectors, embedded.vectors[0]), again)


def test_english_names():
    assert [english(label) for label in ("生气/angry", "<unk>", "Sad")] == [
        "angry",
        "unknown",
        "sad",
    ]


@pytest.mark.parametrize("harm", ["truncated", "no weights", "no config", "foreign", "not torch"])
def test_a_broken_checkpoint_is_refused(tmp_path: Path, harm):
    folder = make_checkpoint(tmp_path / "broken")
    weights = folder / "model.pt"
    if harm == "truncated":
        weights.write_bytes(weights.read_bytes()[:-5000])
    elif harm == "no weights":
        weights.unlink()
    elif harm == "no config":
        (folder / "config.yaml").unlink()
    elif harm == "foreign":
        torch.save({"model": {"some.other.weight": torch.zeros(3)}}, weights)
    else:
        weights.write_bytes(b"not a checkpoint")
    with pytest.raises(ModelUnavailableError, match="broken"):
        load_embedder(str(folder), Settings())


def test_weights_are_the_file_that_the_folder_names(checkpoint: Path, tmp_path: Path):
    folder = make_checkpoint(tmp_path / "base", labels=None)
    (folder / "model.pt").rename(folder / "emotion2vec_base.pt")
    metas = {"init_param": "emotion2vec_base.pt", "config": "config.yaml"}
    (folder / "configuration.json").write_text(json.dumps({"file_path_metas": metas}))
    assert load_embedder(str(folder), Settings(device="cpu")).dimension == 32
    (folder / "emotion2vec_base.pt").unlink()
    with pytest.raises(ModelUnavailableError, match=r"has no emotion2vec_base\.pt"):
        load_embedder(str(folder), Settings(device="cpu"))


def test_weights_may_be_safetensors(embedder: Emotion2vec, tmp_path: Path):
    folder = make_checkpoint(tmp_path / "safe")
    state = torch.load(folder / "model.pt", weights_only=True)["model"]
    (folder / "model.pt").unlink()
    weights = folder / "model.safetensors"
    save_file(state, weights)
    assert load_embedder(str(folder), Settings(device="cpu")).fingerprint == embedder.fingerprint
    weights.write_bytes(weights.read_bytes()[:-5000])
    with pytest.raises(ModelUnavailableError, match=r"model\.safetensors is truncated"):
        load_embedder(str(folder), Settings(device="cpu"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("configuration.json", "[]"),
        ("configuration.json", "{"),
        ("configuration.json", "[" * 100_000),
        ("configuration.json", '{"file_path_metas": ["model.pt"]}'),
        ("configuration.json", '{"file_path_metas": {"tokenizer_conf": "tokens.txt"}}'),
        ("config.yaml", "- Emotion2vec"),
        ("config.yaml", "{model: Emotion2vec, model_conf: [1]}"),
        ("config.yaml", "{model: Emotion2vec, model_conf: {modalities: audio}}"),
        ("config.yaml", "{model: Emotion2vec, model_conf: {modalities: {audio: 3}}}"),
        ("config.yaml", "{model: Emotion2vec, scope_map: 3}"),
    ],
)
def test_a_checkpoint_of_another_shape_is_refused(tmp_path: Path, name: str, content: str):
    folder = make_checkpoint(tmp_path / "odd")
    (folder / name).write_text(content)
    with pytest.raises(ModelUnavailableError, match=r"model folder .*odd"):
        load_embedder(str(folder), Settings(device="cpu"))


def test_the_built_in_model_says_that_it_has_no_choice_of_device(caplog):
    with pytest.raises(ModelUnavailableError, match="device moon is not usable"):
        load_embedder("acoustic", Settings(device="moon"))
    with caplog.at_level(logging.WARNING):
        load_embedder("acoustic", Settings(device="cpu"))
        assert caplog.messages == []
        load_embedder("acoustic", Settings(device="meta"))
    assert caplog.messages == ["device meta has no effect: the model acoustic runs on the CPU"]


def test_without_a_network_the_cures_are_named_at_once(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path))
    with pytest.raises(ModelUnavailableError, match=r"--model voice.*--model /path"):
        load_embedder("iic/emotion2vec_plus_large", Settings())


def test_a_folder_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(ModelUnavailableError, match="no such folder"):
        load_embedder(str(tmp_path / "nowhere"), Settings())

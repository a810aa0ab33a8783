"""``hf:`` models: real classes of transformers with random weights, made here, no network."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emotion_search.engine.embedders.huggingface.folder import Wanted, parse
from emotion_search.engine.embedders.quiet import undisturbed
from emotion_search.engine.embedders.registry import absolute, is_path, load_embedder
from emotion_search.engine.embedders.registry import family_of as family
from emotion_search.engine.settings import Settings
from emotion_search.index.errors import InvalidInputError, ModelUnavailableError
from emotion_search.testing import EmbedderTests
from tests.conftest import tone

transformers = pytest.importorskip("transformers")

SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "classifier_proj_size": 8,
}
WHISPER = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "vocab_size": 100,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}
CLASSES = {"num_labels": 3, "id2label": {0: "Angry", 1: "sad", 2: "neutral"}}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "wav2vec2": ("Wav2Vec2Model", SMALL),
    "wavlm": ("WavLMModel", SMALL),
    "hubert": ("HubertForSequenceClassification", SMALL | CLASSES),
    "mixed": (
        "Wav2Vec2ForSequenceClassification",
        SMALL | CLASSES | {"use_weighted_layer_sum": True},
    ),
    "numbers": (
        "Wav2Vec2ForSequenceClassification",
        SMALL | CLASSES | {"problem_type": "regression"},
    ),
    "whisper": ("WhisperModel", WHISPER),
    "whisper classes": ("WhisperForAudioClassification", WHISPER | CLASSES),
}


def save(folder: Path, kind: str, seed: int = 0) -> Path:
    """A folder as the hub has them."""
    name, sizes = KINDS[kind]
    cls = getattr(transformers, name)
    with undisturbed():
        torch.manual_seed(seed)
        model = cls(cls.config_class(**sizes))
        for weight in model.parameters():
            torch.nn.init.normal_(weight, 0.02, 0.15)
        model.save_pretrained(folder)
        extract = "WhisperFeatureExtractor" if "whisper" in kind else "Wav2Vec2FeatureExtractor"
        getattr(transformers, extract)().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    parent = tmp_path_factory.mktemp("hf")
    return {kind: save(parent / kind, kind) for kind in KINDS}


@cache
def load_once(folder: Path, rest: str):
    return load(folder, rest)


def load(folder: Path, rest: str = ""):
    name = f"hf:{folder}{rest}"
    return family(name).load(name, Settings(device="cpu"))


class HuggingFaceTests(EmbedderTests):
    longest = 31.0  # beyond what goes through at once
    kind, rest = "", ""

    @pytest.fixture
    def embedder(self, folders):
        return load_once(folders[self.kind], self.rest)

    @pytest.fixture
    def changed(self, tmp_path):
        return load(save(tmp_path / "other", self.kind, seed=1), self.rest)


class TestWav2vec2(HuggingFaceTests):
    kind = "wav2vec2"


class TestWavlm(HuggingFaceTests):
    kind, rest = "wavlm", "@2,mean+std"


class TestHubertWithClasses(HuggingFaceTests):
    kind = "hubert"


class TestWhisper(HuggingFaceTests):
    kind = "whisper"


@pytest.mark.parametrize("kind", ["hubert", "mixed", "whisper classes"])
def test_scores_are_those_of_the_models_own_head(folders, kind):
    clip = tone(1.3, 200)
    with undisturbed():
        cls = transformers.AutoModelForAudioClassification
        model = cls.from_pretrained(folders[kind]).eval()
        extract = transformers.AutoFeatureExtractor.from_pretrained(folders[kind])
    with torch.inference_mode():
        inputs = extract(clip, sampling_rate=16_000, return_tensors="pt")
        theirs = model(**inputs).logits.softmax(dim=1).numpy()
    ours = load(folders[kind])
    assert ours.classes == ("angry", "sad", "neutral")
    assert np.abs(ours.embed([clip]).scores - theirs).max() < 1e-5
    assert np.ptp(theirs) > 0.01


def test_layer_and_pooling_are_in_the_name(folders):
    clip = tone(1.0)
    with undisturbed():
        model = transformers.AutoModel.from_pretrained(folders["wavlm"]).eval()
        extract = transformers.AutoFeatureExtractor.from_pretrained(folders["wavlm"])
    with torch.inference_mode():
        inputs = extract(clip, sampling_rate=16_000, return_tensors="pt")
        states = model(**inputs, output_hidden_states=True).hidden_states
    for rest, layer in (("", 3), ("@0", 0), ("@1", 1), ("@3", 3)):
        found = load(folders["wavlm"], rest).vector(clip)
        assert np.allclose(found, states[layer][0].mean(dim=0), atol=1e-5)
    found = load(folders["wavlm"], "@mean+std").vector(clip)
    assert np.allclose(found[32:], states[3][0].std(dim=0, correction=0), atol=1e-5)


def test_frames_are_those_of_wav2vec_and_not_whispers(folders):
    clip = tone(1.0)
    model = load(folders["hubert"])
    frames = model.frames(clip)
    assert frames.vectors.shape == (49, 32)
    assert np.allclose(frames.vectors.mean(axis=0), model.vector(clip), atol=1e-5)
    with pytest.raises(InvalidInputError, match="has no frames"):
        load(folders["whisper"]).frames(clip)


def test_what_fills_up_whispers_window_does_not_count(folders):
    with undisturbed():
        model = transformers.AutoModel.from_pretrained(folders["whisper"]).encoder.eval()
        extract = transformers.AutoFeatureExtractor.from_pretrained(folders["whisper"])
    with torch.inference_mode():
        inputs = extract(tone(1.0), sampling_rate=16_000, return_tensors="pt")
        states = model(**inputs).last_hidden_state[0]
    found = load(folders["whisper"]).vector(tone(1.0))
    assert np.allclose(found, states[:50].mean(dim=0), atol=1e-5)


def test_other_heads_and_layers_give_no_scores(folders):
    assert load(folders["numbers"]).classes == ()
    assert load(folders["hubert"], "@1").classes == ()


def test_the_fingerprint_goes_by_weights_layer_and_pooling_not_by_place(folders, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folders["wav2vec2"], copy)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"transformers_version": "6.0"}))
    model = load(folders["wav2vec2"])
    assert load(copy).fingerprint == model.fingerprint
    (copy / "config.json").write_text(json.dumps(config | {"layer_norm_eps": 0.1}))
    others = {load(copy).fingerprint} | {
        load(folders["wav2vec2"], rest).fingerprint for rest in ("@1", "@mean+std")
    }
    assert len(others | {model.fingerprint}) == 4


def test_a_name_is_taken_apart(tmp_path, monkeypatch):
    assert parse("hf:owner/name") == Wanted("owner/name")
    assert parse("hf:owner/name@12,mean+std,revision=main") == Wanted(
        "owner/name", 12, "mean+std", "main"
    )
    for rest in ("@attention", "@-1", "@", "@revision="):
        with pytest.raises(InvalidInputError, match="after @ stand"):
            parse(f"hf:owner/name{rest}")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "h@me").mkdir()
    assert parse("hf:h@me") == Wanted("h@me")
    assert absolute("hf:h@me@3") == f"hf:{tmp_path}/h@me@3"
    assert is_path("hf:h@me@3")
    assert absolute("hf:owner/name@3") == "hf:owner/name@3"


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        ("remote", "wants to run code of its own"),
        ("no extractor", "lacks one of config.json, preprocessor_config.json"),
        ("no weights", r"or pytorch_model\.bin"),
        ("truncated", "cannot be loaded"),
        ("not JSON", "config.json cannot be read"),
        ("one weight less", "weight .* is missing"),
        ("another shape", "weight .*layer_norm.weight is missing or of another shape"),
        ("a folder as weights", "model.safetensors cannot be read"),
        ("pictures", "takes no audio .its sampling_rate is None"),
        ("text", "is no audio encoder"),
    ],
)
def test_what_cannot_be_used_is_told_in_a_line(folders, tmp_path, harm, message):
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "bad"
    shutil.copytree(folders["wav2vec2"], folder)
    config, weights = folder / "config.json", folder / "model.safetensors"
    if harm == "remote":
        remote = {"model_type": "mine", "auto_map": {"AutoConfig": "code.Config"}}
        config.write_text(json.dumps(remote))
    elif harm == "no extractor":
        (folder / "preprocessor_config.json").unlink()
    elif harm == "no weights":
        weights.unlink()
    elif harm == "truncated":
        weights.write_bytes(weights.read_bytes()[:-5000])
    elif harm == "not JSON":
        config.write_text("{")
    elif harm == "one weight less":
        tensors = load_file(weights)
        del tensors["encoder.layers.1.layer_norm.weight"]
        save_file(tensors, weights, {"format": "pt"})
    elif harm == "another shape":
        tensors = load_file(weights)
        tensors["encoder.layers.1.layer_norm.weight"] = tensors[
            "encoder.layers.1.layer_norm.weight"
        ][:3]
        save_file(tensors, weights, {"format": "pt"})
    elif harm == "a folder as weights":
        weights.unlink()
        weights.mkdir()
    elif harm == "pictures":
        settings = {"sampling_rate": None, "feature_extractor_type": "Wav2Vec2FeatureExtractor"}
        (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    else:
        sizes = {k: SMALL[k] for k in list(SMALL)[:4]}
        with undisturbed():
            bert = transformers.BertModel(transformers.BertConfig(vocab_size=99, **sizes))
            bert.save_pretrained(folder)
    with pytest.raises(ModelUnavailableError, match=message) as raised:
        load(folder)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({1: "sad", 2: "happy", 3: "angry"}, "gives no names to classes 0, 1"),
        ({0: 5, 1: "happy", 2: "angry"}, "gives no names to classes 0, 1"),
        ({0: "Sad", 1: "sad ", 2: "angry"}, "two of its classes .* have one name"),
    ],
)
def test_heads_whose_classes_have_no_names_of_their_own_are_refused(
    folders, tmp_path, labels, message
):
    folder = tmp_path / "odd"
    shutil.copytree(folders["hubert"], folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"id2label": labels}))
    with pytest.raises(ModelUnavailableError, match=message):
        load_embedder(f"hf:{folder}", Settings(device="cpu"))


def test_a_model_of_another_rate_takes_the_shortest_clip(folders, tmp_path):
    folder = tmp_path / "phone"
    shutil.copytree(folders["wav2vec2"], folder)
    config = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps(config | {"sampling_rate": 8000}))
    vectors = load(folder).embed([np.ones(400, np.float32)]).vectors
    assert np.isfinite(vectors).all()


def test_a_layer_that_there_is_not_is_told(folders):
    with pytest.raises(InvalidInputError, match="the last layer is 3"):
        load(folders["wavlm"], "@4")


def test_a_model_in_the_cache_asks_no_network(folders, monkeypatch):
    asked = []

    def snapshot(name, *, revision, local_files_only):
        asked.append((name, revision, local_files_only))
        return str(folders["wav2vec2"])

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    name = "hf:owner/name@revision=v1"
    assert family(name).load(name, Settings(device="cpu")).name == name
    assert asked == [("owner/name", "v1", True)]
    assert family(name).place(name, Settings()) == str(folders["wav2vec2"])


def test_weights_of_the_older_format_are_downloaded_where_there_are_no_others(
    folders, monkeypatch, tmp_path
):
    def snapshot(name, *, revision, local_files_only=False, allow_patterns=()):
        if local_files_only:
            raise FileNotFoundError
        shutil.copy(folders["wav2vec2"] / "config.json", tmp_path)
        shutil.copy(folders["wav2vec2"] / "preprocessor_config.json", tmp_path)
        if "pytorch_model*.bin*" in allow_patterns:
            (tmp_path / "pytorch_model.bin").touch()
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    monkeypatch.setattr("emotion_search.engine.embedders.hub.require_reachable", lambda *_: None)
    assert family("hf:owner/name").files("hf:owner/name", Settings()) == tmp_path
    assert (tmp_path / "pytorch_model.bin").exists()


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        (
            "---\nlanguage: en\nlicense: cc-by-nc-sa-4.0\ntags:\n- speech\n---\nText.",
            "cc-by-nc-sa-4.0",
        ),
        ("---\nlanguage: en\n---\nlicense: none", None),
        ("license: mit\n", None),
        (None, None),
    ],
)
def test_the_licence_is_what_the_head_of_the_card_says(tmp_path, card, licence):
    if card is not None:
        (tmp_path / "README.md").write_text(card)
    name = f"hf:{tmp_path}@1"
    assert family(name).licence(name, Settings()) == licence


def test_without_a_network_the_cures_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelUnavailableError, match=r"cannot be reached.*--model voice"):
        family("hf:no/such").load("hf:no/such", Settings())
    with pytest.raises(ModelUnavailableError, match="no such folder"):
        load(tmp_path / "none")

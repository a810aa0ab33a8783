"""Valence, arousal and dominance that a model estimates itself: audeering's head, transformers'
own, plug-ins; where they go in an archive."""

import json
import shutil
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from emotion_search import BaseEmbedder, ClipFilter, cli
from emotion_search.engine.embedders.base import Embeddings
from emotion_search.engine.embedders.quiet import undisturbed
from emotion_search.engine.embedders.registry import family_of, load_embedder
from emotion_search.engine.embedders.shared import SharedEmbedder
from emotion_search.engine.files.scan import find_audio
from emotion_search.engine.library.library import Library
from emotion_search.engine.quality.archive_labels import labelled
from emotion_search.engine.quality.ranks import rank_correlations
from emotion_search.engine.settings import Settings
from emotion_search.index.database.affect import DIMENSIONS
from emotion_search.index.errors import AbsentError, ModelFailedError, ModelUnavailableError
from emotion_search.testing import EmbedderTests
from tests.conftest import tone, write_wav
from tests.engine.embedders.test_huggingface import SMALL

transformers = pytest.importorskip("transformers")

NAMES = {0: "arousal", 1: "dominance", 2: "valence"}


@cache
def audeering() -> type:
    """The class that the card of audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim describes;
    not made while tests are collected, which would load much."""

    class Head(torch.nn.Module):
        def __init__(self, config):
            super().__init__()
            self.dense = torch.nn.Linear(config.hidden_size, config.hidden_size)
            self.out_proj = torch.nn.Linear(config.hidden_size, config.num_labels)

        def forward(self, vectors):
            return self.out_proj(torch.tanh(self.dense(vectors)))

    class Wav2Vec2ForSpeechClassification(transformers.Wav2Vec2PreTrainedModel):
        def __init__(self, config):
            super().__init__(config)
            self.wav2vec2 = transformers.Wav2Vec2Model(config)
            self.classifier = Head(config)
            self.post_init()

        def forward(self, input_values):
            return self.classifier(self.wav2vec2(input_values)[0].mean(dim=1))

    return Wav2Vec2ForSpeechClassification


def save(folder: Path, kind: str = "audeering", seed: int = 0, **config):
    """The folder and the model that it was saved from."""
    with undisturbed():
        torch.manual_seed(seed)
        config = transformers.Wav2Vec2Config(**{**SMALL, "id2label": NAMES, **config})
        own = transformers.Wav2Vec2ForSequenceClassification
        model = (audeering() if kind == "audeering" else own)(config).eval()
        for weight in model.parameters():
            torch.nn.init.normal_(weight, 0.02, 0.15)
        model.save_pretrained(folder)
        transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder, model


def load(folder: Path, rest: str = ""):
    name = f"hf:{folder}{rest}"
    return family_of(name).load(name, Settings(device="cpu"))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save(tmp_path_factory.mktemp("dim"))


class TestOwnAffect(EmbedderTests):
    longest = 5.0

    @pytest.fixture(scope="class")
    @classmethod
    def embedder(cls, saved):
        return load(saved[0])

    @pytest.fixture
    def changed(self, tmp_path):
        return load(save(tmp_path / "other", seed=1)[0])


def theirs(model, folder: Path, clip: np.ndarray) -> np.ndarray:
    """What the model itself says: arousal, dominance, valence, 0 to 1 or somewhat beyond."""
    with undisturbed():
        extract = transformers.AutoFeatureExtractor.from_pretrained(folder)
    with torch.inference_mode():
        found = model(extract(clip, sampling_rate=16_000, return_tensors="pt").input_values)
        return getattr(found, "logits", found)[0].numpy()


@pytest.mark.parametrize("kind", ["audeering", "transformers' own"])
def test_they_are_those_of_the_models_head_at_minus_one_to_one(tmp_path, kind):
    folder, model = save(tmp_path / "dim", kind)
    clips = [tone(1.0, 200), tone(1.3, 400)]
    arousal, dominance, valence = np.array([theirs(model, folder, clip) for clip in clips]).T
    found = load(folder).embed(clips)
    wanted = np.clip(2 * np.stack([valence, arousal, dominance], axis=1) - 1, -1, 1)
    assert DIMENSIONS == ("valence", "arousal", "dominance")
    assert found.affect == pytest.approx(wanted, abs=1e-5)
    assert found.scores.shape == (2, 0)
    assert len(set(np.round(wanted, 3)[0])) > 1


def test_weights_of_the_older_format_give_the_same(saved, tmp_path):
    folder = tmp_path / "bin"
    shutil.copytree(saved[0], folder)
    (folder / "model.safetensors").unlink()
    torch.save(saved[1].state_dict(), folder / "pytorch_model.bin")
    clip = [tone(1.0)]
    assert np.array_equal(load(folder).embed(clip).affect, load(saved[0]).embed(clip).affect)


def test_other_layers_and_other_names_of_the_outputs_have_none(saved, tmp_path):
    assert load(saved[0], "@1").embed([tone(1.0)]).affect is None
    folder, _ = save(tmp_path / "other", id2label={0: "a", 1: "b", 2: "c"})
    assert load(folder).embed([tone(1.0)]).affect is None


def test_a_head_of_another_kind_is_left_out_with_a_notice(saved, tmp_path, caplog):
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "odd"
    shutil.copytree(saved[0], folder)
    tensors = load_file(folder / "model.safetensors")
    tensors["classifier.other.weight"] = tensors.pop("classifier.dense.weight")
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    assert load(folder).embed([tone(1.0)]).affect is None
    assert "its head is of a kind that is not known" in caplog.text
    tensors["classifier.dense.weight"] = tensors.pop("classifier.other.weight")[:, :5].clone()
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        ModelUnavailableError, match=r"classifier\.dense\.weight is of another shape"
    ) as raised:
        load(folder)
    assert "\n" not in str(raised.value)


class Both(BaseEmbedder):
    """A model with classes, whose valence is not what would be derived from their scores."""

    name, fingerprint, dimension, classes = "both", "1" * 64, 2, ("angry", "happy")

    def vector(self, clip):
        return np.array([1, np.abs(clip).mean()], np.float32)

    def scores(self, vectors, centre=None):
        return np.full((len(vectors), 2), 0.5, np.float32)

    def affect(self, vectors):
        loud = np.clip(vectors[:, 1:], 0, 1)
        return np.concatenate([-loud, loud, 0 * loud], axis=1)


def archive(tmp_path: Path, model, monkeypatch) -> Library:
    """An archive of four files, each louder than the last, under a model."""
    monkeypatch.setattr(
        "emotion_search.engine.archive.archive.load_embedder",
        lambda name, settings: SharedEmbedder(model, threads=1),
    )
    for number in range(4):
        write_wav(tmp_path / "in" / f"{number}.wav", (0.5 + number / 5) * tone(1.0))
    library = Library.open(Settings(home=tmp_path / "home", device="cpu"), create=True)
    library.ingest(find_audio([str(tmp_path / "in")]).files)
    return library


def test_an_archive_stores_filters_sorts_and_evaluates_them_as_the_models_own(
    tmp_path, monkeypatch
):
    with archive(tmp_path, Both(), monkeypatch) as library:
        clips = library.clips()
        loud = [np.abs((0.5 + n / 5) * tone(1.0)).mean() for n in range(4)]
        for clip, level in zip(clips, loud, strict=True):
            wanted = {"valence": -level, "arousal": level, "dominance": 0}
            assert clip.affect == pytest.approx(wanted, abs=1e-4)
            assert not clip.derived
            assert clip.scores == {"angry": 0.5, "happy": 0.5}
        assert [one.clip.id for one in library.sorted_clips("arousal").clips] == [4, 3, 2, 1]
        middle = ClipFilter(min_arousal=(loud[0] + loud[1]) / 2)
        assert [clip.id for clip in library.clips(middle)] == [2, 3, 4]
        assert {hit.clip.id for hit in library.search(1, wanted=middle)} == {2, 3, 4}
        library.label([(clip.id, "arousal", str(clip.id // 3)) for clip in clips])
        ((data, _),) = labelled(library.database, [library.model()], "arousal", most=9)
        ranks = rank_correlations(data, rounds=0, seed=0)
        assert ranks["arousal"].value == -ranks["valence"].value > 0.8


def test_a_model_without_classes_has_them_on_the_command_line(saved, tmp_path, monkeypatch, capsys):
    with archive(tmp_path, load(saved[0]), monkeypatch):
        pass
    monkeypatch.setenv("EMOTION_SEARCH_HOME", str(tmp_path / "home"))

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["emotion-search", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
            sys.exit(0)
        assert not stop.value.code
        return capsys.readouterr().out

    records = [
        json.loads(line)
        for line in run("search", "--sort", "valence", "--json").split("\n")
        if line
    ]
    assert [one["affect"]["derived"] for one in records] == [False] * 4
    found = [one["affect"]["valence"] for one in records]
    assert found == sorted(found, reverse=True)
    assert "derived" not in run("search", "--sort", "valence")
    assert "by the model" in run("show", "1")


def test_a_model_with_neither_cannot_be_sorted_by_them(tmp_path, monkeypatch):
    model = Both()
    model.classes = ()
    model.scores = lambda vectors, centre=None: np.empty((len(vectors), 0), np.float32)
    model.affect = lambda vectors: None
    with (
        archive(tmp_path, model, monkeypatch) as library,
        pytest.raises(AbsentError, match="gives neither arousal nor scores"),
    ):
        library.sorted_clips("arousal")


@pytest.mark.parametrize("fault", ["shape", "beyond", "NaN", "adapts"])
def test_what_is_no_affect_is_the_models_fault(fault):
    model = Both()
    given = {
        "shape": np.zeros((1, 2)),
        "beyond": np.full((1, 3), 1.5),
        "NaN": np.full((1, 3), np.nan),
    }
    model.affect = lambda vectors: given.get(fault, np.zeros((1, 3))).astype(np.float32)
    model.adapts = fault == "adapts"
    with pytest.raises(ModelFailedError, match="both gave valence, arousal and dominance that"):
        SharedEmbedder(model, threads=1).embed([tone(1.0)])


def test_clips_of_several_calls_keep_their_own(saved):
    clips = [tone(1.0, 150 + 50 * n) for n in range(4)]
    shared = load_embedder(f"hf:{saved[0]}", Settings(device="cpu"))
    found = shared.embed(clips)
    assert isinstance(found, Embeddings)
    assert found.affect == pytest.approx(load(saved[0]).embed(clips).affect, abs=1e-5)

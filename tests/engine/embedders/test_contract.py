"""Our own models pass the tests that plug-ins are held to."""

from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from emotion_search.engine.embedders.acoustic import model as acoustic
from emotion_search.engine.embedders.acoustic.model import Acoustic
from emotion_search.engine.embedders.emotion2vec.model import Emotion2vec
from emotion_search.engine.embedders.voice import model as voice
from emotion_search.engine.embedders.voice.model import Voice
from emotion_search.testing import EmbedderTests
from tests.checkpoints import make_checkpoint


def other_weights(path: Path, copy: Path) -> Path:
    """A copy of a file of weights, of which one is another."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    tensors["classes"][0, 0] += 1
    save_file(tensors, copy, metadata)
    return copy


class TestVoice(EmbedderTests):
    longest = 20.0

    @pytest.fixture(scope="class")
    @classmethod
    def embedder(cls):
        return Voice()

    @pytest.fixture
    def changed(self, tmp_path):
        return Voice(other_weights(voice.WEIGHTS, tmp_path / "other.voice.safetensors"))


class TestAcoustic(EmbedderTests):
    longest = 20.0

    @pytest.fixture(scope="class")
    @classmethod
    def embedder(cls):
        return Acoustic()

    @pytest.fixture
    def changed(self, tmp_path):
        return Acoustic(other_weights(acoustic.WEIGHTS, tmp_path / "other.safetensors"))


class TestEmotion2vec(EmbedderTests):
    longest = 35.0  # beyond what one matrix of attention holds

    @pytest.fixture(scope="class")
    @classmethod
    def embedder(cls, checkpoint):
        return Emotion2vec(checkpoint, name="small", device="cpu")

    @pytest.fixture
    def changed(self, tmp_path):
        return Emotion2vec(make_checkpoint(tmp_path / "other", seed=1), name="small", device="cpu")

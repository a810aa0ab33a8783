"""Our own models pass the tests that plug-ins are held to."""

import time
from inspect import signature
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from emotion_search.engine.embedders.acoustic import model as acoustic
from emotion_search.engine.embedders.acoustic.model import Acoustic
from emotion_search.engine.embedders.base import BaseEmbedder, Embeddings, Frames, check
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


class Mean(BaseEmbedder):
    """A model without faults: mean square and peak of a clip."""

    name, fingerprint, dimension, classes = "mean", "0" * 64, 2, ("low", "high")

    def vector(self, clip):
        return np.array([np.mean(clip**2), np.abs(clip).max()], np.float32)

    def scores(self, vectors, centre=None):
        high = 1 / (1 + np.exp(-vectors[:, :1]))
        return np.concatenate([1 - high, high], axis=1).astype(np.float32)


class Company(Mean):
    def embed(self, clips):
        found = super().embed(clips)
        found.vectors[:, 0] += len(clips)
        return found


class Doubles(Mean):
    def vector(self, clip):
        return super().vector(clip).astype(np.float64)

    def embed(self, clips):
        check(clips)
        return Embeddings(
            np.array([*map(self.vector, clips)]).reshape(-1, 2),
            np.full((len(clips), 2), 0.5, np.float32),
        )


class Unchecked(Mean):
    def embed(self, clips):
        vectors = np.array([*map(self.vector, clips)], np.float32).reshape(-1, 2)
        return Embeddings(vectors, self.scores(vectors))


class NoSilence(Mean):
    def vector(self, clip):
        return super().vector(clip) / np.abs(clip).sum()


class Sharing(Mean):
    """Keeps the clip in hand where other threads write theirs."""

    def vector(self, clip):
        self.clip = clip
        time.sleep(0.001)
        return super().vector(self.clip)


class Writing(Mean):
    def vector(self, clip):
        clip -= clip.mean()
        return super().vector(clip)


class Unlike(Mean):
    def scores(self, vectors, centre=None):
        return np.full((len(vectors), 2), 0.4, np.float32)


class Moved(Mean):
    def scores(self, vectors, centre=None):
        return super().scores(vectors if centre is None else vectors - centre)


class Constant(Mean):
    def vector(self, clip):
        return np.ones(2, np.float32)


class Wordless(Mean):
    classes = "low or high"


class Frames40(Mean):
    def frames(self, clip):
        return Frames(np.ones((40, 2), np.float32), np.full((40, 2), 0.5, np.float32))


class Estimates(Mean):
    """Without faults, with valence, arousal and dominance of its own."""

    def affect(self, vectors):
        return np.repeat(np.tanh(vectors[:, :1]), 3, axis=1)


class EstimatesOfPercent(Mean):
    def affect(self, vectors):
        return np.full((len(vectors), 3), 50, np.float32)


class EstimatesOfTwo(Mean):
    def affect(self, vectors):
        return np.zeros((len(vectors), 2), np.float32)


class EstimatesInCompany(Mean):
    def affect(self, vectors):
        return np.full((len(vectors), 3), 1 / max(1, len(vectors)), np.float32)


class OneForAllTexts(Mean):
    def embed_text(self, texts):
        return np.ones((len(texts), 2), np.float32)


class TextsOfAnotherSpace(Mean):
    def embed_text(self, texts):
        return np.array([[len(text), 1, 0] for text in texts], np.float32)


class TextsInCompany(Mean):
    def embed_text(self, texts):
        return np.array([[len(text), len(texts)] for text in texts], np.float32)


class Texts(Mean):
    """Without faults."""

    def embed_text(self, texts):
        return np.array([[len(text), 1] for text in texts], np.float32)


TESTS = {
    name: test
    for name, test in vars(EmbedderTests).items()
    if name.startswith("test_") and "changed" not in signature(test).parameters
}


class Quick(EmbedderTests):
    longest = 5.0


def passes(name: str, embedder) -> bool:
    """Whether a model passes a test of the kit."""
    too_short = [np.zeros(399, np.float32)] if "bad" in signature(TESTS[name]).parameters else []
    try:
        TESTS[name](Quick(), embedder, *too_short)
    except (AssertionError, ValueError, pytest.fail.Exception):
        return False
    return True


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("model", "test"),
    [
        (Company, "test_a_clip_gives_the_same_alone_and_among_others"),
        (Doubles, "test_clips_of_any_length_have_an_embedding"),
        (Unchecked, "test_what_cannot_be_embedded_is_refused"),
        (NoSilence, "test_silence_is_no_reason_to_fail"),
        (Sharing, "test_it_can_be_asked_by_several_threads"),
        (Writing, "test_clips_are_not_written_to"),
        (Unlike, "test_clips_of_any_length_have_an_embedding"),
        (Moved, "test_scores_come_of_the_embedding"),
        (Constant, "test_other_clips_have_other_embeddings"),
        (Wordless, "test_it_says_what_it_is"),
        (EstimatesOfPercent, "test_clips_of_any_length_have_an_embedding"),
        (EstimatesOfTwo, "test_silence_is_no_reason_to_fail"),
        (EstimatesInCompany, "test_a_clip_gives_the_same_alone_and_among_others"),
        (OneForAllTexts, "test_texts_have_embeddings_if_there_are_any"),
        (TextsOfAnotherSpace, "test_texts_have_embeddings_if_there_are_any"),
        (TextsInCompany, "test_texts_have_embeddings_if_there_are_any"),
        (Frames40, "test_frames_are_fifty_a_second_if_there_are_any"),
    ],
)
def test_a_model_with_a_fault_does_not_pass(model, test):
    assert not passes(test, model())


def test_a_model_without_faults_passes():
    assert [name for name in TESTS if not passes(name, Mean())] == []
    assert passes("test_a_clip_gives_the_same_alone_and_among_others", Estimates())
    assert passes("test_texts_have_embeddings_if_there_are_any", Texts())

"""Our forward pass gives the numbers of FunASR's real class: alone, in any batch, in any order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.embedders.emotion2vec.compare import Comparison
from emotion_search.engine.embedders.emotion2vec.forward import alibi_slopes
from emotion_search.engine.embedders.emotion2vec.linear import (
    PackedLinear,
    PlainLinear,
    packing_works,
)
from emotion_search.engine.embedders.emotion2vec.model import Emotion2vec
from emotion_search.engine.embedders.quiet import undisturbed
from tests.checkpoints import LABELS, funasr_model, make_checkpoint, model_conf

VARIANTS: dict[str, dict[str, Any]] = {
    "published layout": {"seed": 0},
    "other weights": {"seed": 1},
    "no scoring head": {"seed": 2, "labels": None},
    "unused classes": {
        "seed": 3,
        "labels": ("生气/angry", "unuse_0", "难过/sad", "unuse", "<unk>"),
    },
    "plain names": {"seed": 4, "labels": ("happy", "sad", "<unk>")},
    "heads not a power of two": {"seed": 5, "conf": model_conf(dim=48, heads=6)},
    "waveform not normalised": {"seed": 6, "conf": {**model_conf(), "normalize": False}},
}


class Pair:
    """A checkpoint under our embedder and under FunASR."""

    def __init__(self, folder: Path) -> None:
        with undisturbed():
            self.theirs = funasr_model(folder)
        self.ours = Emotion2vec(folder, name="x", device="cpu")

    def generate(self, clip: np.ndarray, granularity: str) -> dict[str, Any]:
        (answer,) = self.theirs.generate(clip, granularity=granularity, extract_embedding=True)
        return answer

    def assert_exact(self, clips: list[np.ndarray]) -> None:
        ours = self.ours.embed(clips)
        for clip, vector, scores in zip(clips, ours.vectors, ours.scores, strict=True):
            answer = self.generate(clip, "utterance")
            assert cosine(answer["feats"], vector) >= Comparison.least_cosine
            assert np.abs(answer["feats"] - vector).max() < 1e-4
            assert len(answer["scores"]) == len(scores)
            if len(scores):
                assert np.abs(np.array(answer["scores"]) - scores).max() <= Comparison.most


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(np.float64), b.astype(np.float64)
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def noise(length: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng([length, seed])
    wave = np.cumsum(rng.normal(size=length)) * rng.uniform(0.001, 0.1)
    return (wave + rng.normal(size=length) * 0.1).astype(np.float32)


@pytest.fixture(scope="module", params=VARIANTS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    folder = tmp_path_factory.mktemp("exact")
    return Pair(make_checkpoint(folder, **VARIANTS[request.param]))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair(make_checkpoint(tmp_path_factory.mktemp("published")))


def test_a_batch_of_different_lengths_is_exact(pair: Pair):
    pair.assert_exact([noise(length) for length in (9_000, 400, 31_111)])


@pytest.mark.slow
@given(lengths=st.lists(st.integers(400, 60_000), min_size=1, max_size=8), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=12)
def test_batches_of_any_lengths_are_exact(pair: Pair, lengths, seed):
    pair.assert_exact([noise(length, seed) for length in lengths])


@pytest.mark.parametrize(
    "length",
    [
        *(400, 719, 720, 721, 16_000),
        *(pytest.param(seconds * 16_000, marks=pytest.mark.slow) for seconds in (31, 60)),
    ],
)
def test_the_shortest_clip_and_a_long_one_are_exact(published: Pair, length):
    published.assert_exact([noise(length)])


def test_speech_is_exact(published: Pair):
    published.assert_exact([speak("anger", speaker=1, seed=0), speak("sadness", speaker=2, seed=1)])


@pytest.mark.parametrize("level", [0.0, 1e-6, 1.0, 1e4])
def test_any_level_is_exact(published: Pair, level):
    published.assert_exact([noise(9_000) * np.float32(level)])


def test_frames_are_exact_and_their_logits_average_to_the_utterances(pair: Pair):
    clip = noise(33_333)
    answer = pair.generate(clip, "frame")
    frames = pair.ours.frames(clip)
    assert (
        frames.vectors.shape
        == answer["feats"].shape
        == ((33_333 - 400) // 320 + 1, frames.vectors.shape[1])
    )
    assert np.abs(frames.vectors - answer["feats"]).max() < 1e-4
    utterance = pair.ours.embed([clip])
    assert np.allclose(frames.vectors.mean(axis=0), utterance.vectors[0], atol=1e-5)
    if pair.ours.classes:
        logits = np.log(frames.scores.astype(np.float64))
        pooled = np.exp((logits - logits.mean(axis=1, keepdims=True)).mean(axis=0))
        assert np.allclose(pooled / pooled.sum(), utterance.scores[0], atol=1e-4)


@pytest.mark.slow
@given(seed=st.integers(0, 1000), count=st.integers(2, 12))
@settings(deadline=None, max_examples=15)
def test_company_and_order_change_nothing(published: Pair, seed, count):
    rng = np.random.default_rng(seed)
    clips = [noise(int(length), seed) for length in rng.integers(400, 40_000, count)]
    order = rng.permutation(count)
    together = published.ours.embed(clips)
    shuffled = published.ours.embed([clips[i] for i in order])
    for i, clip in enumerate(clips):
        alone = published.ours.embed([clip])
        assert cosine(alone.vectors[0], together.vectors[i]) >= Comparison.least_cosine
        assert np.abs(alone.scores[0] - together.scores[i]).max() <= Comparison.most
    assert np.allclose(shuffled.vectors, together.vectors[order], atol=1e-5)


def test_clips_given_are_not_changed(published: Pair):
    clip = noise(5_000)
    before = clip.copy()
    clip.flags.writeable = False
    published.ours.embed([clip])
    assert np.array_equal(clip, before)


def test_bfloat16_stays_near(tmp_path: Path):
    folder = make_checkpoint(tmp_path)
    exact = Emotion2vec(folder, name="x", device="cpu")
    fast = Emotion2vec(folder, name="x", device="cpu", precision="bfloat16")
    clips = [noise(n) for n in (400, 16_000, 50_000, 33 * 16_000)]
    for a, b in zip(exact.embed(clips).vectors, fast.embed(clips).vectors, strict=True):
        assert cosine(a, b) > 0.999


@pytest.mark.parametrize("heads", range(1, 33))
def test_slopes_are_funasrs(heads):
    with undisturbed():
        from funasr.models.emotion2vec.base import get_alibi
    theirs = -get_alibi(2, heads)[:, 0, 1]
    assert torch.allclose(torch.tensor(alibi_slopes(heads)), theirs)


@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_packed_linear_layers_are_the_plain_ones(gelu, bias):
    if not packing_works(torch.float32):
        pytest.skip("this torch has no packed linear layers for this CPU")
    weight, x = torch.randn(40, 30), torch.randn(17, 30)
    offset = torch.randn(40) if bias else None
    with torch.inference_mode():
        plain = PlainLinear(weight, offset, torch.float32)(x, gelu=gelu)
        packed = PackedLinear(weight, offset, torch.float32)(x, gelu=gelu)
    assert torch.allclose(plain, packed, atol=1e-5)


def test_without_packed_linear_layers_the_answer_is_the_same(tmp_path: Path, monkeypatch):
    folder = make_checkpoint(tmp_path)
    packed = Emotion2vec(folder, name="x", device="cpu").embed([noise(8_000)])
    monkeypatch.setattr(
        "emotion_search.engine.embedders.emotion2vec.model.packing_works", lambda _: False
    )
    plain = Emotion2vec(folder, name="x", device="cpu").embed([noise(8_000)])
    assert np.allclose(packed.vectors, plain.vectors, atol=1e-5)


def test_labels_have_stable_names_and_keep_their_own(published: Pair):
    assert published.ours.labels == LABELS
    assert published.ours.classes[:2] == ("angry", "disgusted")

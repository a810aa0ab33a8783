"""Tests that every embedding model passes, for the authors of plug-ins to run by pytest.

Extend ``EmbedderTests`` in a test file, with the fixtures ``embedder`` and, where the model has
weights, ``changed``::

    class TestMyModel(EmbedderTests):
        @pytest.fixture(scope="module")
        def embedder(self):
            return MyModel("my-model", "cpu")
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from emotion_search.engine.audio.file import FRAME_HOP, SAMPLE_RATE, SHORTEST, Samples
from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.embedders.base import Embedder, Embeddings, Floats, TextEmbedder
from emotion_search.engine.embedders.plugins import fault_of
from emotion_search.index.errors import AudioError, InvalidInputError

NEAREST = 1 - 1e-6
"""Least cosine between two embeddings of the same clip."""


class EmbedderTests:
    """What a model owes the program; the protocol is ``emotion_search.Embedder``.

    Attributes:
        longest: seconds of the longest clip that is tried. Recordings are cut into clips of
            ``EMOTION_SEARCH_WINDOW`` seconds at most, 15 by default; short files are clips as
            they are.
    """

    longest = 60.0

    @pytest.fixture
    def changed(self) -> Embedder:
        """The model with other weights."""
        pytest.skip("no fixture `changed` of a model with other weights")

    def test_it_says_what_it_is(self, embedder: Embedder) -> None:
        """Name, fingerprint, dimension and classes are of the right types."""
        assert fault_of(embedder) is None

    def test_other_weights_have_another_fingerprint(
        self, embedder: Embedder, changed: Embedder
    ) -> None:
        """An archive would mix embeddings of both otherwise."""
        assert changed.fingerprint != embedder.fingerprint

    def test_clips_of_any_length_have_an_embedding(self, embedder: Embedder) -> None:
        """From 25 ms on, and float32 of the promised shape."""
        for seconds in (SHORTEST / SAMPLE_RATE, 0.1, 3.0, self.longest):
            found = embedder.embed([_clip(seconds)])
            _assert_shape(found, embedder, 1)
            assert found.vectors.any(), f"the embedding of {seconds} s is zero"

    def test_silence_is_no_reason_to_fail(self, embedder: Embedder) -> None:
        """Its embedding may be anything that is finite."""
        _assert_shape(embedder.embed([np.zeros(SAMPLE_RATE, np.float32)]), embedder, 1)

    def test_no_clips_have_no_embeddings(self, embedder: Embedder) -> None:
        """In arrays of no rows."""
        _assert_shape(embedder.embed([]), embedder, 0)

    def test_a_clip_gives_the_same_alone_and_among_others(self, embedder: Embedder) -> None:
        """In any company and order."""
        clips = [_clip(seconds, i) for i, seconds in enumerate((0.025, 4.0, 0.7, 1.3))]
        alone = [embedder.embed([clip]) for clip in clips]
        for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
            together = embedder.embed([clips[i] for i in order])
            for row, i in enumerate(order):
                _assert_same(together.vectors[row], alone[i].vectors[0])
                assert np.allclose(together.scores[row], alone[i].scores[0], atol=1e-4)
                if together.affect is not None:
                    one = alone[i].affect
                    assert one is not None, "valence, arousal and dominance of some clips alone"
                    assert np.allclose(together.affect[row], one[0], atol=1e-4)

    def test_it_can_be_asked_by_several_threads(self, embedder: Embedder) -> None:
        """At the same time, and gives each the answer to its own question."""
        clips = [_clip(0.5 + i / 10, i) for i in range(8)]
        alone = [embedder.embed([clip]).vectors[0] for clip in clips]
        with ThreadPoolExecutor(4) as pool:
            for one, found in zip(
                alone, pool.map(lambda c: embedder.embed([c]), clips), strict=True
            ):
                _assert_same(one, found.vectors[0])

    def test_other_clips_have_other_embeddings(self, embedder: Embedder) -> None:
        """One vector for all would find nothing."""
        one, other = embedder.embed([_clip(2.0, 0), _clip(2.0, 1)]).vectors
        assert not np.allclose(one, other, rtol=1e-5, atol=0)

    def test_clips_are_not_written_to(self, embedder: Embedder) -> None:
        """They are read-only at times."""
        clip = _clip(1.0)
        clip.flags.writeable = False
        embedder.embed([clip])

    @pytest.mark.parametrize(
        "bad",
        [
            np.zeros(SHORTEST - 1, np.float32),
            np.full(SAMPLE_RATE, np.nan, np.float32),
            np.full(SAMPLE_RATE, np.inf, np.float32),
            np.zeros((2, SAMPLE_RATE), np.float32),
        ],
        ids=["too short", "NaN", "infinite", "stereo"],
    )
    def test_what_cannot_be_embedded_is_refused(self, embedder: Embedder, bad: Samples) -> None:
        """By an ``AudioError``."""
        with pytest.raises(AudioError):
            embedder.embed([_clip(1.0), bad])

    def test_scores_come_of_the_embedding(self, embedder: Embedder) -> None:
        """``scores`` of stored embeddings are those of ``embed``, unless the model adapts and knows
        a centre. A model that does not adapt may have none, and says so by an
        ``InvalidInputError``."""
        found = embedder.embed([_clip(1.0), _clip(2.0, 1)])
        try:
            again = embedder.scores(found.vectors)
        except InvalidInputError:
            assert not embedder.adapts
            return
        moved = embedder.scores(found.vectors, _unit(found.vectors[0]))
        assert np.allclose(again, found.scores, atol=1e-4)
        if embedder.adapts:
            assert embedder.centre is not None
            assert embedder.centre.shape == (embedder.dimension,)
            assert moved.shape == again.shape
        else:
            assert np.allclose(moved, again, atol=1e-6)

    def test_frames_are_fifty_a_second_if_there_are_any(self, embedder: Embedder) -> None:
        """A model without frames says so by an ``InvalidInputError``."""
        clip = _clip(1.0)
        try:
            frames = embedder.frames(clip)
        except InvalidInputError:
            return
        count = (len(clip) - SHORTEST) // FRAME_HOP + 1
        _assert_shape(Embeddings(frames.vectors, frames.scores), embedder, count)

    def test_texts_have_embeddings_if_there_are_any(self, embedder: Embedder) -> None:
        """Of the same dimension as clips, one of its own for each text, whatever its company."""
        if not isinstance(embedder, TextEmbedder):
            return
        texts = ["an angry customer", "somebody speaks calmly"]
        try:
            one, other = embedder.embed_text(texts)
        except InvalidInputError:  # that of a model in front of one that knows none
            return
        _assert_same(one, embedder.embed_text(texts[:1])[0])
        for vector in (one, other):
            assert vector.shape == (embedder.dimension,), f"shape {vector.shape}"
            assert vector.dtype == np.float32, f"{vector.dtype}, not float32"
            assert np.isfinite(vector).all(), "not finite"
            assert vector.any(), "zero"
        assert not np.allclose(one, other, rtol=1e-5, atol=0)


def _clip(seconds: float, number: int = 0) -> Samples:
    """Synthetic speech of a length."""
    voice = speak("anger", speaker=number, seed=number)
    return np.resize(voice, round(seconds * SAMPLE_RATE)).astype(np.float32)


def _unit(vector: Floats) -> Floats:
    return vector / np.linalg.norm(vector)


def _assert_same(one: Floats, other: Floats) -> None:
    cosine = float(_unit(one.astype(np.float64)) @ _unit(other.astype(np.float64)))
    assert cosine >= NEAREST, f"the same clip has embeddings of cosine {cosine:.8f}"


def _assert_shape(found: Embeddings, embedder: Embedder, count: int) -> None:
    for array, width in (
        (found.vectors, embedder.dimension),
        (found.scores, len(embedder.classes)),
    ):
        assert array.shape == (count, width), f"shape {array.shape}, not {(count, width)}"
        assert array.dtype == np.float32, f"{array.dtype}, not float32"
        assert np.isfinite(array).all(), "not finite"
    if found.affect is not None:
        assert not embedder.adapts, "it adapts its scores, and has affect of its own"
        assert found.affect.shape == (count, 3), f"affect of shape {found.affect.shape}"
        assert found.affect.dtype == np.float32, f"affect of {found.affect.dtype}"
        assert (abs(found.affect) <= 1).all(), "affect beyond -1 to 1"
    if embedder.classes:
        assert np.allclose(found.scores.sum(axis=1), 1, atol=1e-4), "scores are no distribution"
        assert (found.scores >= 0).all(), "scores below zero"

"""What the scores of a file are adapted to: an archive, or the recording itself."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from emotion_search.engine.audio.file import decode
from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.embedders.acoustic.model import Acoustic
from emotion_search.engine.embedders.base import Frames
from emotion_search.engine.inference import parts
from emotion_search.engine.inference.parts import Granularity
from emotion_search.engine.inference.predict import predict_files
from emotion_search.engine.library.library import Library
from emotion_search.index.database.scoring import centre_at
from emotion_search.index.vectors.arrays import normalise
from emotion_search.index.vectors.baselines import Place
from emotion_search.index.vectors.space import Method
from tests.archives import fill
from tests.conftest import write_wav


@cache
def acoustic() -> Acoustic:
    return Acoustic()


@pytest.fixture(scope="module")
def call(tmp_path_factory) -> Path:
    """Twelve seconds of two manners."""
    voice = [speak(e, speaker=1, seed=s, seconds=3.0) for s in (0, 1) for e in ("anger", "sadness")]
    return write_wav(tmp_path_factory.mktemp("call") / "call.wav", np.concatenate(voice))


def windows(call: Path, seconds: float) -> np.ndarray:
    samples = decode(call)
    return acoustic().embed(np.split(samples, round(len(samples) / 16_000 / seconds))).vectors


def rows(predictions) -> np.ndarray:
    return np.array([list(one.scores.values()) for one in predictions])


def shrunk(vectors: np.ndarray) -> np.ndarray:
    """The mean of training counts as ten windows."""
    return (normalise(vectors).sum(axis=0) + 10 * acoustic().centre) / (len(vectors) + 10)


def test_a_long_file_is_adapted_to_itself_and_a_short_one_to_nothing(call: Path):
    *found, whole = predict_files([call], acoustic(), Granularity("window", 2.0))
    vectors = windows(call, 2.0)
    expected = acoustic().scores(vectors, shrunk(vectors))
    np.testing.assert_allclose(rows(found), expected, atol=1e-5)
    np.testing.assert_allclose(rows([whole])[0], expected.mean(axis=0), atol=1e-5)
    assert {one.adapted for one in (*found, whole)} == {"recording"}
    *few, whole = predict_files([call], acoustic(), Granularity("window", 3.0))  # four
    np.testing.assert_allclose(rows(few), acoustic().scores(windows(call, 3.0)), atol=1e-5)
    assert {one.adapted for one in (*few, whole)} == {"none"}


def test_windows_that_overlap_count_once(call: Path):
    apart = list(predict_files([call], acoustic(), Granularity("window", 2.0)))
    close = list(predict_files([call], acoustic(), Granularity("window", 2.0, 1.0)))
    np.testing.assert_allclose(rows(close[:-1:2]), rows(apart[:-1]), atol=1e-5)
    (one, *_) = predict_files([call], acoustic(), Granularity("window", 3.0, 0.5))
    assert one.adapted == "none"


def test_what_comes_after_ten_minutes_moves_nothing(call: Path, monkeypatch):
    monkeypatch.setattr(parts, "_FIRST_S", 6.0)
    *found, _ = predict_files([call], acoustic(), Granularity("window", 1.0))
    vectors = windows(call, 1.0)
    expected = acoustic().scores(vectors, shrunk(vectors[:6]))
    np.testing.assert_allclose(rows(found), expected, atol=1e-5)


def test_frames_are_adapted_to_windows_of_themselves(call: Path):
    some = windows(call, 2.0)

    class Framed(Acoustic):
        """Whose frames are each about like one of the call's windows."""

        def frames(self, clip) -> Frames:
            count = (len(clip) - 400) // 320 + 1
            noise = np.random.default_rng(0).normal(size=(count, 256))
            vectors = some[np.arange(count) * 6 // count] + noise * some.std(axis=0)
            vectors = vectors.astype(np.float32)
            return Frames(vectors, self.scores(vectors))

    longer = np.tile(decode(call), 2)[: 15 * 16_000 + 400]
    file = write_wav(call.parent / "longer.wav", longer)
    *found, _ = predict_files([file], Framed(), "frame")
    vectors = Framed().frames(longer).vectors
    means = vectors[:750].reshape(5, 150, -1).mean(axis=1)
    expected = acoustic().scores(vectors, shrunk(means))
    np.testing.assert_allclose(rows(found), expected, atol=1e-5)
    late = vectors[1:601].reshape(4, 150, -1).mean(axis=1)
    for other in (acoustic().scores(vectors), acoustic().scores(vectors, shrunk(late))):
        assert np.abs(other - expected).max() > 1e-3  # or the rest would say little


def test_an_archive_tells_its_mean_or_the_baseline_of_who_is_named(library: Library, call: Path):
    random = np.random.default_rng(0)
    speakers = [f"voice{i % 5}" for i in range(100)]
    vectors = 1 + random.normal(size=(5, 256))[np.arange(100) % 5] + random.normal(size=(100, 256))
    fill(library.database, vectors, speakers=speakers, embedder=acoustic())
    (vector,) = windows(call, 12.0)

    def scores(**of: str) -> np.ndarray:
        (whole,) = library.predict(call, **of)
        assert whole.adapted == "archive"
        return rows([whole])[0]

    (before,) = library.predict(call)
    assert before.adapted == "none"
    library.tune(method=Method.CENTRED)
    mean = normalise(vectors).mean(axis=0)
    np.testing.assert_allclose(scores(), acoustic().scores(vector[None], mean)[0], atol=1e-5)
    library.tune(method=Method.BASELINE)
    with library.database.read() as session:
        own = centre_at(session, library.model(), Place(None, "voice2"), vector[None])
    assert np.abs(own - mean).max() > 1e-3
    named = scores(speaker="voice2")
    np.testing.assert_allclose(named, acoustic().scores(vector[None], own)[0], atol=1e-5)
    assert np.abs(named - scores()).max() > 1e-3

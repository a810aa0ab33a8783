"""Embeddings as files: what numpy reads is what the model said, and nothing is lost on the way."""

import json
from pathlib import Path

import numpy as np
import pytest

from engine.audio import decode
from engine.embedders.acoustic import Acoustic
from engine.embedders.emotion2vec import Emotion2vec
from engine.export import export_files
from engine.voices import speak
from index.errors import InvalidInputError
from tests.conftest import tone, write_wav


@pytest.fixture(scope="module")
def embedder(checkpoint: Path) -> Emotion2vec:
    return Emotion2vec(checkpoint, name="small", device="cpu")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [
        write_wav(tmp_path / "a" / "x.wav", speak("anger", speaker=1, seed=0)),
        write_wav(tmp_path / "b" / "x.wav", speak("sadness", speaker=2, seed=0)),
    ]


def test_utterances(embedder, files, tmp_path):
    done = list(export_files(files, tmp_path / "out", embedder))
    assert [one.embedding for one in done] == ["x.npy", "x-2.npy"]
    expected = embedder.embed([decode(file) for file in files])
    for one, vector, scores in zip(done, expected.vectors, expected.scores, strict=True):
        assert np.allclose(np.load(tmp_path / "out" / one.embedding), vector, atol=1e-5)
        assert one.confidence == pytest.approx(scores.max(), abs=1e-5)
        assert one.emotion == embedder.classes[scores.argmax()]
    results = json.loads((tmp_path / "out" / "result.json").read_text())
    assert [r["file"] for r in results] == [str(file) for file in files]
    assert set(results[0]) >= {"emotion", "confidence", "scores", "granularity", "timestamp"}


def test_frames_of_a_long_file_are_streamed_into_one_array(embedder, tmp_path):
    samples = np.concatenate([speak("anger", speaker=1, seed=s) for s in range(20)])
    path = write_wav(tmp_path / "long.wav", samples)
    (done,) = export_files([path], tmp_path / "out", embedder, granularity="frame")
    frames = np.load(tmp_path / "out" / "long.npy")
    assert frames.shape == ((len(samples) - 400) // 320 + 1, embedder.dimension)
    assert frames.dtype == np.float32
    first = embedder.frames(decode(path)[: 14 * 16_000]).vectors
    assert np.allclose(frames[: 13 * 50], first[: 13 * 50], atol=1e-4)
    assert done.scores is not None
    assert sum(done.scores.values()) == pytest.approx(1.0, abs=1e-4)


def test_a_bad_file_is_said_and_leaves_nothing(embedder, files, tmp_path):
    bad = tmp_path / "bad.wav"
    bad.write_text("no audio")
    cut = write_wav(tmp_path / "cut.wav", tone(40.0))
    cut.write_bytes(cut.read_bytes()[:-1000])
    done = list(export_files([bad, files[0], cut], tmp_path / "out", embedder, granularity="frame"))
    assert [one.error is None for one in done] == [False, True, False]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["result.json", "x.npy"]


def test_nothing_is_written_over_unasked(embedder, files, tmp_path):
    list(export_files(files[:1], tmp_path / "out", embedder))
    with pytest.raises(InvalidInputError, match="--overwrite"):
        list(export_files(files[:1], tmp_path / "out", embedder))
    assert len(list(export_files(files[:1], tmp_path / "out", embedder, overwrite=True))) == 1


def test_a_granularity_that_is_not_to_be_had_is_refused(embedder, files, tmp_path):
    with pytest.raises(InvalidInputError, match="utterance, frame or window"):
        list(export_files(files, tmp_path / "out", embedder, granularity="word"))
    with pytest.raises(InvalidInputError, match="no frames"):
        list(export_files(files, tmp_path / "out", Acoustic(), granularity="frame"))
    assert list((tmp_path / "out").iterdir()) == []

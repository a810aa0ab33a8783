"""Embeddings as files: what numpy reads is what the model said, and nothing is lost on the way."""

import json
import time
from pathlib import Path

import numpy as np
import pytest

from emotion_search.engine.audio.file import decode
from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.embedders.acoustic.model import Acoustic
from emotion_search.engine.embedders.emotion2vec.model import Emotion2vec
from emotion_search.engine.inference.embed import export_files, unique_names
from emotion_search.index.errors import InvalidInputError
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
    assert not (tmp_path / "out").exists()


class Counting:
    """A model that notes how often it is asked."""

    def __init__(self, embedder: Emotion2vec) -> None:
        self._embedder, self.asked = embedder, 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._embedder, name)

    def embed(self, clips):
        self.asked += 1
        return self._embedder.embed(clips)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_run_that_was_killed_goes_on_where_it_stopped(embedder, files, tmp_path, overwrite):
    third = write_wav(tmp_path / "y.wav", tone(1.0))
    out, counting = tmp_path / "out", Counting(embedder)
    every = [*files, third]
    running = export_files(every, out, counting, overwrite=overwrite)
    next(running)
    one = next(running)
    running.close()  # killed
    with (out / "unfinished.jsonl").open("a") as journal:
        journal.write('{"name": "y.n')
    assert not (out / "result.json").exists()
    (out / one.embedding).unlink()  # before it was renamed
    done = list(export_files(every, out, counting, overwrite=overwrite))
    assert counting.asked == 4
    assert done == list(export_files(every, tmp_path / "whole", embedder))
    written = [json.loads((tmp_path / n / "result.json").read_text()) for n in ("out", "whole")]
    for results in written:
        for result in results:
            del result["timestamp"]
    assert written[0] == written[1]
    assert {p.name for p in out.iterdir()} == {"result.json", "x.npy", "x-2.npy", "y.npy"}


def test_a_file_that_changed_since_is_embedded_again(embedder, files, tmp_path):
    running = export_files(files, tmp_path / "out", embedder)
    first = next(running)
    running.close()
    write_wav(files[0], tone(2.5))
    again, _ = export_files(files, tmp_path / "out", embedder)
    assert (first.duration, again.duration) == (2.0, 2.5)


def test_what_another_run_has_left_is_not_gone_on_with(embedder, files, tmp_path):
    running = export_files(files, tmp_path / "out", embedder)
    next(running)
    running.close()
    with pytest.raises(InvalidInputError, match="another model or granularity"):
        list(export_files(files, tmp_path / "out", Acoustic()))
    with pytest.raises(InvalidInputError, match=r"x\.npy exists"):
        list(export_files(files[::-1], tmp_path / "out", embedder))
    assert len(list(export_files(files, tmp_path / "out", Acoustic(), overwrite=True))) == 2
    assert not (tmp_path / "out" / "unfinished.jsonl").exists()


def test_a_result_that_is_being_written_over_is_not_told_of(embedder, files, tmp_path):
    list(export_files(files, tmp_path / "out", embedder))
    running = export_files(files, tmp_path / "out", embedder, overwrite=True)
    next(running)
    running.close()
    assert not (tmp_path / "out" / "result.json").exists()


def test_many_files_of_one_name_are_named_at_once():
    began = time.process_time()
    names = unique_names([Path("x.wav"), Path("x-2.wav"), *[Path("X.wav")] * 20_000])
    assert time.process_time() - began < 2
    assert names[:4] == ["x", "x-2", "X-3", "X-4"]
    assert len({name.lower() for name in names}) == 20_002

"""Emotion labels of files: the whole and its parts agree, and their files say the same."""

import json
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch

from emotion_search.engine.audio.file import decode
from emotion_search.engine.audio.mono import MonoFile
from emotion_search.engine.audio.speech import CHUNK
from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.audio.workers import Decoders
from emotion_search.engine.embedders.acoustic.model import Acoustic
from emotion_search.engine.embedders.emotion2vec.model import Emotion2vec
from emotion_search.engine.inference.context import Centre, own_context
from emotion_search.engine.inference.parts import FileEmbedding, Granularity, _Speech
from emotion_search.engine.inference.predict import predict_files, together
from emotion_search.index.errors import InvalidInputError
from emotion_search.index.vectors.arrays import normalise
from emotion_search.index.vectors.baselines import shrunk
from tests.checkpoints import make_checkpoint
from tests.conftest import tone, write_wav


@pytest.fixture(scope="module")
def embedder(checkpoint: Path) -> Emotion2vec:
    return Emotion2vec(checkpoint, name="small", device="cpu")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "clip.wav", speak("anger", speaker=1, seed=0, seconds=3.0))


def row(prediction) -> np.ndarray:
    return np.array(list(prediction.scores.values()))


def test_the_mean_of_frame_logits_is_the_utterances_logits(embedder, checkpoint, clip):
    state = torch.load(checkpoint / "model.pt", weights_only=True)["model"]
    weight, bias = state["proj.weight"].numpy(), state["proj.bias"].numpy()
    frame_output = embedder.frames(decode(clip))
    utterance = embedder.embed([decode(clip)])
    logits = frame_output.vectors @ weight.T + bias
    assert np.allclose(logits.mean(axis=0), utterance.vectors[0] @ weight.T + bias, atol=1e-4)
    (whole,) = predict_files([clip], embedder)
    *frames, again = predict_files([clip], embedder, "frame")
    assert len(frames) == len(frame_output.vectors)
    assert np.ptp(logits, axis=0).max() > 0.1  # frames differ, or the rest would say little
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.allclose([row(one) for one in frames], softmax, atol=2e-6)
    assert np.allclose(row(again), row(whole), atol=2e-6)
    assert (again.granularity, again.emotion) == ("utterance", whole.emotion)


def test_frames_of_a_long_file_pool_to_the_head_of_their_mean(embedder, tmp_path):
    voice = [speak("anger", speaker=1, seed=s, seconds=4.0) for s in range(10)]
    path = write_wav(tmp_path / "long.wav", np.concatenate(voice))
    *frames, whole = predict_files([path], embedder, "frame", folder=tmp_path / "out")
    assert len(frames) == (40 * 16_000 - 400) // 320 + 1
    assert [frames[0].start, frames[0].end, frames[1].start] == [0.0, 0.025, 0.02]
    vectors = np.load(tmp_path / "out" / "long" / "embedding.npy")
    logits = embedder._head[0].numpy() @ vectors.mean(axis=0) + embedder._head[1].numpy()
    expected = np.exp(logits - logits.max())
    assert np.allclose(row(whole), expected / expected.sum(), atol=1e-5)
    scores = np.load(tmp_path / "out" / "long" / "scores.npy")
    assert np.allclose(scores, [row(one) for one in frames], atol=1e-6)


@pytest.mark.parametrize(("window", "hop"), [(1.0, None), (1.0, 0.5), (0.3, None)])
def test_windows_cover_the_file(clip, window, hop):
    *parts, whole = predict_files([clip], Acoustic(), Granularity("window", window, hop))
    assert (parts[0].start, parts[-1].end, whole.end) == (0.0, 3.0, 3.0)
    starts = [part.start for part in parts]
    assert np.allclose(np.diff(starts), hop or window)
    lengths = np.array([part.end - part.start for part in parts])
    mean = np.average([row(part) for part in parts], axis=0, weights=lengths)
    assert np.allclose(row(whole), mean, atol=1e-5)


@pytest.mark.parametrize(
    ("seconds", "window", "starts"),
    [(1.0, 0.4, [0, 0.4, 0.8]), (0.99, 0.4, [0, 0.4]), (6.0, 5.0, [0, 5]), (5.99, 5.0, [0])],
)
def test_a_rest_of_less_than_half_a_window_or_a_second_joins_the_last(
    tmp_path: Path, seconds: float, window: float, starts: list[float]
):
    file = write_wav(tmp_path / "x.wav", speak("anger", speaker=1, seed=0, seconds=seconds))
    *parts, _ = predict_files([file], Acoustic(), Granularity("window", window))
    assert [part.start for part in parts] == pytest.approx(starts)
    assert parts[-1].end == pytest.approx(seconds)


def test_each_file_gets_result_and_embedding(embedder, clip, tmp_path):
    other = write_wav(tmp_path / "b" / "clip.wav", tone(1.0))
    bad = tmp_path / "bad.wav"
    bad.write_text("no audio")
    out = tmp_path / "out"
    predictions = list(predict_files([clip, bad, other], embedder, folder=out))
    assert [one.error is None for one in predictions] == [True, False, True]
    assert sorted(str(p.relative_to(out)) for p in out.rglob("*.*")) == [
        "clip-2/embedding.npy",
        "clip-2/result.json",
        "clip/embedding.npy",
        "clip/result.json",
    ]
    assert not (out / "bad").exists()
    result = json.loads((out / "clip" / "result.json").read_text())
    assert (result["emotion"], result["confidence"]) == (
        predictions[0].emotion,
        predictions[0].confidence,
    )
    assert set(result) >= {"scores", "granularity", "timestamp"}
    vector = np.load(out / "clip" / "embedding.npy")
    assert np.allclose(vector, embedder.embed([decode(clip)]).vectors[0], atol=1e-5)
    with pytest.raises(InvalidInputError, match="--overwrite"):
        list(predict_files([clip], embedder, folder=out))
    list(predict_files([clip], embedder, folder=out, overwrite=True))


def test_a_run_that_was_killed_goes_on_where_it_stopped(embedder, clip, tmp_path):
    files = [clip, write_wav(tmp_path / "b" / "clip.wav", tone(1.0)),
             write_wav(tmp_path / "c.wav", tone(1.0))]  # fmt: skip
    out, how = tmp_path / "out", Granularity("window", 0.5)
    running = predict_files(files, embedder, how, folder=out)
    for predictions in running:
        if predictions.file == str(files[1]) and predictions.granularity == "utterance":
            break
    running.close()  # killed before it noted that the second was done
    written_at = (out / "clip" / "embedding.npy").stat().st_mtime_ns
    with pytest.raises(InvalidInputError, match="another model or granularity"):
        list(predict_files(files, embedder, folder=out))
    again = list(predict_files(files, embedder, how, folder=out))
    whole = list(predict_files(files, embedder, how))
    assert [one for one in again if one.granularity == "utterance"] == [
        one for one in whole if one.granularity == "utterance"
    ]
    assert [one.file for one in again].count(str(clip)) == 1
    assert (out / "clip" / "embedding.npy").stat().st_mtime_ns == written_at
    assert sorted(path.name for path in out.iterdir()) == ["c", "clip", "clip-2"]


def test_what_a_model_has_not_is_refused(clip, tmp_path):
    with pytest.raises(InvalidInputError, match="another granularity"):
        list(predict_files([clip], Acoustic(), "frame", folder=tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    headless = Emotion2vec(make_checkpoint(tmp_path / "m", labels=None), name="base", device="cpu")
    with pytest.raises(InvalidInputError, match="no emotion scores"):
        list(predict_files([clip], headless))
    with pytest.raises(InvalidInputError, match="hop"):
        Granularity("window", 2.0, 3.0)


class Loud:
    """Takes what is loud for speech: synthetic voices are none to the real detector."""

    def __init__(self) -> None:
        self._rest = np.empty(0, np.float32)

    def feed(self, block: np.ndarray) -> np.ndarray:
        samples = np.concatenate([self._rest, block])
        whole = len(samples) - len(samples) % CHUNK
        self._rest = samples[whole:]
        peaks = np.abs(samples[:whole].reshape(-1, CHUNK)).max(axis=1, initial=0.0)
        return (peaks > 0.02).astype(np.float32)

    def finish(self) -> np.ndarray:
        return np.zeros(1, np.float32)


@pytest.fixture
def loud(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("inference.parts", "audio.windows"):
        monkeypatch.setattr(f"emotion_search.engine.{module}.SpeechDetector", Loud)


def hiss(seconds: float, level: float = 0.003) -> np.ndarray:
    noise = np.random.default_rng(0).normal(size=round(seconds * 16_000))
    swell = 0.7 + 0.5 * np.sin(np.arange(len(noise)) / 3000)  # or it could not be breath
    return (level * swell * noise).astype(np.float32)


@pytest.mark.usefixtures("loud")
def test_somebody_speaks_in_a_span_for_a_quarter_of_a_second_or_half_of_it():
    speech = _Speech()
    for level, chunks in ((0.0, 10), (0.5, 8), (0.0, 10)):  # speech from 0.32 to 0.576 s
        speech.listen(np.full(chunks * CHUNK, level, np.float32))
    spans = {
        (0.32, 0.576): True,
        (0.0, 0.575): True,  # chunks that are begun count whole
        (0.0, 0.544): False,  # seven of them are 0.224 s
        (0.36, 0.575): True,  # which is all of this
        (0.29, 0.384): True,  # two of three
        (0.2, 0.384): False,  # and of six
        (0.0, 0.3): False,
        (0.6, 9.0): False,
    }
    starts, ends = np.array(list(spans)).T
    assert speech.within(starts, ends).tolist() == list(spans.values())


@pytest.mark.usefixtures("loud")
@pytest.mark.parametrize("how", ["utterance", Granularity("window", 3.0)])
def test_pauses_do_not_count_for_the_file(tmp_path: Path, how):
    samples = np.concatenate([speak("anger", speaker=1, seed=s, seconds=3.0) for s in range(3)])
    speech = write_wav(tmp_path / "speech.wav", samples)
    paused = write_wav(tmp_path / "paused.wav", np.concatenate([samples, hiss(21.0)]))
    alone = write_wav(tmp_path / "alone.wav", hiss(21.0))
    *_, plain = predict_files([speech], Acoustic(), how)
    *parts, whole = predict_files([paused], Acoustic(), how)
    *_, nothing = predict_files([alone], Acoustic(), how)
    assert np.abs(row(plain) - row(nothing)).max() > 0.2  # or the rest would say little
    assert np.allclose(row(whole), row(plain), atol=0.05)
    assert whole.end == 30.0
    if parts:
        assert [part.start for part in parts] == [3.0 * i for i in range(10)]


@pytest.mark.usefixtures("loud")
def test_silent_frames_do_not_count_for_the_file(embedder, tmp_path: Path):
    speech = speak("anger", speaker=1, seed=0, seconds=3.0)
    path = write_wav(tmp_path / "x.wav", np.concatenate([speech, hiss(9.0)]))
    *frames, whole = predict_files([path], embedder, "frame", folder=tmp_path / "out")
    logs = np.log([row(frame) for frame in frames])
    loud = [i for i in range(0, len(speech), CHUNK) if np.abs(speech[i : i + CHUNK]).max() > 0.02]
    until = loud[-8] / 16_000 + 1.5  # a quarter of a second of what is loud is within reach
    near = np.array([frame.start <= until for frame in frames])
    assert len(frames) == 599

    def softmax(rows: np.ndarray) -> np.ndarray:
        powers = np.exp(rows.mean(axis=0))
        return powers / powers.sum()

    assert np.abs(softmax(logs) - row(whole)).max() > 1e-3
    distance = np.abs(softmax(logs[near]) - row(whole)).max()
    assert distance < np.abs(softmax(logs) - row(whole)).max() / 10


@pytest.mark.usefixtures("loud")
def test_frames_within_a_second_and_a_half_of_speech_count(embedder, tmp_path: Path):
    utterance = speak("anger", speaker=1, seed=0, seconds=2.0)
    samples = np.concatenate([hiss(4.0), utterance, hiss(6.0)])
    path = write_wav(tmp_path / "x.wav", samples)
    with closing(Decoders()) as decoders:
        parts = list(FileEmbedding(MonoFile(decoders, path), embedder, Granularity("frame")))
    starts, spoken = (np.concatenate([getattr(p, n) for p in parts]) for n in ("starts", "spoken"))
    peaks = np.abs(samples[: len(samples) // CHUNK * CHUNK].reshape(-1, CHUNK)).max(axis=1)
    loud = np.flatnonzero(peaks > 0.02) * CHUNK / 16_000
    near = (starts >= loud[7] - 1.5) & (starts <= loud[-8] + 1.5)  # a quarter of a second of it
    assert 150 < near.sum() < len(near) / 2
    assert np.count_nonzero(spoken != near) <= 8  # at either end, for chunks are longer than frames


def test_where_nothing_is_speech_what_can_be_a_voice_counts(tmp_path: Path):
    path = write_wav(tmp_path / "x.wav", hiss(20.0, 0.05))
    for how in ("utterance", Granularity("window", 3.0)):
        *_, whole = predict_files([path], Acoustic(), how)
        assert (whole.error, whole.end) == (None, 20.0)


def test_files_that_come_together_are_adapted_to_their_mean(tmp_path: Path):
    voice = Acoustic()
    files = [
        write_wav(tmp_path / f"{i}.wav", speak("anger", speaker=i % 4, seed=i, seconds=1.5))
        for i in range(20)
    ]
    bad = tmp_path / "bad.wav"
    bad.write_text("no audio")
    alone = own_context(voice)
    few = list(predict_files(files[:19], voice, context=together(files[:19], voice, alone)))
    assert {one.adapted for one in few} == {"none"}
    with_bad = [*files, bad]
    some = list(predict_files(with_bad, voice, context=together(with_bad, voice, alone)))
    assert [one.adapted for one in some] == ["files"] * 20 + [None]
    vectors = np.stack([voice.embed([decode(file)]).vectors[0] for file in files])
    assert voice.centre is not None
    centre = shrunk(normalise(vectors).sum(axis=0, dtype=np.float64), 20, voice.centre)
    expected = voice.scores(vectors, centre)
    assert np.stack([row(one) for one in some[:20]]) == pytest.approx(expected, abs=2e-3)
    assert np.abs(np.stack([row(one) for one in few]) - expected[:19]).max() > 0.02

    def archive(_: np.ndarray) -> Centre:
        return Centre("archive", voice.centre)

    inside = predict_files(files, voice, context=together(files, voice, archive))
    assert {one.adapted for one in inside} == {"archive"}

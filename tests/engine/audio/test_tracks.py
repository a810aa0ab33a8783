"""The sound that is taken, and told: the track with speech, the louder of sides that cancel."""

from pathlib import Path

import av
import numpy as np
import pytest

from emotion_search.engine.audio.file import AudioFile, decode
from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.files.scan import find_audio
from emotion_search.engine.library.library import Library
from tests.conftest import write_wav

VOICE = 0.5 * speak("anger", speaker=0, seed=0, seconds=2.0)


def film(path: Path, *tracks: np.ndarray) -> Path:
    """A file with several sound tracks of equal length."""
    with av.open(str(path), "w", format="matroska") as out:
        streams = [out.add_stream("pcm_s16le", rate=16_000, layout="mono") for _ in tracks]
        for begin in range(0, len(tracks[0]), 1024):
            for stream, samples in zip(streams, tracks, strict=True):
                piece = np.round(samples[None, begin : begin + 1024] * 32_767).astype(np.int16)
                frame = av.AudioFrame.from_ndarray(piece, format="s16", layout="mono")
                frame.sample_rate, frame.pts = 16_000, begin
                out.mux(stream.encode(frame))
        for stream in streams:
            out.mux(stream.encode(None))
    return path


def read(path: Path) -> tuple[np.ndarray, list[str]]:
    with AudioFile(path) as file:
        samples = np.concatenate(list(file.blocks()))
        return samples, file.notices


@pytest.fixture
def spoken(emodb: Path) -> np.ndarray:
    return decode(emodb / "03a01Fa.flac")


def test_the_first_track_with_speech_is_taken(spoken: np.ndarray, tmp_path: Path):
    tone = 0.2 * np.sin(np.arange(len(spoken)) / 5)
    path = film(tmp_path / "x.mkv", np.zeros(len(spoken)), tone, spoken, spoken[::-1])
    samples, notices = read(path)
    assert np.abs(samples - spoken[: len(samples)]).max() < 1e-3
    assert notices == ["of its 4 sound tracks number 3 is taken: it has speech"]


def test_where_no_track_has_speech_the_first_is_taken(tmp_path: Path):
    samples, notices = read(film(tmp_path / "x.mkv", np.full(9000, 0.1), np.zeros(9000)))
    assert samples[4000] == pytest.approx(0.1, abs=1e-3)
    assert notices == ["of its 2 sound tracks the first is taken: none has speech"]


def test_the_louder_side_is_taken_where_sides_cancel(tmp_path: Path):
    path = write_wav(tmp_path / "x.wav", np.stack([-0.8 * VOICE, VOICE], 1), subtype="FLOAT")
    samples, notices = read(path)
    assert np.array_equal(samples, VOICE)
    assert notices == ["its channels cancel each other out: channel 1 is taken, not the mix"]


def test_a_silent_side_is_mixed_in(tmp_path: Path):
    sides = np.stack([VOICE, np.zeros_like(VOICE)], 1)
    samples, notices = read(write_wav(tmp_path / "x.wav", sides, subtype="FLOAT"))
    assert np.allclose(samples, VOICE / 2)
    assert notices == []


def test_sides_that_cancel_are_indexed_as_the_one_and_told(library: Library, tmp_path: Path):
    one = write_wav(tmp_path / "one.wav", VOICE)
    both = write_wav(tmp_path / "both.wav", np.stack([VOICE, -VOICE], axis=1))
    report = library.ingest(find_audio([str(one), str(both)]).files)
    assert [Path(path).name for path, _ in report.notices] == ["both.wav"]
    (hit,) = library.search(one, exclude_same="recording")
    assert hit.similarity > 0.999

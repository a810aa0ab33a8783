"""The decoder on every format it knows, at other rates, and on what is no audio."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from emotion_search.engine.audio.file import AudioFile, decode
from emotion_search.index.errors import AudioError
from tests.conftest import RATE, tone, write_wav
from tests.reading import channel_of, read_span

FORMATS = [
    ("wav", {}),
    ("wav", {"subtype": "FLOAT"}),
    ("wav", {"subtype": "PCM_24"}),
    ("wav", {"subtype": "ULAW"}),
    ("wav", {"subtype": "ALAW"}),
    ("flac", {}),
    ("ogg", {}),
    ("opus", {"format": "OGG", "subtype": "OPUS"}),
    ("mp3", {}),
    ("aiff", {}),
    ("au", {}),
    ("caf", {}),
    ("w64", {}),
    ("rf64", {}),
]


@pytest.mark.parametrize(("extension", "options"), FORMATS)
def test_every_format_decodes_to_what_was_written(tmp_path: Path, extension, options):
    samples = tone(2.0)
    path = write_wav(tmp_path / f"x.{extension}", samples, **options)
    decoded = decode(path)
    assert decoded.dtype == np.float32
    assert len(decoded) == len(samples)
    assert np.corrcoef(decoded, samples)[0, 1] > 0.99


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, 48_000, 96_000])
def test_other_rates_come_out_at_16_khz(tmp_path: Path, rate):
    path = write_wav(tmp_path / "x.wav", tone(25.0, rate=rate), rate, subtype="FLOAT")
    with AudioFile(path) as file:
        blocks = list(file.blocks())
        assert file.duration == pytest.approx(25.0)
        assert (file.sample_rate, file.channels) == (rate, 1)
    decoded = np.concatenate(blocks)
    at_once = soxr.resample(soundfile.read(path, dtype="float32")[0], rate, RATE)
    assert len(blocks) > 1
    assert abs(len(decoded) - len(at_once)) <= 1
    shorter = min(len(decoded), len(at_once))
    assert np.abs(decoded[:shorter] - at_once[:shorter]).max() < 1e-4


def test_channels_are_mixed_or_taken(tmp_path: Path):
    left, right = tone(1.0, 200), tone(1.0, 300)
    path = write_wav(tmp_path / "x.wav", np.stack([left, right], axis=1), subtype="FLOAT")
    assert np.allclose(decode(path), (left + right) / 2, atol=1e-6)
    assert np.allclose(channel_of(path, 1), right, atol=1e-6)
    with pytest.raises(AudioError, match="no channel 2"):
        channel_of(path, 2)


def test_a_span_is_cut_at_the_sample(tmp_path: Path):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 8_000 * 4).astype(np.float32)
    path = write_wav(tmp_path / "x.wav", samples, 8_000, subtype="FLOAT")
    span, rate = read_span(path, channel=None, start=1.25, end=2.5)
    assert rate == 8_000
    assert np.array_equal(span, samples[10_000:20_000])
    assert len(decode(path, end=2.0)) == 2 * RATE


def cut(path: Path, share: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p.write_bytes(b""), "cannot be decoded"),
        (
            lambda p: p.write_text("I am no audio, whatever my name says. " * 50),
            "cannot be decoded",
        ),
        (lambda p: write_wav(p, np.zeros(0, np.float32)), "contains no audio"),
        (lambda p: cut(write_wav(p, tone(2.0)), 0.5), "truncated"),
        (lambda p: cut(write_wav(p, tone(2.0), format="FLAC"), 0.5), "breaks off"),
        (
            lambda p: write_wav(p, np.array([0, np.nan] * 800, np.float32), subtype="FLOAT"),
            "not finite",
        ),
        (
            lambda p: write_wav(p, np.array([0, np.inf] * 800, np.float32), subtype="FLOAT"),
            "not finite",
        ),
    ],
)
def test_what_is_no_audio_is_refused_with_the_reason(tmp_path: Path, make, message):
    path = tmp_path / "x.wav"
    make(path)
    with pytest.raises(AudioError, match=message):
        decode(path)


def test_a_wav_whose_recorder_never_filled_in_its_length_is_read_to_its_end(tmp_path: Path):
    path = write_wav(tmp_path / "x.wav", tone(1.0))
    content = bytearray(path.read_bytes())
    content[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert len(decode(path)) == RATE


def test_real_speech_decodes(emodb: Path):
    assert decode(emodb / "03a01Fa.flac").shape == (30372,)


def test_a_file_that_is_refused_has_no_duration_by_its_header_either(tmp_path: Path):
    slow = write_wav(tmp_path / "x.wav", tone(2.0, rate=500), 500)
    with pytest.raises(AudioError, match="sample rate of 500 Hz"):
        AudioFile(slow)
    with pytest.raises(AudioError, match="is a folder"):
        AudioFile(tmp_path)
    with pytest.raises(AudioError, match="is not a regular file"):
        AudioFile(Path(os.devnull))
    empty = write_wav(tmp_path / "x.wav", np.zeros(0, np.float32))
    with AudioFile(empty) as file:
        assert file.header_duration is None

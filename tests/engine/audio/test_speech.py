"""Speech detection in numpy gives what Silero VAD's own model gives."""

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from emotion_search.engine.audio import speech as vad
from emotion_search.engine.audio.file import decode
from emotion_search.engine.audio.speech import CHUNK, SpeechDetector
from emotion_search.index.errors import ModelUnavailableError


def original(samples: np.ndarray) -> np.ndarray:
    """Probabilities by the TorchScript model of the wheel, chunk by chunk."""
    path = Path(find_spec("silero_vad").origin).parent / "data" / "silero_vad.jit"
    model = torch.jit.load(str(path))
    model.reset_states()
    padded = np.pad(samples, (0, -len(samples) % CHUNK))
    with torch.inference_mode():
        chunks = torch.from_numpy(padded).split(CHUNK)
        return np.array([model(chunk[None], 16_000).item() for chunk in chunks])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_probabilities_are_those_of_the_original(emodb: Path):
    files = sorted(emodb.glob("*.flac"))[:3]
    silence = np.zeros(8_000, np.float32)
    samples = np.concatenate([part for path in files for part in (decode(path), silence)])
    detector = SpeechDetector()
    parts = [detector.feed(block) for block in np.array_split(samples, 7)]
    ours = np.concatenate([*parts, detector.finish()])
    assert np.abs(ours - original(samples)).max() < 1e-4
    assert 0.3 < (ours > 0.5).mean() < 0.95


def test_silence_and_noise_are_not_speech():
    rng = np.random.default_rng(0)
    for samples in (np.zeros(32_000), 0.05 * rng.normal(size=32_000)):
        assert SpeechDetector().feed(samples.astype(np.float32)).max() < 0.5


def test_torchs_threads_are_left_alone():
    SpeechDetector()
    assert "silero_vad" not in sys.modules


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch):
    vad._weights.cache_clear()
    monkeypatch.setattr(vad, "find_spec", lambda name: None)
    with pytest.raises(ModelUnavailableError, match="install it"):
        SpeechDetector()
    vad._weights.cache_clear()

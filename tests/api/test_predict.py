"""What the model hears in files, over HTTP."""

from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from emotion_search.engine.api.app import create_app
from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.embedders.acoustic.model import Acoustic
from emotion_search.engine.inference.predict import predict_files
from emotion_search.engine.settings import Settings
from tests.api.conftest import assert_problem, upload
from tests.conftest import tone, write_wav


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "angry.wav", speak("anger", speaker=1, seed=0, seconds=7.0))


def test_a_file_is_heard_as_on_the_command_line(reading: TestClient, voice: Path):
    (whole,) = predict_files([voice], Acoustic())
    answer = reading.post("/v1/predict", files=upload(voice))
    assert answer.status_code == 200
    answered = answer.json()
    assert (answered["file"], answered["model"], answered["parts"]) == ("angry.wav", "acoustic", [])
    assert (answered["start"], answered["end"]) == (0.0, pytest.approx(7.0, abs=0.01))
    assert answered["emotion"] == whole.emotion
    assert answered["scores"] == pytest.approx(whole.scores, abs=1e-5)
    assert answered["confidence"] == max(answered["scores"].values())
    assert answered["adapted"] == "none"  # twelve clips have no mean yet
    assert reading.get("/v1/stats").json()["clips"] == 12  # it was not kept


def test_parts_are_told_in_order(reading: TestClient, voice: Path):
    fields = {"granularity": "window", "window": "2", "hop": "1"}
    answered = reading.post("/v1/predict", files=upload(voice), data=fields).json()
    assert [part["start"] for part in answered["parts"]] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert answered["adapted"] == "none"  # three windows beside each other
    for part in answered["parts"]:
        assert sum(part["scores"].values()) == pytest.approx(1, abs=1e-4)
        assert part["emotion"] == max(part["scores"], key=part["scores"].get)


def test_frames_are_told_of_a_model_that_has_them(tmp_path: Path, checkpoint: Path):
    path = write_wav(tmp_path / "x.wav", np.tile(tone(1.0), 2))
    with TestClient(create_app(Settings(home=tmp_path / "home", model=str(checkpoint)))) as client:
        fields = {"granularity": "frame"}
        answered = client.post("/v1/predict", files=upload(path), data=fields).json()
    assert answered["model"] == checkpoint.name
    assert len(answered["parts"]) == (2 * 16_000 - 400) // 320 + 1


@pytest.mark.parametrize(
    ("fields", "status", "kind"),
    [
        ({"granularity": "frame"}, 422, "invalid-input"),  # this model has none
        ({"granularity": "word"}, 422, "invalid-request"),
        ({"granularity": "window", "window": "1", "hop": "2"}, 422, "invalid-input"),
        ({"window": "nan"}, 422, "invalid-request"),
        ({"limit": "2"}, 422, "invalid-request"),
        ({"window": "2"}, 422, "invalid-request"),  # of no effect
        ({"granularity": "utterance", "hop": "1"}, 422, "invalid-request"),
    ],
)
def test_what_cannot_be_predicted_is_refused(
    reading: TestClient, voice: Path, fields, status, kind
):
    assert_problem(reading.post("/v1/predict", files=upload(voice), data=fields), status, kind)


def test_what_is_no_audio_is_refused(reading: TestClient, tmp_path: Path):
    path = tmp_path / "x.wav"
    path.write_bytes(b"a,b\n1,2\n")
    body = assert_problem(reading.post("/v1/predict", files=upload(path)), 422, "unusable-audio")
    assert body["detail"].startswith("x.wav ")
    assert_problem(reading.post("/v1/predict", json={"clip": 1}), 415)
    assert_problem(reading.post("/v1/predict", files={"other": b"x"}), 422)

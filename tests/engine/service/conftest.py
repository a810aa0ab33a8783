"""An upload, and work on it that waits."""

import threading
import time
from pathlib import Path

import pytest

from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.service import work
from emotion_search.engine.service.uploads import take_in
from tests.conftest import write_wav


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "new.wav", speak("anger", speaker=7, seed=3))


@pytest.fixture
def blocked(monkeypatch: pytest.MonkeyPatch):
    """Taking in waits until the second event is set, or it is to stop; the first says it began."""
    asked, go = threading.Event(), threading.Event()

    def waiting(library, file, *, stop, **how):
        asked.set()
        while not (go.is_set() or stop.is_set()):
            time.sleep(0.01)
        return take_in(library, file, stop=stop, **how)

    monkeypatch.setattr(work, "take_in", waiting)
    yield asked, go
    go.set()

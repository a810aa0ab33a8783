"""Emotion scores of an archive follow its mean and its baselines, whatever happens beside."""

import logging
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select

from emotion_search.engine.embedders.acoustic.model import WEIGHTS, Acoustic
from emotion_search.engine.files.scan import find_audio
from emotion_search.engine.ingest.options import IngestOptions
from emotion_search.engine.library.library import Library
from emotion_search.engine.settings import Settings
from emotion_search.index.database.recordings import Annotations, annotate
from emotion_search.index.database.schema import Embedding, Model
from emotion_search.index.database.scoring import are_stale, centres_of
from emotion_search.index.vectors.space import Method
from tests.archives import fill
from tests.conftest import ROOT
from tests.templates import Template

MADE = 300
RESTORE = """
import sys
from emotion_search import Library, Settings
from emotion_search.index.database import scoring
scoring.BATCH = 1
Library.open(Settings(home=sys.argv[1], database_url=sys.argv[2])).restore_space(0)
"""


@cache
def acoustic() -> Acoustic:
    return Acoustic()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Clips by six speakers on two lines, as the built-in model might embed them."""
    rng = np.random.default_rng(0)
    voices = rng.normal(size=(6, acoustic().dimension))
    speakers = np.arange(MADE) % 6
    vectors = 1 + voices[speakers] + rng.normal(size=(MADE, acoustic().dimension))
    called = [f"voice{s}" for s in speakers]
    lines = ["a" if s < 3 else "b" for s in speakers]

    def make(library: Library) -> None:
        fill(library.database, vectors, speakers=called, sources=lines, embedder=acoustic())

    return Template(tmp_path_factory.mktemp("spoken"), make, model="acoustic")


@pytest.fixture
def spoken(settings: Settings, made: Template) -> Iterator[Library]:
    made.place(settings)
    with Library.open(settings) as library:
        yield library


def stored(library: Library) -> tuple[np.ndarray, np.ndarray]:
    """The scores of all clips as they are stored, and as they should be."""
    with library.database.read() as session:
        rows = session.execute(
            select(Embedding.clip_id, Embedding.vector, Embedding.scores).order_by(
                Embedding.clip_id
            )
        ).all()
        ids = np.array([row[0] for row in rows])
        vectors = np.stack([np.frombuffer(row[1], "<f4") for row in rows])
        centres = centres_of(session, library.model(), ids)
    return (
        np.stack([np.frombuffer(row[2], "<f4") for row in rows]),
        acoustic().scores(vectors, centres),
    )


def assert_adapted(library: Library) -> np.ndarray:
    there, expected = stored(library)
    np.testing.assert_allclose(there, expected, atol=1e-5)
    return there


def stale(library: Library) -> int:
    with library.database.read() as session:
        behind = Embedding.score_version < select(Model.score_version).scalar_subquery()
        return session.scalar(select(func.count()).where(behind)) or 0


def test_scores_follow_what_is_tuned_restored_corrected_and_forgotten(spoken: Library):
    raw = stored(spoken)[0]
    spoken.tune(method=Method.CENTRED)
    mean = assert_adapted(spoken)
    assert np.abs(mean - raw).max() > 0.05
    spoken.tune(method=Method.BASELINE)
    baselines = assert_adapted(spoken)
    assert np.abs(baselines - mean).max() > 0.05
    spoken.restore_space(0)
    np.testing.assert_allclose(assert_adapted(spoken), mean, atol=1e-6)
    spoken.restore_space(2)
    with spoken.database.write() as session:
        annotate(session, {1: Annotations(speaker="voice1")})
    assert spoken.rescore() == 1
    assert np.flatnonzero(np.abs(assert_adapted(spoken) - baselines).max(axis=1) > 1e-4) == [0]
    spoken.forget(2)
    assert_adapted(spoken)


def test_new_clips_have_at_once_the_scores_of_the_centres_that_count(
    spoken: Library, settings: Settings, voices: Path
):
    spoken.tune(method=Method.BASELINE)
    angry = sorted(voices.glob("anger-*.wav"))
    annotated = {str(path): Annotations(source="a", speaker="voice0") for path in angry}
    with Library.open(settings, background=True) as server:
        found = find_audio([str(path) for path in angry], annotated).files
        server.ingest(found, IngestOptions(save_index=False))  # so without a pass at the end
    assert stale(spoken) == 0
    raw = acoustic().scores(spoken.embedding(MADE + 1)[None])[0]
    assert np.abs(assert_adapted(spoken)[MADE] - raw).max() > 0.01


def test_a_server_leaves_it_to_its_upkeep(spoken: Library, settings: Settings):
    with Library.open(settings, background=True) as server:
        server.tune(method=Method.BASELINE)
        assert stale(server) == MADE
        assert server.rescore() == MADE
        assert server.rescore() == 0
        assert_adapted(server)


def test_it_stops_when_it_is_asked_to_and_goes_on_later(spoken: Library, settings: Settings):
    with Library.open(settings, background=True) as server:
        server.tune(method=Method.BASELINE)
    stopped = threading.Event()
    stopped.set()
    assert spoken.rescore(stop=stopped) == 0
    assert spoken.rescore() == MADE


def test_kill_minus_nine_in_the_middle(spoken: Library, settings: Settings):
    with Library.open(settings, background=True) as server:
        server.tune(method=Method.BASELINE)
    places = [str(settings.home), settings.database_url]
    process = subprocess.Popen([sys.executable, "-c", RESTORE, *places], cwd=ROOT)
    until = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < until:
        with spoken.database.read() as session:
            done = session.scalar(select(func.count()).where(Embedding.score_version > 0))
        if done:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = stale(spoken)
    assert 0 < left < MADE
    assert spoken.rescore() == left
    assert_adapted(spoken)


def test_ingest_beside_it(spoken: Library, settings: Settings, voices: Path, monkeypatch):
    monkeypatch.setattr("emotion_search.index.database.scoring.BATCH", 10)
    spoken.ingest(find_audio([str(voices / "anger-0.wav")]).files)
    with Library.open(settings, background=True) as server:
        server.tune(method=Method.BASELINE)
        beside = threading.Thread(target=server.rescore)
        beside.start()
        for path in sorted(voices.glob("*-1.wav")):
            spoken.ingest(find_audio([str(path)]).files)
            annotated = {str(path): Annotations(source="b", speaker="voice4")}
            spoken.ingest(find_audio([str(path)], annotated).files)
        beside.join()
    assert stale(spoken) == 0
    assert_adapted(spoken)


def test_where_the_model_cannot_be_loaded_scores_stay(spoken: Library, settings, caplog):
    before = stored(spoken)[0]
    with spoken.database.write() as session:
        session.get(Model, spoken.model().id).fingerprint = "0" * 64
    with caplog.at_level(logging.WARNING):
        spoken.tune(method=Method.CENTRED)
    assert "emotion scores stay as they are" in caplog.text
    assert np.array_equal(stored(spoken)[0], before)
    with spoken.database.write() as session:
        session.get(Model, spoken.model().id).fingerprint = acoustic().fingerprint
    assert spoken.rescore() == MADE


def test_weights_that_do_not_adapt_are_loaded_for_it_once(spoken: Library, tmp_path, monkeypatch):
    own = tmp_path / "own.safetensors"
    shutil.copy(WEIGHTS, own)
    before = stored(spoken)[0]
    with spoken.database.write() as session:
        session.get(Model, spoken.model().id).name = str(own)
    spoken.settings = spoken.settings.model_copy(update={"model": None})
    spoken.tune(method=Method.CENTRED)
    assert np.array_equal(stored(spoken)[0], before)
    with spoken.database.read() as session:
        assert not are_stale(session, spoken.model())

"""Odd files, odd moments and hostile input that once did harm."""

import contextlib
import os
import shutil
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from emotion_search.engine.audio.file import decode
from emotion_search.engine.embedders.emotion2vec.checkpoint import read_checkpoint
from emotion_search.engine.files.scan import find_audio
from emotion_search.engine.ingest import pipeline
from emotion_search.engine.ingest.options import IngestOptions
from emotion_search.engine.library.library import Library
from emotion_search.engine.service.uploads import take_in
from emotion_search.engine.settings import Settings, load_settings
from emotion_search.index.database.connection import Database
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.recordings import Annotations
from emotion_search.index.errors import (
    AudioError,
    DatabaseBusyError,
    DatabaseError,
    EmotionSearchError,
    InvalidInputError,
    ModelUnavailableError,
    NotFoundError,
)
from tests.checkpoints import make_checkpoint, model_conf
from tests.conftest import tone, write_wav


def ingest(library: Library, *paths: Path):
    return library.ingest(find_audio([str(path) for path in paths]).files)


def test_an_error_of_the_database_ends_an_ingest_and_its_threads(
    sqlite_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, impatient: None
):
    for number in range(4):
        write_wav(tmp_path / "calls" / f"{number}.wav", tone(60.0, 100 + number))
    monkeypatch.setattr(pipeline, "BATCH_S", 20.0)
    settings = sqlite_settings
    with Library.open(settings, create=True) as library:
        library.ingest([])  # the model is known from here on
        readers = []

        def lock(report):
            if not readers:
                other = sqlite3.connect(settings.home / "archive.db", isolation_level=None)
                other.execute("BEGIN IMMEDIATE")
                readers.append(other)

        write_wav(tmp_path / "calls" / "00.wav", tone(1.0))
        with pytest.raises(DatabaseBusyError):
            library.ingest(find_audio([str(tmp_path / "calls")]).files, progress=lock)
        readers[0].close()
    assert not [t for t in threading.enumerate() if t.name.startswith("prefetch")]


def test_the_same_upload_from_many_at_once_is_taken_in_once(
    fixed_windows, library: Library, tmp_path: Path
):
    library.ingest([])
    path = write_wav(tmp_path / "x.wav", tone(40.0))
    for round_number in range(3):
        write_wav(path, tone(20.0, 100 + 50 * round_number))
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda _: take_in(library, path, name="x.wav"), range(6)))
        assert len({recording for recording, _ in answers}) == 1
        assert sum(new for _, new in answers) == 1
        clip = library.clips_of(answers[0][0])[0]
        assert len(library.clip_audio(clip.id)[0]) == 15 * 16_000
    library.forget(answers[0][0])
    assert len(list(library.settings.uploads_folder.glob("*.wav"))) == 2


def test_an_upload_brings_back_audio_that_was_lost(library: Library, tmp_path: Path):
    path = write_wav(tmp_path / "calls" / "x.wav", tone(1.0))
    ingest(library, path)
    copy = shutil.copy(path, tmp_path / "copy")
    path.unlink()
    with pytest.raises(NotFoundError):
        library.clip_audio(1)
    assert take_in(library, Path(copy), name="x.wav") == (1, False)
    assert len(library.clip_audio(1)[0]) == 16_000


def test_an_upload_whose_model_is_missing_leaves_no_bytes(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "cache"))
    path = write_wav(tmp_path / "x.wav", tone(1.0))
    with Library.open(Settings(home=tmp_path / "home"), create=True) as library:
        with pytest.raises(ModelUnavailableError):
            take_in(library, path, name="x.wav")
        assert [p.name for p in library.settings.uploads_folder.iterdir()] == [".locks"]


def test_an_embedding_that_is_not_finite_is_that_files_failure(
    tmp_path: Path, checkpoint: Path, database_url: str
):
    swell = np.sin(np.pi * np.arange(16_000) / 16_000)  # even noise would be no speech
    loud = swell * np.random.default_rng(0).uniform(-1, 1, 16_000) * 1e30
    bad = write_wav(tmp_path / "calls" / "a.wav", loud.astype(np.float32), subtype="FLOAT")
    write_wav(tmp_path / "calls" / "b.wav", tone(1.0))
    write_wav(tmp_path / "calls" / "c.wav", tone(1.0, 300))
    settings = Settings(
        home=tmp_path / "home", database_url=database_url, model=str(checkpoint), device="cpu"
    )
    with Library.open(settings, create=True) as library:
        report = ingest(library, tmp_path / "calls")
        assert report.recordings == 2
        assert report.failed == [(str(bad), "gets no usable embedding at 0.00 s")]
        assert len(library.search(1)) == 1
        with pytest.raises(AudioError, match="no usable embedding"):
            library.search(bad)


@pytest.mark.parametrize(("samples", "rate"), [(1, 44_100), (1, 48_000), (2, 96_000), (1, 16_000)])
def test_a_file_of_next_to_nothing_is_too_short(library, tmp_path, samples, rate):
    path = write_wav(tmp_path / "x.wav", np.ones(samples, np.float32), rate)
    ((_, reason),) = ingest(library, path).failed
    assert "too short" in reason
    library.ingest(find_audio([str(write_wav(tmp_path / "y.wav", tone(1.0)))]).files)
    with pytest.raises(AudioError, match="too short"):
        library.search(path)


def test_odd_files_are_failures_of_their_own(library: Library, tmp_path: Path):
    folder = tmp_path / "calls"
    good = write_wav(folder / "good.wav", tone(1.0))
    (folder / "bytes.raw").write_bytes(os.urandom(1000))
    os.mkfifo(folder / "pipe.wav")
    old = write_wav(folder / "far.wav", tone(1.0, 300))
    os.utime(old, ns=(10**18, 9 * 10**18))
    slow = bytearray(good.read_bytes())
    slow[24:28] = (1).to_bytes(4, "little")
    (folder / "one-hertz.wav").write_bytes(slow)
    found = find_audio([str(folder), str(folder / "bytes.raw")])
    assert [Path(path).name for path, _ in found.unusable] == ["pipe.wav"]
    report = library.ingest(found.files)
    assert {Path(path).name for path, _ in report.failed} == {"bytes.raw", "one-hertz.wav"}
    assert report.recordings == 2
    for pipe in (folder / "pipe.wav", Path("/dev/zero")):
        with pytest.raises(AudioError, match="regular file"):
            decode(pipe)
        with pytest.raises(InvalidInputError, match="regular file"):
            library.search(pipe)


def test_a_database_restored_and_written_to_is_not_mixed_with_an_older_index(
    sqlite_settings: Settings, tmp_path: Path
):
    def files(*hertz: int) -> list[Path]:
        return [write_wav(tmp_path / f"{hz}.wav", tone(1.0, hz)) for hz in hertz]

    home = sqlite_settings.home
    with Library.open(sqlite_settings, create=True) as library:
        ingest(library, *files(100, 120, 140))
    shutil.copy(home / "archive.db", tmp_path / "backup.db")
    with Library.open(sqlite_settings) as library:
        ingest(library, *files(200, 250))
    for left in home.glob("archive.db*"):
        left.unlink()
    shutil.copy(tmp_path / "backup.db", home / "archive.db")
    with Library.open(sqlite_settings) as library:
        # as other processes would: without looking at the saved index
        library.ingest(
            find_audio([str(p) for p in files(300, 400)]).files, IngestOptions(save_index=False)
        )
    with Library.open(sqlite_settings) as library:
        for clip in library.clips():
            best = library.search(Path(str(clip.path)), limit=1)[0]
            direct = library.search(clip.id, limit=1)[0]
            assert best == direct
        stored = {c.id: library.search(c.id, limit=4) for c in library.clips()}
    shutil.rmtree(home / "index")
    with Library.open(sqlite_settings) as library:
        assert stored == {c.id: library.search(c.id, limit=4) for c in library.clips()}


@pytest.mark.slow
def test_two_ingests_at_once_neither_double_nor_deadlock(
    settings: Settings, tmp_path: Path, monkeypatch
):
    paths = [write_wav(tmp_path / f"{n:03}.wav", tone(0.3, 100 + n)) for n in range(90)]
    monkeypatch.setattr(pipeline, "BATCH_S", 2.0)
    with Library.open(settings, create=True) as library:
        library.ingest([])
    errors: list[BaseException] = []

    def run(chosen: list[Path]) -> None:
        try:
            with Library.open(settings) as library:
                ingest(library, *chosen)
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [
        threading.Thread(target=run, args=(part,)) for part in (paths, paths[10:], paths[::-1])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with Library.open(settings) as library:
        counts = library.status().counts
        assert (counts.recordings, counts.clips) == (90, 90)
        assert len(library.search(1, limit=1000)) == 89


def test_times_at_the_ends_of_the_calendar_are_read_back(library: Library, tmp_path: Path):
    from datetime import UTC, datetime

    path = write_wav(tmp_path / "x.wav", tone(1.0))
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    annotations = {str(path): Annotations(recorded_at=last)}
    library.ingest(find_audio([str(path)], annotations).files)
    assert library.clips()[0].recorded_at == last


def test_a_writer_that_waits_on_postgres_is_told(postgres: str, tmp_path: Path):
    first, second = (Database(postgres, busy_timeout=t) for t in (5, 0.3))
    with (
        contextlib.closing(first),
        contextlib.closing(second),
        first.write(),
        pytest.raises(DatabaseBusyError, match="locked"),
        second.write(),
    ):
        pass


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://h:abc/x",
        "sqlite://host/x.db",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:////dev/null",
        "sqlite:///x.db?timeout=abc",
        "postgresql://me@nosuchhost.invalid/x",
    ],
)
def test_urls_that_lead_nowhere_are_our_errors(url):
    with pytest.raises(EmotionSearchError):
        Database(url, busy_timeout=1).create_or_require()


def test_a_home_with_characters_of_urls_is_a_home(tmp_path: Path):
    home = tmp_path / "what?home #1%20"
    settings = load_settings(home=home, model="acoustic")
    with Library.open(settings, create=True):
        assert (home / "archive.db").exists()


@pytest.mark.parametrize(
    "wanted",
    [
        {"sources": tuple(map(str, range(101)))},
        {"metadata": {str(n): "x" for n in range(11)}},
        {"labels": ("\0",)},
        {"speakers": ("\udcff",)},
    ],
)
def test_filters_that_no_database_should_see_are_refused(wanted):
    with pytest.raises(InvalidInputError):
        ClipFilter(**wanted)


def test_a_checkpoint_cannot_run_code(tmp_path: Path):
    import yaml

    folder = make_checkpoint(tmp_path / "evil")
    mark = tmp_path / "mark"
    config = yaml.safe_load((folder / "config.yaml").read_text())
    spec = config["model_conf"]["modalities"]["audio"]["feature_encoder_spec"]
    evil = f"__import__('os').system('touch {mark}') or {spec}"
    config["model_conf"]["modalities"]["audio"]["feature_encoder_spec"] = evil
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ModelUnavailableError, match="feature_encoder_spec"):
        read_checkpoint(folder)
    config = {"model": "Emotion2vec", "model_conf": model_conf(), "trust_remote_code": True}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ModelUnavailableError, match="trust_remote_code"):
        read_checkpoint(folder)
    assert not mark.exists()


def test_a_folder_called_acoustic_does_not_hide_the_model(
    sqlite_settings: Settings, tmp_path: Path, monkeypatch
):
    (tmp_path / "acoustic").mkdir()
    monkeypatch.chdir(tmp_path)
    with Library.open(sqlite_settings, create=True) as library:
        assert library.embedder().name == "acoustic"


def test_an_index_folder_that_cannot_be_read_stops_no_search(
    sqlite_settings: Settings, tmp_path: Path, caplog
):
    paths = [write_wav(tmp_path / f"{n}.wav", tone(1.0, n)) for n in (200, 300)]
    with Library.open(sqlite_settings, create=True) as library:
        ingest(library, *paths)
    shutil.rmtree(sqlite_settings.index_folder)
    sqlite_settings.index_folder.write_text("a file where the folder was")
    with Library.open(sqlite_settings) as library:
        assert len(library.search(1)) == 1


def test_an_unreachable_schema_is_our_error(database: Database):
    from sqlalchemy import text

    with pytest.raises(DatabaseError), database.read() as session:
        session.execute(text("SELECT * FROM no_such_table"))

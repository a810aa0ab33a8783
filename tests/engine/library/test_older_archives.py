"""Archives that earlier versions wrote: opened, searched and verified as they are."""

import json
import tarfile
from pathlib import Path

import pytest

from emotion_search import ClipFilter, Hit, Library, Settings, find_audio
from emotion_search.index.database.connection import Database
from tests.conftest import ROOT

ARCHIVES = sorted((ROOT / "tests" / "data").glob("archive-*.tar.xz"))


@pytest.fixture(params=ARCHIVES, ids=lambda path: path.name.removesuffix(".tar.xz"))
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The folder of an unpacked archive."""
    with tarfile.open(request.param) as packed:
        packed.extractall(tmp_path, filter="data")
    Database(tmp_path / "home" / "archive.db").migrate()
    return tmp_path


def test_an_older_archive_answers_as_it_did(old: Path, caplog: pytest.LogCaptureFixture):
    expected = json.loads((old / "expected.json").read_text())

    def found(hits: list[Hit]) -> list[list[float]]:
        return [[hit.clip.id, round(hit.similarity, 5)] for hit in hits]

    def rounded(rows: list[list[float]]) -> list[list[float]]:
        return [[row[0], round(row[1], 5)] for row in rows]

    with Library.open(Settings(home=old / "home")) as library:
        counts = library.status().counts
        assert {"recordings": counts.recordings, "clips": counts.clips} == expected["status"]
        hits = library.search(1, limit=5)
        assert found(hits) == rounded(expected["by_clip"])
        assert [hit.percentile for hit in hits] == [row[2] for row in expected["by_clip"]]
        by_file = library.search(old / "audio" / "anger-01.flac", limit=5)
        assert found(by_file) == rounded(expected["by_file"])
        sad = ClipFilter(predicted=("sadness",))
        assert found(library.search(1, limit=5, wanted=sad)) == rounded(expected["predicted"])
        first = library.search(1, limit=5, wanted=ClipFilter(clusters=("moods:0",)))
        assert [hit.clip.id for hit in first] == expected["clusters"]
    assert "unusable" not in caplog.text  # the index is made anew in silence


def test_an_older_archive_is_verified_and_grows(old: Path, voices: Path):
    with Library.open(Settings(home=old / "home")) as library:
        assert library.verify_index().is_sound
        library.rebuild_index()
        assert library.search(1, limit=1)[0].clip.id == 17
        added = library.ingest(find_audio([str(voices)]).files)
        assert (added.recordings, library.status().counts.clips) == (12, 75)
        assert library.classify("emotion").classifier.version == 1

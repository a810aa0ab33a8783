"""What was forgotten is not brought back in silence, and what is old or gone can be forgotten."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from emotion_search import ClipFilter, IngestOptions, Library, find_audio
from emotion_search.engine.library.library import Library as Whole
from emotion_search.engine.service.uploads import UploadFields, take_in
from emotion_search.index.database.schema import Forgotten, Recording
from emotion_search.index.errors import ForgottenError, InvalidInputError


def ingest(library: Library, folder: Path, **options):
    return library.ingest(find_audio([str(folder)]).files, IngestOptions(**options))


def digests(library: Library) -> list[str]:
    with library.database.read() as session:
        return list(session.scalars(select(Forgotten.digest)))


def test_an_ingest_passes_over_what_was_forgotten_until_it_is_asked_for(
    filled: Library, voices: Path, tmp_path: Path
):
    sha256 = filled.recording(3).sha256
    path = filled.clip(3).path
    filled.forget(3)
    (digest,) = digests(filled)
    assert digest != sha256
    again = ingest(filled, voices)
    assert (again.forgotten, again.recordings, again.known, again.files) == (1, 0, 11, 12)
    shutil.copy(path, tmp_path / "renamed.wav")
    assert ingest(filled, tmp_path).forgotten == 1
    back = ingest(filled, voices, again=True)
    assert (back.forgotten, back.recordings, digests(filled)) == (0, 1, [])
    assert ingest(filled, voices).known == 12


def test_what_is_forgotten_while_it_is_read_stays_forgotten(
    filled: Library, voices: Path, monkeypatch
):
    filled.forget(3)
    monkeypatch.setattr("emotion_search.engine.ingest.pipeline.digest_of", lambda *_: "")
    report = ingest(filled, voices)
    assert (report.forgotten, report.recordings) == (1, 0)


def test_an_upload_of_what_was_forgotten_is_refused_until_it_is_asked_for(filled: Library):
    path = Path(filled.clip(3).path)
    filled.forget(3)
    with pytest.raises(ForgottenError, match=r"anna\.wav was forgotten"):
        take_in(filled, path, name="anna.wav")
    assert list(filled.settings.uploads_folder.glob("*.wav")) == []
    fields = UploadFields.from_json(UploadFields(again=True).as_json())
    assert take_in(filled, path, name="anna.wav", fields=fields)[1]


def test_an_import_passes_over_what_was_forgotten(filled: Library, tmp_path: Path):
    filled.export(tmp_path / "features")
    filled.forget(3)
    done = filled.import_embeddings(tmp_path / "features")
    assert (done.rows, done.forgotten, done.recordings, done.known) == (12, 1, 0, 11)
    done = filled.import_embeddings(tmp_path / "features", again=True)
    assert (done.forgotten, done.recordings, digests(filled)) == (0, 1, [])


def test_recordings_are_chosen_by_age_and_by_what_is_known_of_them(filled: Library):
    now = datetime.now(UTC)
    with filled.database.write() as session:
        session.get(Recording, 1).recorded_at = now - timedelta(days=100)
        session.get(Recording, 2).recorded_at = None
        session.get(Recording, 2).ingested_at = now - timedelta(days=100)
        session.get(Recording, 3).recorded_at = now - timedelta(days=80)
        for number in range(4, 13):
            session.get(Recording, number).recorded_at = now
    assert filled.recordings(older=now - timedelta(days=90)) == [1, 2]
    assert filled.recordings(ingested_before=now - timedelta(days=90)) == [2]
    first = ClipFilter(metadata={"take": filled.clip(1).metadata["take"]})
    assert 1 in filled.recordings(first)
    assert filled.recordings(first, older=now - timedelta(days=90)) == [1]


def test_a_server_erases_what_is_older_than_the_settings_allow(filled: Library):
    with pytest.raises(InvalidInputError, match="RETENTION"):
        filled.expired()
    assert filled.forget_expired() == 0
    with filled.database.write() as session:
        for row in session.scalars(select(Recording)):
            row.recorded_at = datetime.now(UTC) - timedelta(days=80 + row.id)
    with Whole.open(filled.settings.model_copy(update={"retention": "90d"})) as kept:
        assert kept.expired() == [10, 11, 12]
        assert kept.forget_expired() == 3
        assert kept.expired() == []
    assert filled.status().counts.recordings == 9


def test_missing_is_what_has_no_file_left_at_any_place(library: Library, voices: Path, tmp_path):
    for name in ("a", "b"):
        shutil.copytree(voices, tmp_path / name)
    ingest(library, tmp_path / "a")
    ingest(library, tmp_path / "b")
    shutil.rmtree(tmp_path / "a")
    (tmp_path / "b" / "anger-0.wav").unlink()
    assert library.recordings(missing=True) == [1]
    library.export(tmp_path / "features")
    with Whole.open(library.settings.model_copy(update={"home": tmp_path / "x",
        "database_url": f"sqlite:///{tmp_path / 'x.db'}"}), create=True) as imported:  # fmt: skip
        imported.import_embeddings(tmp_path / "features")
        assert imported.recordings(missing=True) == []  # which never had audio


def test_files_that_hold_something_else_now_are_left(
    library: Library, voices: Path, tmp_path: Path
):
    for name in ("a", "b"):
        shutil.copytree(voices, tmp_path / name)
        ingest(library, tmp_path / name)
    mine, changed = (tmp_path / name / "anger-0.wav" for name in ("a", "b"))
    changed.write_bytes(b"something else")
    removed, left = library.remove_files(1)
    assert (removed, [path for path, _ in left]) == ([str(mine)], [str(changed)])
    assert not mine.exists()
    assert changed.read_bytes() == b"something else"

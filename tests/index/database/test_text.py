"""Text is the same however its accents are written; paths are their bytes."""

import unicodedata
from pathlib import Path

from sqlalchemy import text

from emotion_search import ClipFilter, Library, find_audio
from emotion_search.engine.files.values import check_text, parse_path
from emotion_search.index.database.affect import DIMENSIONS
from emotion_search.index.database.connection import Database
from emotion_search.index.database.recordings import Annotations
from emotion_search.index.database.spans import Side, Span

NFC, NFD = "Zoë", unicodedata.normalize("NFD", "Zoë")


def test_what_is_given_is_kept_and_compared_in_nfc():
    given = Annotations(source=NFD, speaker=NFD, labels={NFD: NFD}, metadata={NFD: NFD})
    assert given == Annotations(source=NFC, speaker=NFC, labels={NFC: NFC}, metadata={NFC: NFC})
    assert Span(0, 1, None, {NFD: NFD}, NFD) == Span(0, 1, None, {NFC: NFC}, NFC)
    assert Side(NFD, {NFD: NFD}) == Side(NFC, {NFC: NFC})
    assert check_text("label", NFD) == NFC

    def asked(name: str) -> ClipFilter:
        some = (name,)
        return ClipFilter(
            sources=some, speakers=some, labels=some, task=name, channels=some, predicted=some,
            metadata={name: name}, clusters=(f"{name}:1",),
        )  # fmt: skip

    assert asked(NFD) == asked(NFC)


def test_a_path_is_its_bytes(library: Library, voices: Path, tmp_path: Path):
    names = [f"{NFC}.wav", f"{NFD}.wav"]
    for name, voice in zip(names, ("anger-0.wav", "anger-1.wav"), strict=True):
        (tmp_path / "calls").mkdir(exist_ok=True)
        (tmp_path / "calls" / name).write_bytes((voices / voice).read_bytes())
    library.ingest(find_audio([str(tmp_path / "calls")]).files)
    assert {Path(clip.path).name for clip in library.clips()} == set(names)
    assert parse_path(names[1], tmp_path).endswith(names[1])


def test_a_migration_brings_what_is_stored_into_nfc(filled: Library):
    database: Database = filled.database
    with database.write() as session:
        for table, column in (("recordings", "speaker"), ("labels", "value")):
            session.execute(text(f"UPDATE {table} SET {column} = :t"), {"t": NFD})
        session.execute(text("UPDATE labels SET task = :t WHERE clip_id < 3"), {"t": NFD})
        twin = "INSERT INTO labels (clip_id, task, value) VALUES (1, :t, 'first')"
        session.execute(text(twin), {"t": NFC})
        session.execute(text("UPDATE alembic_version SET version_num = '0013'"))
        for table in (
            *("webhook_deliveries", "webhooks", "alert_firings", "alerts"),
            *("forgotten", "ingest_slices", "ingest_runs"),
        ):
            session.execute(text(f"DROP TABLE {table}"))
        session.execute(text("DROP INDEX ix_clips_speaker"))
        session.execute(text("ALTER TABLE clips DROP COLUMN speaker"))
        for name in ("worker", "lease_until"):
            session.execute(text(f"ALTER TABLE jobs DROP COLUMN {name}"))
        for name in DIMENSIONS:
            session.execute(text(f"ALTER TABLE embeddings DROP COLUMN {name}"))
    database.migrate()
    assert len(filled.clips(ClipFilter(speakers=(NFD,)))) == 12
    assert dict(filled.clip(1).labels) == {NFC: "first"}
    assert dict(filled.clip(2).labels) == {NFC: NFC}
    assert dict(filled.clip(3).labels) == {"emotion": NFC}

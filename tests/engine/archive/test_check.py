"""Damage is found wherever a bit changes, told with its cure, and mended where audio allows."""

import random
import re
import sqlite3
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, make_url, select, text
from sqlalchemy.orm import Session

from emotion_search.engine.api.app import create_app
from emotion_search.engine.archive.check import check, drop_damaged, remove_useless
from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.classify import methods as classify
from emotion_search.engine.clusters import cluster
from emotion_search.engine.library.library import Library
from emotion_search.engine.quality import tune
from emotion_search.engine.service.uploads import take_in
from emotion_search.engine.settings import Settings
from emotion_search.index.database.engines import connect
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.schema import Base, Clip
from emotion_search.index.database.wrong_values import wrong_values
from emotion_search.index.errors import DatabaseError, EmotionSearchError
from emotion_search.index.vectors.space import Method
from tests.commands.test_cli import run
from tests.conftest import write_wav
from tests.templates import Template

__all__ = ["run"]  # a fixture


def found(settings: Settings, **how: bool) -> list[str]:
    try:
        with Library.open(settings) as library:
            return [f"{one.where}: {one.what}" for one in check(library, **how)]
    except EmotionSearchError as error:
        return [str(error)]


def flip(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def change(settings: Settings, table: str, column: str, how: Callable[[bytes], bytes]) -> None:
    """Change the bytes in some row of a database."""
    database = create_engine(settings.database_url)
    with database.begin() as connection:
        key = "ctid" if database.dialect.name == "postgresql" else "rowid"
        rows = f"SELECT {key}, {column} FROM {table} ORDER BY {column} LIMIT 1"
        row, data = connection.execute(text(rows)).one()
        write = text(f"UPDATE {table} SET {column} = :data WHERE {key} = :row")
        connection.execute(write, {"data": how(bytes(data)), "row": row})
    database.dispose()


@pytest.fixture
def archive(settings: Settings, voices_archive: Template) -> Settings:
    voices_archive.place(settings)
    return settings


def test_nothing_is_found_in_a_sound_archive(archive: Settings):
    assert found(archive, audio=True) == []


@pytest.mark.parametrize("column", ["vector", "scores"])
def test_every_bit_of_an_embedding_counts(archive: Settings, column: str):
    rng = random.Random(column)
    for _ in range(5):
        before = []

        def damaged(data: bytes, before: list = before) -> bytes:
            before.append(data)
            return flip(data, rng.randrange(8 * len(data)))

        change(archive, "embeddings", column, damaged)
        (line,) = found(archive)
        assert line.startswith("embeddings of acoustic: 1 of 12 are damaged")
        database = create_engine(archive.database_url)
        with database.begin() as connection:
            whole = zlib.crc32(before[0])
            connection.execute(
                text(f"UPDATE embeddings SET {column} = :data WHERE {column}_crc32 = :whole"),
                {"data": before[0], "whole": whole},
            )
        database.dispose()
    assert found(archive) == []


@pytest.mark.slow
def test_bits_of_the_file_count_wherever_they_mean_something(
    sqlite_settings: Settings, voices_archive: Template
):
    settings = sqlite_settings.model_copy(
        update={"database_url": f"sqlite:///{sqlite_settings.home / 'archive.db'}"}
    )
    voices_archive.place(settings)
    file = settings.home / "archive.db"

    def rows() -> object:
        with sqlite3.connect(file) as database:
            database.text_factory = bytes
            tables = database.execute("SELECT name FROM sqlite_master WHERE rootpage").fetchall()
            names = [name.decode() for (name,) in tables if not name.startswith(b"ix_")]
            try:
                return [
                    sorted(database.execute(f"SELECT * FROM {name}"), key=repr)
                    for name in names
                    if "autoindex" not in name
                ]
            except sqlite3.Error as error:
                return error

    with sqlite3.connect(
        file
    ) as database:  # metadata is indexed, and so doubled, up to 200 letters
        database.execute("UPDATE recording_metadata SET value = substr(value, 1, 200)")
    database.execute("VACUUM")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    whole, content = file.read_bytes(), rows()
    rng = random.Random(4)
    missed = []
    for _ in range(60):
        bit = rng.randrange(8 * len(whole))
        for log in file.parent.glob("archive.db-*"):
            log.unlink()
        file.write_bytes(flip(whole, bit))
        if not found(settings) and rows() != content:
            missed.append(bit)
    assert missed == []


def test_a_space_that_is_damaged_does_not_answer(archive: Settings, monkeypatch):
    monkeypatch.setattr(tune, "FEWEST", 10)
    with Library.open(archive) as library:
        library.tune(method=Method.CENTRED)
    change(archive, "spaces", "mean", lambda data: flip(data, 77))
    with Library.open(archive) as library:
        with pytest.raises(DatabaseError, match="emotion-search check"):
            library.search(1)
        (line, *_) = [f"{one.where}: {one.what}; {one.cure}" for one in check(library)]
        assert line.startswith("spaces: a checksum is wrong; emotion-search tune --restore 0")
        library.restore_space(0)
        assert library.search(1)
        assert remove_useless(library) == []  # its number would be given again
        library.tune(method=Method.CENTRED)
        assert remove_useless(library) == ["spaces: version 1 of acoustic"]
        assert [one.version for one in library.spaces()] == [0, 2]
        assert library.search(1)
        assert list(check(library)) == []


def test_damaged_percentiles_of_a_space_that_serves_no_more_are_removed_alone(archive, monkeypatch):
    monkeypatch.setattr(tune, "FEWEST", 10)
    with Library.open(archive) as library:
        library.tune(method=Method.CENTRED)
    change(archive, "calibrations", "quantiles", lambda data: flip(data, 77))
    with Library.open(archive) as library:
        library.tune(method=Method.CENTRED)
        (removed,) = remove_useless(library)
        assert removed.startswith("calibrations: space ")
        assert [one.version for one in library.spaces()] == [0, 1, 2]
        assert list(check(library)) == []


@pytest.mark.parametrize("how", [lambda data: flip(data, 30), lambda data: data[:-4]])
def test_a_damaged_embedding_is_not_answered_with(archive: Settings, tmp_path: Path, how):
    change(archive, "embeddings", "vector", how)
    with Library.open(archive) as library:
        for act in (library.rebuild_index, lambda: library.export(tmp_path / "out.csv")):
            with pytest.raises(DatabaseError, match=r"clip \d+ is damaged; .* check --mend"):
                act()


def test_what_is_damaged_is_made_anew_from_the_audio(archive: Settings):
    with Library.open(archive) as library:
        expected = [(hit.clip.id, hit.similarity) for hit in library.search(1, exact=True)]
    change(archive, "embeddings", "vector", lambda data: flip(data, 30))
    with Library.open(archive) as library:
        (model,) = drop_damaged(library)
        assert library.reembed(model.name)[0].clips == 1
        library.rebuild_index()
        hits = library.search(1, exact=True)
    assert [hit.clip.id for hit in hits] == [clip for clip, _ in expected]
    assert found(archive) == []


def test_embeddings_of_earlier_versions_get_their_checksums(archive: Settings):
    database = create_engine(archive.database_url)
    with database.begin() as connection:
        connection.execute(text("UPDATE embeddings SET vector_crc32 = NULL, scores_crc32 = NULL"))
    database.dispose()
    assert found(archive) == []
    change(archive, "embeddings", "vector", lambda data: flip(data, 0))
    assert "1 of 12 are damaged" in found(archive)[0]


def test_files_that_are_gone_or_changed_are_told(archive: Settings, tmp_path: Path):
    mine = write_wav(tmp_path / "mine.wav", speak("anger", speaker=5, seed=5))
    sent = write_wav(tmp_path / "sent.wav", speak("anger", speaker=6, seed=6))
    from emotion_search.engine.files.scan import find_audio

    with Library.open(archive) as library:
        library.ingest(find_audio([str(mine)]).files)
        take_in(library, sent, name="sent.wav")
    (upload,) = archive.uploads_folder.glob("*.wav")
    mine.write_bytes(flip(mine.read_bytes(), 1000))
    upload.unlink()
    (line,) = found(archive)
    assert line.startswith("recording 14: its file is gone")
    changed, gone = found(archive, audio=True)
    assert changed.startswith("recording 13: its file is not what was ingested")
    assert gone == line


@pytest.fixture
def on_sqlite(sqlite_settings: Settings, voices_archive: Template) -> Settings:
    file = sqlite_settings.home / "archive.db"
    settings = sqlite_settings.model_copy(update={"database_url": f"sqlite:///{file}"})
    voices_archive.place(settings)
    return settings


UNREADABLE = {
    "clips": (
        "start_s = 'x'",
        "end_s = x'00'",
        "end_s = 9e999",
        "recording_id = 'x'",
        "channel = 'x'",
    ),
    "recordings": (
        *("recorded_at = 'never'", "recorded_at = '2026-02-31 10:00:00.000000'", "recorded_at = 5"),
        *("name = x'ff'", "duration = 'long'", "name = CAST(x'616cff' AS TEXT)"),
    ),
    "embeddings": ("vector = 'text'",),
    "models": ("classes = 'no'", "classes = '{}'", "classes = '[1]'"),
    "classifiers": (
        "provenance = '{}'",
        """provenance = '{"metrics": {"uar": {"value": "x"}}, "data": {"clips": 3}}'""",
    ),
    "clusterings": ("summary = '{}'", "summary = '[7]'", "summary = '[{}]'"),
    "jobs": ("problem = '{}'", "problem = 'no'"),
}
LEARNED = [
    """classifiers VALUES (1, 1, 't', 1, 'random forest', '["a", "é"]', 0, :provenance,"""
    " x'00000000', :now)",
    "predictions VALUES ('t', 1, 1, 'é', 0.5)",
    "clusterings VALUES (1, 'c', 1, 'kmeans', 3, 0, '{}', :summary, :now)",
    "cluster_members VALUES (1, 1, 2)",
    "jobs (id, status, place, stored, owner, digest, name, size, said, attempts, seconds, problem,"
    " created_at) VALUES (1, 'failed', '', '', '', '', '', 0, '{}', 0, 0, :problem, :now)",
    "failures VALUES ('/a', 'no', 1, :now, 'failed', NULL, NULL, NULL, NULL)",
    "alerts VALUES (1, 'a', 'angry>0.3', 'share', 'day', :filters, 0, 'quiet', NULL, :now,"
    " NULL, NULL)",
    "webhooks VALUES (1, 'https://a.example', 's', :events, :now)",
    "webhook_deliveries VALUES (1, 1, 'm', 'job.ended', '{}', 0, NULL, NULL, NULL, :now, NULL)",
]
GIVEN = {
    "provenance": '{"metrics": {"uar": {"value": 1}},'
    ' "data": {"clips": 3, "classes": {"a": 2, "\\u00e9": 1}}}',
    "summary": '[{"cluster": 0, "size": 1, "share": 1.0, "cohesion": 1.0, "typical": [1]}]',
    "events": '["job.ended"]',
    "filters": '{"source": ["desk"], "min_score": 0.5, "after": "2026-01-01T00:00:00Z"}',
    "problem": '{"status": 422, "kind": null, "detail": "no"}',
    "now": "2026-11-29 08:00:00.000000",
}
IMPOSSIBLE = {
    "clips": ("start_s = -1.0", "end_s = 9e99", "channel = -1", "speaker = ''"),
    "recordings": (
        *("cut = '{'", "duration = -0.5", "duration = 9e99", "sample_rate = -1", "channels = 0"),
        *("speaker = ''", "source = ''", "source = char(9, 160)", "sha256 = 'zz'", "name = ''"),
        "sha256 = upper(sha256)",
    ),
    "embeddings": ("valence = 99", "arousal = -99", "confidence = 1.5", "revision = -1"),
    "labels": ("value = ''", "task = ''", "value = '  '", "value = printf('%.201c', 'a')"),
    "failures": ("attempts = -1", "kind = 'x'"),
    "classifiers": ("version = 0",),
    "clusterings": ("method = 'magic'",),
    "predictions": ("probability = -0.5", "probability = 1.5", "value = ''"),
    "cluster_members": ("cluster = -9",),
    "jobs": ("status = 'x'", "seconds = -1", "size = -1"),
    "alerts": ("measure = 'x'", "window = 'x'", "state = 'x'", "seen = -1"),
    "webhook_deliveries": ("attempts = -1", "event = 'x'"),
}
CONTRADICTED = {
    ("clips", "end_s = -1.0"): "end before they begin",
    ("clips", "end_s = 9"): "end after their recording does",
    ("clips", "channel = 1"): "are of a channel that their recording has not",
    ("clips", "recording_id = 99"): "belong to recordings that are not there",
    ("archive", "active_model_id = NULL"): "name no model that serves, though there are clips",
    ("alerts", """filters = '{"bogus": 1}'"""): "have filters that nothing can use",
    ("alerts", """filters = '{"min_score": "x"}'"""): "have filters that nothing can use",
    ("alerts", """filters = '{"min_score": 7}'"""): "have filters that nothing can use",
    ("alerts", """filters = '{"after": "never"}'"""): "have filters that nothing can use",
    ("alerts", "rule = 'zig>zag'"): "have rule that nothing can use",
    ("webhooks", """events = '["zig"]'"""): "have events that nothing can use",
    ("webhooks", "events = '[]'"): "have events that nothing can use",
    ("webhooks", "url = 'x'"): "have url that nothing can use",
    ("models", "revision = 0"): "have a revision before that of an embedding",
    ("models", "space_version = 9"): "name a space that is not there",
    ("models", "classes = json_replace(classes, '$[1]', classes ->> '$[0]')"): (
        "have classes that nothing can use"
    ),
    ("classifiers", "space_version = 7"): "are of a space that is not there",
    ("classifiers", """classes = '["a", "b"]'"""): "have classes that nothing can use",
    ("clusterings", "space_version = 9"): "are of a space that is not there",
    ("calibrations", "space_version = 9"): "are percentiles of a space that is not there",
    ("cluster_members", "cluster = 3"): "are in a cluster that their clustering has not",
    ("predictions", "value = 'banana'"): "have a value that is no class of their classifier",
    ("predictions", "task = 'other'"): "are of another task than their classifier",
    ("clips", "channel_name = ' '"): "have a channel_name that cannot be",
    ("clips", "recording_id = 2"): "have no clips",
    ("archive", "revision = -1"): "have a revision that cannot be",
}


def test_a_time_just_before_a_second_is_no_damage(on_sqlite: Settings):
    with sqlite3.connect(on_sqlite.home / "archive.db") as database:
        database.execute("UPDATE recordings SET recorded_at = '2026-11-29 21:01:37.999600'")
    assert found(on_sqlite) == []


def test_values_that_cannot_be_are_told_by_their_table(on_sqlite: Settings):
    damages = {
        **{(table, one): f"have no {one.split()[0]} that can be read"
           for table, changes in UNREADABLE.items() for one in changes},
        **{(table, one): f"have a {one.split()[0]} that cannot be"
           for table, changes in IMPOSSIBLE.items() for one in changes},
        **CONTRADICTED,
    }  # fmt: skip
    database = connect(make_url(on_sqlite.database_url), 5, read_only=False)
    with Session(database) as session:
        for one in LEARNED:
            session.execute(text(f"INSERT INTO {one}"), GIVEN)
        session.commit()
        assert not [one for one in Base.metadata.sorted_tables if list(wrong_values(session, one))]
        for (table, change), what in damages.items():
            session.execute(text("PRAGMA defer_foreign_keys = ON"))
            session.execute(text(f"UPDATE {table} SET {change} WHERE rowid = 1"))
            of = "recordings" if what == "have no clips" else table
            wrong = map(str, wrong_values(session, Base.metadata.tables[of]))
            assert f"1 rows {what}" in list(wrong)
            session.rollback()
    database.dispose()


def test_rows_that_nothing_can_use_are_named_not_answered_with_and_removed(
    on_sqlite: Settings, run
):
    with sqlite3.connect(on_sqlite.home / "archive.db") as database:
        for one in LEARNED:
            database.execute(f"INSERT INTO {one}", GIVEN)
        database.execute("UPDATE labels SET value = ' ' WHERE clip_id = 3")
        database.execute("UPDATE predictions SET probability = 7")
        database.execute("UPDATE alerts SET rule = 'zig>zag'")
        database.execute("UPDATE webhooks SET events = '[]'")
    assert "is damaged; see how, and the cure: emotion-search check" in (
        run("search", "--clip", 2, "--limit", 12).err
    )
    lines = run("check").out.splitlines()
    keys = ["clip_id 3, task 'emotion'", "id 1", "id 1", "task 't', clip_id 1"]
    assert sorted(line.partition("(")[2].partition(")")[0] for line in lines) == keys
    assert all("; emotion-search check --mend, which removes them" in line for line in lines)
    mended = run("check", "--mend")
    assert (mended.code, mended.err.count("mended: ")) == (0, 4)
    assert run("search", "--clip", 2, "--limit", 12).code == 0


@pytest.mark.parametrize("change", [
    "clips SET channel = 1", "clips SET end_s = 9", "recordings SET sha256 = 'zz'",
    "recordings SET speaker = ' '", "embeddings SET valence = 7", "labels SET value = ''",
])  # fmt: skip
def test_a_hit_has_no_value_that_cannot_be(on_sqlite: Settings, change: str):
    with sqlite3.connect(on_sqlite.home / "archive.db") as database:
        database.execute(f"UPDATE {change} WHERE rowid = 1")
    assert found(on_sqlite)
    with Library.open(on_sqlite) as library:
        assert library.search(2, limit=3)
        with pytest.raises(DatabaseError, match=r"clip 1 is damaged; .* emotion-search check$"):
            library.clip(1)


def test_a_clip_that_lost_its_embedding_is_told_and_gets_it_again(on_sqlite: Settings):
    with sqlite3.connect(on_sqlite.home / "archive.db") as database:
        database.execute("DELETE FROM embeddings WHERE clip_id = 5")
    with Library.open(on_sqlite) as library:
        lost = [f"{one.where}: {one.what}; {one.cure}" for one in check(library)]
        assert "clips: 1 rows have no embedding (id 5); emotion-search check --mend" in lost
        (model,) = drop_damaged(library)
        assert library.reembed(model.name)[0].clips == 1
        library.rebuild_index()
    assert found(on_sqlite) == []


@pytest.mark.parametrize("change", [
    "confidence = 0.99", "confidence = 7", "emotion = 'odd'", "arousal = -0.99",
])  # fmt: skip
def test_an_emotion_that_scores_do_not_say_is_written_anew_without_the_audio(
    on_sqlite: Settings, change: str
):
    with sqlite3.connect(on_sqlite.home / "archive.db") as database:
        columns = "SELECT emotion, confidence, arousal FROM embeddings LIMIT 1"
        (before,) = database.execute(columns)
        database.execute(f"UPDATE embeddings SET {change} WHERE rowid = 1")
        database.execute("DELETE FROM locations")
    *_, line = found(on_sqlite)
    assert line.endswith("1 have another emotion or affect than their scores say (clips 1)")
    with Library.open(on_sqlite) as library:
        searched = library.search(2, wanted=ClipFilter(emotions=("odd",)))
        assert len(searched) == ("odd" in change)
        assert drop_damaged(library) == []
        assert library.search(2, wanted=ClipFilter(emotions=("odd",))) == []
    with sqlite3.connect(on_sqlite.home / "archive.db") as database:
        assert [*database.execute(columns)] == [before]


def test_methods_that_can_be_are_those_that_there_are(on_sqlite: Settings):
    database = connect(make_url(on_sqlite.database_url), 5, read_only=False)
    with Session(database) as session:
        for one in LEARNED:
            session.execute(text(f"INSERT INTO {one}"), GIVEN)
        methods = {"classifiers": classify.METHODS, "clusterings": cluster.METHODS}
        for table, method in [(name, one) for name in methods for one in methods[name]]:
            session.execute(text(f"UPDATE {table} SET method = :method"), {"method": method})
            assert list(wrong_values(session, Base.metadata.tables[table])) == []
    database.dispose()


def test_a_clustering_does_without_a_space_that_was_removed_and_a_classifier_does_not(
    on_sqlite: Settings,
):
    with sqlite3.connect(on_sqlite.home / "archive.db") as database:
        for one in LEARNED:
            database.execute(f"INSERT INTO {one}", GIVEN)
        columns = "model_id, version, method, clips, mean, fitted_at"
        space = "VALUES (1, 2, 'centred', 9, x'00000000', :now)"
        database.execute(f"INSERT INTO spaces ({columns}) {space}", GIVEN)
        for table in ("classifiers", "clusterings"):
            database.execute(f"UPDATE {table} SET space_version = 1")
    (line,) = found(on_sqlite)
    assert line.startswith("classifiers: 1 rows are of a space that is not there")


def test_affect_that_a_model_gave_need_not_be_what_scores_say(on_sqlite: Settings):
    with sqlite3.connect(on_sqlite.home / "archive.db") as database:
        database.execute("UPDATE embeddings SET arousal = -0.99, valence = 0.99 WHERE clip_id = 1")
    assert found(on_sqlite) == []


def test_vectors_that_changed_places_are_noticed_by_the_saved_index_and_made_anew(
    on_sqlite: Settings,
):
    with Library.open(on_sqlite) as library:
        library.search(1)
        library.rebuild_index()
    with sqlite3.connect(on_sqlite.home / "archive.db") as database:
        database.execute("UPDATE embeddings SET clip_id = -1 WHERE clip_id = 2")
        database.execute("UPDATE embeddings SET clip_id = 2 WHERE clip_id = 9")
        database.execute("UPDATE embeddings SET clip_id = 9 WHERE clip_id = -1")
    (line,) = found(on_sqlite)
    assert line == ("saved index of acoustic: 2 vectors are not those of the database (clips 2, 9)")
    with Library.open(on_sqlite) as library:
        (model,) = drop_damaged(library)
        assert library.reembed(model.name)[0].clips == 2
        library.rebuild_index()
    assert found(on_sqlite) == []


@pytest.mark.parametrize(("change", "table"), [
    ("UPDATE models SET mean = x'0102030405'", "models"),
    ("UPDATE models SET space_version = 3", "models"),
    ("UPDATE recordings SET recorded_at = 'never' WHERE id = 1", "recordings"),
])  # fmt: skip
def test_one_damage_is_told_once_and_not_with_the_command_itself(
    on_sqlite: Settings, change: str, table: str
):
    with sqlite3.connect(on_sqlite.home / "archive.db") as database:
        database.execute(change)
    (line,) = found(on_sqlite)
    assert line.startswith(f"{table}: ")


def test_what_cannot_be_made_anew_is_kept(on_sqlite: Settings):
    with sqlite3.connect(on_sqlite.home / "archive.db") as database:
        database.execute("UPDATE embeddings SET valence = 99")
        database.execute("UPDATE locations SET path = '/gone' || path WHERE recording_id > 1")
        ((with_audio,),) = database.execute("SELECT count(*) FROM clips WHERE recording_id = 1")
        ((clips,),) = database.execute("SELECT count(*) FROM clips")
    with Library.open(on_sqlite) as library:
        (model,) = drop_damaged(library)
        assert library.reembed(model.name)[0].clips == with_audio
    assert f"embeddings of acoustic: {clips - with_audio} of {clips} are damaged" in "".join(
        found(on_sqlite)
    )


def test_embeddings_that_the_row_of_their_model_denies_are_not_removed(on_sqlite: Settings):
    with sqlite3.connect(on_sqlite.home / "archive.db") as database:
        database.execute("""UPDATE models SET classes = '["a"]'""")
        ((clips,),) = database.execute("SELECT count(*) FROM clips")
    damage = f"models: {clips} embeddings of acoustic have other dimensions or classes than it"
    assert damage in found(on_sqlite)
    with Library.open(on_sqlite) as library:
        assert drop_damaged(library) == []


def test_recordings_whose_embeddings_alone_were_imported_lack_no_file(on_sqlite: Settings):
    with sqlite3.connect(on_sqlite.home / "archive.db") as database:
        database.execute("UPDATE locations SET path = '/gone' || path")
        database.execute("UPDATE recordings SET sample_rate = 0 WHERE id > 1")
    (missing,) = found(on_sqlite, audio=True)
    assert missing.startswith("recording 1: its file is gone")


def test_an_archive_that_does_not_say_which_model_serves_is_not_taken_for_an_empty_one(
    on_sqlite: Settings, run
):
    with sqlite3.connect(on_sqlite.home / "archive.db") as database:
        database.execute("UPDATE archive SET active_model_id = NULL")
    done = run("search", "--clip", 1)
    assert done.code == 1
    assert "does not say which model serves" in done.err
    assert done.err.rstrip().endswith("emotion-search check")
    assert run("use", "acoustic").code == 0
    assert found(on_sqlite) == []


def test_what_a_classifier_predicts_tells_of_an_embedding_that_is_gone(on_sqlite: Settings):
    with sqlite3.connect(on_sqlite.home / "archive.db") as database:
        for one in LEARNED[:2]:
            database.execute(f"INSERT INTO {one}", GIVEN)
        database.execute("INSERT INTO models VALUES (2, 'b', 'g', 4, '[]', 1, 0, 0, NULL, NULL)")
        database.execute("UPDATE embeddings SET model_id = 2 WHERE clip_id IN (1, 2)")
    assert "clips: 1 rows have no embedding (id 1)" in found(on_sqlite)


@pytest.mark.parametrize(
    ("table", "column"), [("clips", "start_s FLOAT"), ("recordings", "name TEXT")]
)
def test_what_is_missing_is_told(on_sqlite: Settings, run, table: str, column: str):
    file, name = on_sqlite.home / "archive.db", column.split()[0]
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA writable_schema = ON")
        whole = database.execute(
            "SELECT sql FROM sqlite_schema WHERE name = ?", (table,)
        ).fetchone()
        write = "UPDATE sqlite_schema SET sql = ? WHERE name = ?"
        database.execute(write, (whole[0].replace(f"{column} NOT NULL", column), table))
    with sqlite3.connect(file) as database:  # NOT NULL is checked when a row is written
        database.execute(f"UPDATE {table} SET {name} = NULL WHERE id = 2")
        database.execute("PRAGMA writable_schema = ON")
        database.execute(write, (*whole, table))
    told = f"{table}: 1 rows have no {name} that can be read (id 2)"
    assert told in found(on_sqlite)
    assert "is damaged" in run("list", table).err


def test_a_model_that_lost_its_classes_is_damage_to_who_ingests(on_sqlite: Settings, run, tmp_path):
    with sqlite3.connect(on_sqlite.home / "archive.db") as database:
        database.execute("""UPDATE models SET classes = '["a"]'""")
    new = write_wav(tmp_path / "new.wav", speak("anger", speaker=3, seed=3, seconds=1.0))
    done = run("ingest", new)
    assert done.code == 1
    assert "a model has lost its classes; see the cure: emotion-search check" in done.err


@pytest.mark.parametrize("change", [
    "clips SET start_s = 'x'", "clips SET end_s = 9e999", "recordings SET recorded_at = 'never'",
    "clips SET channel = 'x'", "models SET name = x'ff'", "recordings SET name = x'ff'",
])  # fmt: skip
def test_no_reader_stumbles_over_a_row_that_cannot_be(
    on_sqlite: Settings, tmp_path: Path, change: str
):
    with sqlite3.connect(on_sqlite.home / "archive.db") as database:
        database.execute(f"UPDATE {change} WHERE rowid = 1")
    readers = [
        lambda library: library.search(2),
        lambda library: library.trend(1),
        lambda library: library.trend_over("day"),
        lambda library: library.export(tmp_path / "out.csv", overwrite=True),
    ]
    errors = []
    for read in readers:
        try:
            with Library.open(on_sqlite) as library:
                read(library)
        except EmotionSearchError as error:
            errors.append(str(error))
    assert any("is damaged" in one and one.endswith("emotion-search check") for one in errors)


def test_command_and_service_say_that_the_archive_is_damaged(on_sqlite: Settings, run):
    with sqlite3.connect(on_sqlite.home / "archive.db") as database:
        database.execute("UPDATE recordings SET duration = 'long' WHERE id = 1")
    done = run("trend", 1)
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert "is damaged (recordings: 1 rows have no duration that can be read)" in done.err
    service = create_app(on_sqlite)
    with TestClient(service, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        answer = client.get("/v1/recordings/1")
    assert answer.status_code == 503
    assert answer.json()["type"].endswith("database-unavailable")


def test_an_error_of_the_program_stays_one(on_sqlite: Settings):
    with (
        pytest.raises(ValueError, match="ours"),
        Library.open(on_sqlite) as library,
        library.database.read(),
    ):
        raise ValueError("ours")


def test_damaged_scores_are_not_answered_with(archive: Settings, tmp_path: Path):
    change(archive, "embeddings", "scores", lambda data: flip(data, 30))
    with Library.open(archive) as library:
        (line,) = [one.what for one in check(library)]
        clip = int(re.search(r"clips (\d+)", line)[1])
        with library.database.read() as session:
            recording = session.scalar(select(Clip.recording_id).where(Clip.id == clip))
        readers = [
            lambda: library.clip(clip),
            lambda: library.search(clip % 12 + 1, limit=12),
            lambda: library.trend(recording),
            lambda: library.trend_over("day"),
            lambda: library.sorted_clips("happy"),
            lambda: library.export(tmp_path / "out.csv"),
        ]
        for read in readers:
            with pytest.raises(DatabaseError, match=r"clip \d+ is damaged; .* check --mend"):
                read()

"""Embeddings from elsewhere: all of them or a reason, once, and searchable without audio."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, time
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet
from sqlalchemy import text

from emotion_search.engine.files.scan import find_audio
from emotion_search.engine.library.library import Library
from emotion_search.engine.quality.labelled import read_labelled_vectors
from emotion_search.engine.settings import Settings
from emotion_search.engine.transfer import identity as import_identity
from emotion_search.engine.transfer import importing as archive_import
from emotion_search.engine.transfer.importing import import_archive
from emotion_search.engine.transfer.rows import read_row
from emotion_search.engine.transfer.sources import open_source
from emotion_search.index.database.clips import vectors_of
from emotion_search.index.database.connection import Database
from emotion_search.index.errors import InvalidInputError, ModelMismatchError, NotFoundError
from tests.conftest import ingest_voices


@pytest.fixture
def blank(settings: Settings) -> Iterator[Library]:
    """A new archive that nobody has named a model for."""
    with Library.open(settings.model_copy(update={"model": None}), create=True) as opened:
        yield opened


def write(folder: Path, rows: list[dict], vectors=None, *, name: str = "rows.jsonl") -> tuple:
    folder.mkdir(exist_ok=True)
    if vectors is None:
        vectors = np.random.default_rng(0).normal(size=(len(rows), 4))
    np.save(folder / "x.npy", vectors)
    (folder / name).write_text("\n".join(map(json.dumps, rows)))
    return folder / "x.npy", folder / name


def vectors(blank: Library) -> np.ndarray:
    with blank.database.read() as session:
        return vectors_of(session, blank.model(), [c.id for c in blank.clips()])


ROWS = [
    {"id": "call-1", "start": 0, "end": 4, "label": "anger", "scores": {"a": 0.7, "b": 0.3}},
    {"id": "call-1", "start": 4, "end": 8, "labels": {"mood": "low"},
     "scores": {"a": 0.1, "b": 0.9}},
    {"path": "b.wav", "duration": 3, "source": "s", "speaker": "p", "scores": {"a": 0, "b": 1},
     "recorded_at": "2026-01-05", "metadata": {"x": "1"}, "queue": "billing"},
]  # fmt: skip


def test_an_empty_archive_becomes_one_of_the_model(blank, tmp_path):
    given = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)
    done = blank.import_embeddings(*write(tmp_path / "in", ROWS, given), model="mine")
    assert (done.rows, done.recordings, done.clips, done.known) == (3, 2, 3, 0)
    model = blank.model()
    assert (model.name, model.dimension, model.classes) == ("mine", 4, ("a", "b"))
    assert np.array_equal(vectors(blank), given)
    one, two, three = blank.clips()
    assert (one.name, one.path, one.labels) == ("call-1", None, {"emotion": "anger"})
    assert (two.start, two.end, two.labels) == (4.0, 8.0, {"mood": "low"})
    assert (three.end, three.source, three.speaker) == (3.0, "s", "p")
    assert three.metadata == {"x": "1", "queue": "billing"}
    assert three.path == str(tmp_path / "in" / "b.wav")
    assert blank.search(1, limit=5)[0].clip.id in (2, 3)
    assert blank.trend(1).channels[0].share == {"a": 0.5, "b": 0.5}
    again = blank.import_embeddings(*write(tmp_path / "in", ROWS, given), model="mine")
    assert (again.recordings, again.clips, again.known) == (0, 0, 3)


def test_imported_scores_are_not_called_adapted_where_the_model_is_not_here(blank, tmp_path):
    rows = [
        {"id": f"r{i}", "start": 0, "end": 4, "scores": {"a": 0.7, "b": 0.3}} for i in range(25)
    ]
    blank.import_embeddings(*write(tmp_path / "in", rows), model="voice")
    assert blank.clip(1).scores == {"a": pytest.approx(0.7), "b": pytest.approx(0.3)}
    assert blank.status().adapted is None


def test_a_top_class_beside_its_scores_is_no_metadata(blank, tmp_path):
    row = {"path": "a.wav", "duration": 1, "emotion": "b", "confidence": 0.9}
    scored = [{**row, "scores": {"a": 0.1, "b": 0.9}}]
    blank.import_embeddings(*write(tmp_path / "in", scored, np.ones((1, 4))), model="mine")
    assert blank.clip(1).metadata == {}
    assert read_row(row, tmp_path, ()).metadata == {"emotion": "b", "confidence": "0.9"}


@pytest.mark.parametrize("name", ["feat", "x.parquet"])
def test_what_was_exported_comes_back_the_same(filled, tmp_path, name):
    filled.label([(3, "satisfaction", "low")])
    filled.export(tmp_path / name)
    settings = Settings(home=tmp_path / "copy")
    with Library.open(settings, create=True) as copy:
        copy.import_embeddings(tmp_path / name)
        assert copy.clips() == filled.clips()
        assert replace(copy.model(), id=0) == replace(filled.model(), id=0)
        assert np.array_equal(vectors(copy), vectors(filled))
        ours = [(h.clip.id, h.similarity) for h in filled.search(4)]
        assert [(h.clip.id, h.similarity) for h in copy.search(4)] == ours


@pytest.mark.parametrize(
    ("name", "scores"), [("feat", {"angry": 0.7, "happy": 0.3}), ("x.parquet", {})]
)
def test_a_models_own_arousal_comes_back_and_derived_is_derived(blank, tmp_path, name, scores):
    own = {"affect": {"valence": -0.25, "arousal": 0.875, "dominance": 0.1}}
    rows = [{"id": "a", "scores": scores, **own}, {"id": "b", "scores": scores}]
    blank.import_embeddings(*write(tmp_path / "in", rows, np.ones((2, 4))), model="mine")
    blank.export(tmp_path / name)
    with Library.open(Settings(home=tmp_path / "copy"), create=True) as copy:
        copy.import_embeddings(tmp_path / name)
        one, two = copy.clips()
    assert [one.affect, two.affect] == [clip.affect for clip in blank.clips()]
    assert (one.affect, one.derived, one.metadata) == (own["affect"], False, {})
    assert (bool(two.affect), two.derived) == (bool(scores), bool(scores))


def test_embeddings_that_say_of_which_model_they_are_are_not_taken_as_of_another(filled, tmp_path):
    filled.export(tmp_path / "feat")
    with Library.open(Settings(home=tmp_path / "copy"), create=True) as copy:
        for archive in (filled, copy):
            with pytest.raises(InvalidInputError, match="acoustic, not of other: leave --model"):
                archive.import_embeddings(tmp_path / "feat", model="other")
        assert copy.model() is None
        assert copy.import_embeddings(tmp_path / "feat", model="acoustic").clips == 12


def test_another_name_of_the_same_weights_is_that_of_the_archive(filled, tmp_path):
    filled.export(tmp_path / "feat")
    about = tmp_path / "feat" / "about.json"
    about.write_text(about.read_text().replace('"acoustic"', '"/elsewhere/acoustic"'))
    assert filled.import_embeddings(tmp_path / "feat", model="acoustic").known == 12


def test_audio_ingested_later_is_the_recording_that_was_imported(filled, tmp_path, voices):
    filled.export(tmp_path / "feat")
    with Library.open(Settings(home=tmp_path / "copy", model="acoustic"), create=True) as copy:
        copy.import_embeddings(tmp_path / "feat")
        ingest_voices(copy, voices)
        assert copy.status().counts.clips == 12


def test_a_file_with_other_bytes_is_not_the_recording_of_a_given_sha256(tmp_path, voices):
    """The audio at the path was replaced since it was embedded: an ingest takes the new one in."""
    audio = tmp_path / "in" / "a.wav"
    audio.parent.mkdir()
    shutil.copy(voices / "anger-0.wav", audio)
    given = np.random.default_rng(0).normal(size=(2, 256))
    with Library.open(Settings(home=tmp_path / "copy", model="acoustic"), create=True) as copy:
        copy.ingest(find_audio([str(voices / "sadness-0.wav")]).files)
        scores = dict.fromkeys(copy.model().classes, 0.1)
        rows = [
            {"path": f"{name}.wav", "sha256": name * 64, "duration": 3, "scores": scores}
            for name in ("a", "b")
        ]
        copy.import_embeddings(*write(tmp_path / "in", rows, given), model="acoustic")
        with pytest.raises(NotFoundError):
            copy.clip_audio(2)
        assert copy.ingest(find_audio([str(audio)]).files).recordings == 1
        assert len(copy.clip_audio(4)[0])


def test_a_file_with_these_bytes_is_where_the_recording_lies(filled, tmp_path):
    filled.export(tmp_path / "feat")
    with Library.open(Settings(home=tmp_path / "copy", model="acoustic"), create=True) as copy:
        copy.import_embeddings(tmp_path / "feat")
        assert np.array_equal(copy.clip_audio(1)[0], filled.clip_audio(1)[0])


def test_others_can_write_while_files_are_hashed(blank, tmp_path, voices, monkeypatch):
    hashed = []

    def hashing(path: str):
        other = Database(blank.database.url, busy_timeout=0.1)
        with other.write():
            hashed.append(path)
        other.close()

    monkeypatch.setattr(import_identity, "_hashed", hashing)
    path = str(voices / "anger-0.wav")
    rows = [{"path": path, "start": i, "end": i + 1} for i in range(3)]
    blank.import_embeddings(*write(tmp_path / "in", rows), model="mine")
    assert hashed == [path]


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ({"source": "a"}, {"source": "b"}, "row 3 .*its source"),
        ({"recorded_at": "2026-01-05"}, {"recorded_at": "2026-01-06"}, "row 3 .*its recorded_at"),
        ({"metadata": {"k": "1"}}, {"k": "2"}, "row 3 .*its metadata k is '2'"),
    ],
)
def test_rows_of_one_recording_agree_about_it(blank, tmp_path, first, second, message):
    spans = [{"id": "r", "start": i, "end": i + 1} for i in range(2)]
    rows = [{**spans[0], **first}, {"id": "other", "end": 1}, {**spans[1], **second}]
    with pytest.raises(InvalidInputError, match=message):
        blank.import_embeddings(*write(tmp_path / "in", rows), model="mine")
    assert blank.status().counts.clips == 0


def test_rows_of_one_recording_may_each_say_a_part(blank, tmp_path):
    rows = [
        {"id": "r", "start": 0, "end": 1, "a": "1"},
        {"id": "r", "start": 1, "end": 2, "speaker": "s", "b": "2", "recorded_at": "2026-01-05"},
    ]
    blank.import_embeddings(*write(tmp_path / "in", rows), model="mine")
    one, two = blank.clips()
    assert (one.speaker, one.metadata) == (two.speaker, two.metadata) == ("s", {"a": "1", "b": "2"})
    assert one.recorded_at is not None


def test_rows_of_one_recording_may_have_speakers_of_their_own(blank, tmp_path):
    rows = [
        {"id": "r", "start": 0, "end": 1, "speaker": "a"},
        {"id": "r", "start": 1, "end": 2, "speaker": "b"},
        {"id": "r", "start": 2, "end": 3},
    ]
    for _ in range(2):
        blank.import_embeddings(*write(tmp_path / "in", rows), model="mine")
        assert [clip.speaker for clip in blank.clips_of(1)] == ["a", "b", None]


def test_imported_again_labels_follow_and_only_another_speaker_is_read_anew(blank, tmp_path):
    rows = [{"id": name, "end": 1, "speaker": "p", "label": "anger", "x": "1"} for name in "abc"]
    done = blank.import_embeddings(*write(tmp_path / "one", rows), model="m")
    assert (done.clips, done.known) == (3, 0)
    rows[1] |= {"speaker": "q"}
    rows[2] |= {"label": "fear", "x": "2"}
    done = blank.import_embeddings(*write(tmp_path / "two", rows), model="m")
    assert (done.rows, done.recordings, done.clips, done.known) == (3, 0, 0, 3)
    clips = blank.clips()
    assert [(c.speaker, c.label, c.metadata["x"]) for c in clips] == [
        ("p", "anger", "1"),
        ("q", "anger", "1"),
        ("p", "fear", "2"),
    ]
    with blank.database.read() as session:
        revisions = session.execute(text("SELECT revision FROM embeddings ORDER BY clip_id"))
        first, second, third = revisions.scalars()
    assert first == third < second


def test_the_same_bytes_twice_among_others_are_one_recording(blank, tmp_path):
    same = {"sha256": "a" * 64, "label": "anger"}
    rows = [
        {**same, "start": 0, "end": 1},
        {"id": "b", "start": 0, "end": 1},
        {**same, "start": 1, "end": 2, "label": "fear"},
    ]
    done = blank.import_embeddings(*write(tmp_path, rows), model="m")
    assert (done.rows, done.recordings, done.clips, done.known) == (3, 2, 3, 0)
    assert [clip.label for clip in blank.clips()] == ["anger", None, "fear"]


def test_new_spans_join_a_known_recording(blank, tmp_path):
    blank.import_embeddings(*write(tmp_path / "in", ROWS), model="mine")
    more = [{**ROWS[0], "label": "joy"}, {**ROWS[0], "start": 8, "end": 9}]
    done = blank.import_embeddings(*write(tmp_path / "in", more), model="mine")
    assert (done.recordings, done.clips, done.known) == (0, 1, 1)
    spans = [(clip.start, clip.label) for clip in blank.clips_of(1)]
    assert spans == [(0.0, "joy"), (4.0, None), (8.0, "anger")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"end": 1, "start": 2}, "row 2 .*2 to 1 s is no span"),
        ({"end": None, "start": 2}, "row 2 .*start without end"),
        ({"end": None, "start": 2, "duration": 5}, "row 2 .*start without end"),
        ({"start": 0, "end": 4}, "rows 1 and 2 .*same clip"),
        ({"id": None}, "row 2 .*no path, id or sha256"),
        ({"scores": {"a": 0.1}}, "row 2 .*score of each class"),
        ({"scores": {"a": 0.1, "b": 0.2, "c": 0.7}}, "no class c"),
        ({"scores": {"a": 7, "b": 0.2}}, "0 to 1"),
        ({"sha256": "xyz"}, "64 lower-case"),
        ({"recorded_at": "monday"}, "ISO 8601"),
        ({"channel": "left"}, "channel"),
        ({"metadata": "{"}, "not JSON"),
        ({"affect": {"valence": 0.5}}, "needs all of affect:valence, affect:arousal"),
        ({"affect:valence": 0, "affect:arousal": 1.01, "affect:dominance": 0}, "are -1 to 1"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_taken(blank, tmp_path, change, message):
    rows = [ROWS[0], {**ROWS[1], **change}]
    with pytest.raises(InvalidInputError, match=message):
        blank.import_embeddings(*write(tmp_path / "in", rows), model="mine")
    assert blank.status().counts.clips == 0
    assert blank.model() is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.array([[1, 2], [np.nan, 1], [1, 1]]), "row 2 .*NaN"),
        (np.array([[1, 2], [1, 1], [0, 0]]), "row 3 .*zero"),
        (np.ones((2, 2)), "more rows than .*x.npy"),
        (np.ones((4, 2)), "x.npy has more rows"),
        (np.ones(3), "shape"),
        (np.array([["a"], ["b"], ["c"]]), "must be numbers"),
    ],
)
def test_bad_vectors_are_named(blank, tmp_path, given, message):
    with pytest.raises(InvalidInputError, match=message):
        blank.import_embeddings(*write(tmp_path / "in", ROWS, given), model="mine")


def test_columns_of_other_kinds_are_kept_as_text_or_refused(blank, tmp_path):
    columns = {
        "id": ["a", "b"],
        "embedding": [[1.0, 2.0], [2.0, 1.0]],
        "end": [Decimal("1.50"), Decimal("2.25")],
        "price": [Decimal("1.10"), None],
        "at": [time(9, 30), None],
        "day": [date(2026, 1, 5), None],
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "x.parquet")
    blank.import_embeddings(tmp_path / "x.parquet", model="mine")
    one, two = blank.clips()
    assert (one.end, two.end) == (1.5, 2.25)
    assert one.metadata == {"price": "1.10", "at": "09:30:00", "day": "2026-01-05"}
    parquet.write_table(pyarrow.table({**columns, "raw": [None, b"x"]}), tmp_path / "y.parquet")
    with pytest.raises(InvalidInputError, match=r"row 2 .*bytes cannot be kept as text"):
        blank.import_embeddings(tmp_path / "y.parquet", model="mine")
    parquet.write_table(pyarrow.table({"id": ["a"], "embedding": [1.0]}), tmp_path / "z.parquet")
    with pytest.raises(InvalidInputError, match="row 1: its embedding is not a list of numbers"):
        blank.import_embeddings(tmp_path / "z.parquet", model="mine")


@pytest.mark.parametrize(
    "kind",
    [
        pyarrow.list_(pyarrow.float32()),
        pyarrow.large_list(pyarrow.float64()),
        pyarrow.list_(pyarrow.float32(), 2),
        pyarrow.list_(pyarrow.int8()),
    ],
    ids=str,
)
def test_lists_of_any_kind_are_embeddings(tmp_path, kind):
    given = [[1, 2], [2, 1], [-3, 4]]
    table = {"id": ["a", "b", "c"], "embedding": pyarrow.array(given, kind)}
    parquet.write_table(pyarrow.table(table), tmp_path / "x.parquet")
    rows = list(open_source(tmp_path / "x.parquet").rows())
    assert [vector.tolist() for _, _, vector in rows] == given
    assert [(number, cells, vector.dtype.name) for number, cells, vector in rows] == [
        (number, {"id": name}, "float32") for number, name in enumerate("abc", start=1)
    ]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([1.0, 2.0, 3.0], r"row 2: its embedding has shape \(3,\)"),
        (None, "row 2: its embedding is not a list"),
        ([1.0, None], "row 2 .*NaN"),
    ],
)
def test_a_bad_list_is_named(blank, tmp_path, bad, message):
    table = {"id": ["a", "b"], "embedding": [[1.0, 2.0], bad]}
    parquet.write_table(pyarrow.table(table), tmp_path / "x.parquet")
    with pytest.raises(InvalidInputError, match=message):
        blank.import_embeddings(tmp_path / "x.parquet", model="mine")


def test_a_damaged_parquet_is_named(blank, tmp_path):
    path = tmp_path / "x.parquet"
    table = pyarrow.table({"id": ["a"] * 5000, "embedding": [[1.0, 2.0]] * 5000})
    parquet.write_table(table, path)
    whole = path.read_bytes()
    path.write_bytes(b"\xff" * 2000 + whole[2000:])
    with pytest.raises(InvalidInputError, match=r"x\.parquet cannot be read: .{4}"):
        blank.import_embeddings(path, model="mine")


@pytest.mark.parametrize("content", ["npz", "zip", "text"])
def test_what_is_no_array_is_named(blank, tmp_path, content):
    _, table = write(tmp_path / "in", ROWS)
    path = tmp_path / "in" / "y.npy"
    if content == "npz":
        np.savez(tmp_path / "y.npz", np.ones((3, 4)))
        shutil.move(tmp_path / "y.npz", path)
    else:
        path.write_bytes(b"PK\x03\x04 and no more" if content == "zip" else b"hello")
    with pytest.raises(InvalidInputError, match=r"y\.npy"):
        blank.import_embeddings(path, table, model="mine")
    with pytest.raises(InvalidInputError, match=r"y\.npy"):
        read_labelled_vectors(path, table)


def test_another_model_or_dimension_is_refused(filled, tmp_path):
    source = write(tmp_path / "in", [{"id": "a"}])
    with pytest.raises(ModelMismatchError, match="acoustic, not of mine"):
        filled.import_embeddings(*source, model="mine")
    with pytest.raises(InvalidInputError, match=r"4 dimensions; those of acoustic .* have 256"):
        filled.import_embeddings(*source, model="acoustic")
    with pytest.raises(InvalidInputError, match="4 dimensions, not 512"):
        filled.import_embeddings(*source, model="acoustic", dimension=512)
    with pytest.raises(InvalidInputError, match="--model"):
        filled.import_embeddings(*source)
    with pytest.raises(InvalidInputError, match="table beside it"):
        filled.import_embeddings(source[0], model="acoustic")
    with pytest.raises(InvalidInputError, match="holds no embeddings: name"):
        filled.import_embeddings(source[1], model="acoustic")


def test_stopped_in_the_middle_it_goes_on(blank, tmp_path, monkeypatch):
    monkeypatch.setattr(archive_import, "_BATCH", 2)
    rows = [{"id": f"r{i // 2}", "start": i, "end": i + 1} for i in range(20)]
    source = open_source(*write(tmp_path / "in", rows))

    def stop(done) -> None:
        if done.rows >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_archive(blank.database, source, model="mine", progress=stop)
    assert blank.status().counts.clips == 8
    done = blank.import_embeddings(
        tmp_path / "in" / "x.npy", tmp_path / "in" / "rows.jsonl", model="mine"
    )
    assert (done.clips, done.known, blank.status().counts.recordings) == (12, 8, 10)
    assert np.array_equal(vectors(blank), np.load(tmp_path / "in" / "x.npy").astype(np.float32))

"""Manifests say what they can, and name the rows that they cannot use."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from emotion_search.engine.files.manifest import Manifest, read_labels, read_manifest
from emotion_search.engine.files.values import parse_pairs, parse_time
from emotion_search.index.database.recordings import Annotations
from emotion_search.index.errors import InvalidInputError


def test_csv_columns_become_annotations(tmp_path: Path):
    path = tmp_path / "m.csv"
    path.write_text(
        "path,label,source,recorded_at,speaker,queue\n"
        "a/x.wav,anger,crm,2026-01-02T10:00:00+02:00,jo,billing\n"
        "y.wav,,,,,\n"
    )
    manifest = read_manifest(path)
    assert manifest.problems == []
    assert manifest.rows == {
        str(tmp_path / "a" / "x.wav"): Annotations(
            source="crm",
            speaker="jo",
            recorded_at=datetime(2026, 1, 2, 8, tzinfo=UTC),
            labels={"emotion": "anger"},
            metadata={"queue": "billing"},
        ),
        str(tmp_path / "y.wav"): Annotations(),
    }
    assert manifest.naive_times == 0


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters_and_a_byte_order_mark_are_understood(tmp_path: Path, delimiter):
    path = tmp_path / "m.csv"
    path.write_text(f"\ufeffpath{delimiter}label\nx.wav{delimiter}anger, cold\n", encoding="utf-8")
    (annotations,) = read_manifest(path).rows.values()
    assert annotations.labels == {"emotion": "anger, cold"}


def test_json_lines_keep_values_as_text(tmp_path: Path):
    path = tmp_path / "M.JSONL"
    row = {"path": "/abs/x.wav", "n": 3, "ok": True, "none": None, "list": [1], "t": "ü"}
    path.write_text(json.dumps(row) + "\n\n")
    assert read_manifest(path).rows["/abs/x.wav"].metadata == {
        "n": "3",
        "ok": "true",
        "list": "[1]",
        "t": "ü",
    }


def test_rows_that_cannot_be_used_are_named_by_line(tmp_path: Path):
    path = tmp_path / "m.csv"
    path.write_text(
        "path,recorded_at,label\n"
        "x.wav,yesterday,anger\n"
        ",2026-01-01,anger\n"
        "y.wav,2026-01-01,anger\n"
        "y.wav,2026-01-02,joy\n"
        f"z.wav,,{'l' * 300}\n"
        "w.wav,,a,b,c\n"
    )
    manifest = read_manifest(path)
    reasons = [reason for _, reason in manifest.problems]
    assert [where for where, _ in manifest.problems] == [
        f"{path}: line {n}" for n in (2, 3, 5, 6, 7)
    ]
    assert "yesterday" in reasons[0]
    assert "first in line 4" in reasons[2]
    assert list(manifest.rows) == [str(tmp_path / "y.wav")]
    assert manifest.naive_times == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"sound,label\nx,y\n",
        b"path,label\n\xff\xfe\x00",
        b'"path\nx.wav\n',
        b"path,label,label\nx.wav,joy,fear\n",
    ],
)
def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path, content):
    path = tmp_path / "m.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"m\.csv"):
        read_manifest(path)


def test_a_stray_quote_costs_its_own_row(tmp_path: Path):
    path = tmp_path / "m.csv"
    path.write_text(
        'path,label\n"a"b.wav,joy\nx.wav,anger\n"c.wav,joy\ny.wav,"two\nlines"\n"unclosed,joy\nz.wav,joy\n'
    )
    manifest = read_manifest(path)
    assert [where for where, _ in manifest.problems] == [f"{path}: line {n}" for n in (2, 4, 7)]
    assert {
        Path(name).name: annotations.labels["emotion"]
        for name, annotations in manifest.rows.items()
    } == {"x.wav": "anger", "y.wav": "two\nlines", "z.wav": "joy"}


def test_lines_that_are_not_json_objects_are_named(tmp_path: Path):
    path = tmp_path / "m.jsonl"
    path.write_text('{"path": "x.wav"}\n[1]\n{oops\n')
    path.write_text(path.read_text() + '{"path": "\\ud800"}\n' + "[" * 100_000 + "\n")
    assert [where for where, _ in read_manifest(path).problems] == [
        f"{path}: line {n}" for n in (2, 3, 4, 5)
    ]


@pytest.mark.parametrize("clip", ["", "x", "1.5", "0", "-1", str(2**63), "9" * 19, "9" * 5000])
def test_a_label_of_no_clip_is_named_by_its_line(tmp_path: Path, clip):
    path = tmp_path / "l.csv"
    path.write_text(f"clip,label\n1,joy\n{clip},joy\n")
    with pytest.raises(InvalidInputError, match=r"l\.csv: line 3 needs the id"):
        read_labels(path, "emotion")


def test_headers_may_have_spaces_and_empty_cells(tmp_path: Path):
    path = tmp_path / "m.csv"
    path.write_text(",path, label \n0,x.wav,anger\n")
    (annotations,) = read_manifest(path).rows.values()
    assert annotations.labels == {"emotion": "anger"}


def test_a_row_that_names_a_folder_is_named(tmp_path: Path):
    (tmp_path / "calls").mkdir()
    (tmp_path / "m.csv").write_text("path\ncalls\n")
    ((_, reason),) = read_manifest(tmp_path / "m.csv").problems
    assert "is a folder" in reason


def test_times_without_a_zone_are_utc():
    assert parse_time("2026-01-02") == (datetime(2026, 1, 2, tzinfo=UTC), True)
    assert parse_time("2026-01-02T03:04:05Z") == (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), False)
    for bad in ("", "soon", "2026-13-01", "0001-01-01T00:00:00+14:00"):
        with pytest.raises(InvalidInputError):
            parse_time(bad)


def test_metadata_pairs():
    assert parse_pairs(["a=b", "c=d=e", "f="]) == {"a": "b", "c": "d=e", "f": ""}
    for bad, why in [
        (["a"], "'a' is not of the form key=value"),
        (["=b"], "metadata key must have 1 to 200 characters, not 0"),
        (["a=\0"], "a contains characters that cannot be stored"),
        (["a=1", "a=2"], "metadata a is given two values"),
    ]:
        with pytest.raises(InvalidInputError, match=why):
            parse_pairs(bad)


def test_parquet_cells_of_every_kind_are_text_or_a_problem_of_their_row(tmp_path: Path):
    import datetime as dt
    from decimal import Decimal

    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pa.table(
        {
            "path": ["a.wav", "b.wav"],
            "recorded_at": [dt.datetime(2026, 1, 2, 3, tzinfo=dt.UTC)] * 2,
            "cost": [Decimal("1.50"), None],
            "shift": [dt.time(8, 30), None],
            "pause": pa.array([1_500_000_001, None], pa.duration("ns")),
            "seen": pa.array([1_500_000_001, None], pa.timestamp("ns")),
            "raw": [None, b"\xff\x00"],
        }
    )
    parquet.write_table(table, tmp_path / "m.parquet")
    read = read_manifest(tmp_path / "m.parquet")
    (annotations,) = read.rows.values()
    assert annotations.recorded_at == dt.datetime(2026, 1, 2, 3, tzinfo=dt.UTC)
    assert annotations.metadata == {
        "cost": "1.50",
        "shift": "08:30:00",
        "pause": "1.5",
        "seen": "1970-01-01T00:00:01.500000",
    }
    ((where, why),) = read.problems
    assert where.endswith("m.parquet: line 2")
    assert why == "a cell is bytes, which is no text"


def test_a_damaged_parquet_manifest_is_refused_by_name(tmp_path: Path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "m.parquet"
    path.write_bytes(b"PAR1" + b"x" * 100 + b"PAR1")
    with pytest.raises(InvalidInputError, match=r"m\.parquet cannot be read: ."):
        read_manifest(path)


def test_a_table_of_labels_names_every_clip_and_has_a_column_label(tmp_path: Path):
    path = tmp_path / "l.csv"
    path.write_text(f"clip,label,task\n{2**63 - 1},joy,\n2,,mood\n")
    assert read_labels(path, "emotion") == [(2**63 - 1, "emotion", "joy"), (2, "mood", None)]
    path.write_text("clip,emotion\n1,joy\n")
    with pytest.raises(InvalidInputError, match="line 2 needs the id of a clip, and a label"):
        read_labels(path, "emotion")


def test_rows_that_contradict_each_other_about_a_clip_are_told_of(tmp_path: Path, caplog):
    path = tmp_path / "l.csv"
    path.write_text("clip,label,task\n1,joy,\n1,joy,\n1,low,mood\n2,joy,\n")
    read_labels(path, "emotion")
    assert caplog.messages == []
    path.write_text("clip,label,task\n1,joy,\n2,joy,\n1,fear,\n1,low,mood\n1,high,mood\n2,,\n")
    assert read_labels(path, "emotion") == [
        (1, "emotion", "fear"),
        (2, "emotion", None),
        (1, "mood", "high"),
    ]
    assert caplog.messages == [
        f"rows of {path} contradict each other about 2 clips: the last row counts"
    ]


def test_a_table_of_labels_has_columns_whatever_their_capitals(tmp_path: Path):
    path = tmp_path / "l.csv"
    path.write_text("Clip;LABEL\n7;joy\n")
    assert read_labels(path, "mood") == [(7, "mood", "joy")]


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("path,Emotion\na.wav,joy\n", "Emotion"),
        ("path,emotion,label\na.wav,joy,\n", "emotion"),
        ("path,emotion,label\na.wav,joy,fear\n", None),
        ("path,emotion,start,end,label\na.wav,joy,0,1,fear\n", None),
        ("file,emotion\na.wav,joy\n", None),
        ("path,mood\na.wav,joy\n", None),
    ],
)
def test_labels_that_are_taken_for_metadata_are_known(tmp_path: Path, table, column):
    path = tmp_path / "m.csv"
    path.write_text(table)
    assert read_manifest(path).unread_labels == column


def test_what_is_said_of_a_part_is_not_said_of_its_recording(tmp_path: Path):
    path = tmp_path / "m.csv"
    path.write_text(
        "path,label,speaker,start,end,channel\n"
        "span.wav,anger,jo,0,2,\nside.wav,anger,jo,,,1\nwhole.wav,anger,jo,,,\n"
    )
    span, side, whole = read_manifest(path).rows.values()
    assert (span.labels, span.speaker, len(span.spans), span.sides) == ({}, None, 1, {})
    assert (side.labels, side.speaker, side.spans, [*side.sides]) == ({}, None, (), [1])
    assert (whole.labels, whole.speaker) == ({"emotion": "anger"}, "jo")


def test_the_folder_of_a_manifest_is_itself_or_where_it_lies(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus").mkdir()
    folders = [Manifest(Path(path)).folder for path in ("corpus", "corpus/m.csv", "m.csv")]
    assert folders == [tmp_path / "corpus", tmp_path / "corpus", tmp_path]


@pytest.mark.parametrize("row", [{"start": 1}, {"end": 1}, {"start": "x", "end": 1}])
def test_a_span_needs_both_ends(tmp_path: Path, row):
    path = tmp_path / "m.jsonl"
    path.write_text(json.dumps({"path": "x.wav", **row}))
    ((_, problem),) = read_manifest(path).problems
    assert problem == "start and end are both needed, in seconds"


def read_rows(folder: Path, *rows: dict[str, object]) -> Manifest:
    """A manifest of one file."""
    path = folder / "m.jsonl"
    path.write_text("\n".join(json.dumps({"path": "x.wav", **row}) for row in rows))
    return read_manifest(path)


def test_what_rows_of_a_file_differ_in_of_what_it_has_once_is_told(tmp_path: Path):
    path = tmp_path / "labels.csv"
    path.write_text(
        "path,start,end,speaker,source,text,take\n"
        "x.wav,0,1,ann,here,hello,1\n"
        "x.wav,1,2,bob,,bye,1\n"
        "y.wav,0,1,bob,there,so,2\n"
    )
    manifest = read_manifest(path)
    assert manifest.unlike == {"text"}
    path.write_text("path,channel,source\nx.wav,0,here\nx.wav,1,there\n")
    assert read_manifest(path).unlike == {"source"}


def test_spans_of_a_file_are_all_kept_in_their_order(tmp_path: Path):
    found = read_rows(tmp_path, *({"start": n, "end": n + 1, "label": f"e{n}"} for n in (0, 4, 2)))
    (annotations,) = found.rows.values()
    assert [(one.start, one.end) for one in annotations.spans] == [(0, 1), (4, 5), (2, 3)]
    assert [dict(one.labels) for one in annotations.spans] == [
        {"emotion": f"e{n}"} for n in (0, 4, 2)
    ]


@pytest.mark.parametrize(
    ("start", "end", "problem"),
    [
        (0, 120, None),
        (0, 120.01, "0 to 120.01 s is no span of up to 120 s"),
        (10, 130, None),
        (3, 3, "3 to 3 s is no span of up to 120 s"),
        (3, 2, "3 to 2 s is no span of up to 120 s"),
        (-1, 2, "-1 to 2 s is no span of up to 120 s"),
        (999_999, 1e6, "999999 to 1e+06 s is no span of up to 120 s"),
        (999_998, 999_999, None),
        (2, 2.025, None),
        (2, 2.0249, "2 to 2.0249 s is no span: a clip has at least 0.025 s"),
    ],
)
def test_a_span_is_a_clip_of_a_possible_length(tmp_path: Path, start, end, problem):
    found = read_rows(tmp_path, {"start": start, "end": end})
    assert [one for _, one in found.problems] == ([problem] if problem else [])
    assert len(found.rows) == (problem is None)


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ({"channel": 0}, {"channel": 1}, True),
        ({"channel": 0}, {"channel": 0}, False),
        ({"channel": 0}, {}, False),
        ({}, {"channel": 0}, False),
        ({}, {}, False),
        ({"start": 0, "end": 1}, {"start": 1, "end": 2}, True),
        ({"start": 0, "end": 1}, {}, False),
        ({}, {"start": 0, "end": 1}, False),
        ({"start": 0, "end": 1}, {"channel": 0}, False),
    ],
)
def test_a_file_has_two_rows_where_they_are_of_parts_of_it(tmp_path: Path, one, other, together):
    found = read_rows(tmp_path, one, other)
    expected = [] if together else ["x.wav again, first in line 1"]
    assert [problem for _, problem in found.problems] == expected

"""Manifests as people have them: of spreadsheets, of other tools, in other encodings and forms."""

import datetime as dt
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from emotion_search.engine.files.manifest import TableForm, read_labels, read_manifest
from emotion_search.engine.files.tables import table_rows
from emotion_search.engine.files.values import parse_seconds, parse_time, parse_zone
from emotion_search.index.database.recordings import Annotations
from emotion_search.index.errors import InvalidInputError

BERLIN = parse_zone("Europe/Berlin")
GERMAN = "%d.%m.%Y %H:%M"


def only(path: Path, form: TableForm | None = None) -> Annotations:
    """The annotations of the one file that a manifest has, every row being right."""
    manifest = read_manifest(path, form)
    assert manifest.problems == []
    (annotations,) = manifest.rows.values()
    return annotations


def table(folder: Path, text: str | bytes, name: str = "m.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
def test_a_table_is_read_in_any_usual_encoding(tmp_path: Path, encoding, caplog):
    path = table(tmp_path, "path;speaker\r\nx.wav;Müller – Köln\r\n".encode(encoding))
    assert only(path).speaker == "Müller – Köln"
    assert ("taken for Windows-1252" in caplog.text) == (encoding == "cp1252")


def test_an_encoding_that_nobody_can_tell_is_named_or_given(tmp_path: Path):
    path = table(tmp_path, "path,speaker\nx.wav,王小明丂亐\n".encode("gb18030"))
    with pytest.raises(InvalidInputError, match=r"m\.csv is no text in UTF-8.*--encoding"):
        read_manifest(path)
    assert only(path, TableForm(encoding="gb18030")).speaker == "王小明丂亐"
    for wrong in ("ascii", "klingon", "hex"):
        with pytest.raises(InvalidInputError, match=wrong):
            read_manifest(path, TableForm(encoding=wrong))
    binary = tmp_path / "m.parquet"
    binary.write_bytes(b"PAR1")
    with pytest.raises(InvalidInputError, match=r"--encoding is .*m\.parquet needs none"):
        read_manifest(binary, TableForm(encoding="utf-8"))


def test_a_damaged_byte_costs_its_own_row(tmp_path: Path, caplog):
    path = table(
        tmp_path, "path,speaker\na.wav,Jürgen\nb.wav,J".encode() + b"\xfcrgen\nc\0.wav,x\n"
    )
    manifest = read_manifest(path)
    assert [row.speaker for row in manifest.rows.values()] == ["Jürgen"]
    assert [where[-6:] for where, _ in manifest.problems] == ["line 3", "line 4"]
    assert not caplog.records


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "is empty"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), r"old Excel workbook .* as \.xlsx"),
        (b"\n <html><table><tr><td>path</td></tr></table>", "is HTML or XML"),
        (b'\xef\xbb\xbf<?xml version="1.0"?><Workbook/>', "is HTML or XML"),
        (bytes(5000), "its first line names none"),
        (b"\n;;\n", "has no column 'path'; its first line names none"),
        (b"Pfad;Label\nx;y\n", "has no column 'path'; it has 'Pfad', 'Label'; rename"),
        (b"label,paht\nx,y\n", "it has 'paht', 'label'"),  # the nearest first
        (b"path,Path ,PATH\nx,y,z\n", None),
        (b"path,label,Label\nx,y,z\n", None),
        (b"path,label:mood,Label: mood\nx,y,z\n", "the column 'label:mood' twice"),
        (b"path,label,label\nx,y,z\n", "the column 'label' twice"),
        (b"Label,label ,path,path\nx,y,z\n", "the column 'path' twice"),
    ],
)
def test_what_is_no_table_is_refused_by_what_it_is(tmp_path: Path, text, message):
    path = table(tmp_path, text)
    if message is None:
        assert len(read_manifest(path).rows) == 1
        return
    with pytest.raises(InvalidInputError, match=rf"m\.csv .*{message}"):
        read_manifest(path)


@pytest.mark.parametrize(
    "text",
    [
        'path;"note, long, with, commas";speaker\nx.wav;a;jo\n',
        "sep=;\npath;note;speaker\nx.wav;a,b,c,d;jo\n",
        "\r\n;;\r\nPath ; NOTE ;Speaker\rx.wav;a;jo\r\n;;;;\n\r\n",  # every end of line
        "path|speaker\nx.wav|jo",
        'path\tspeaker\t\t\nx.wav\t"jo"\t\t\t\n',
        "speaker,SPEAKER,note,note,path\njo,al,1,2,x.wav\n",
    ],
)
def test_delimiters_blank_rows_spare_columns_and_capitals_do_no_harm(tmp_path: Path, text):
    assert only(table(tmp_path, text)).speaker == "jo"


def test_zeros_after_the_end_are_nothing(tmp_path: Path):
    path = table(tmp_path, b"path,speaker\nx.wav,jo\0\0\n" + bytes(5000))
    assert only(path).speaker == "jo"


def test_json_is_told_by_its_content(tmp_path: Path):
    assert only(table(tmp_path, '{"path": "x.wav", "speaker": "jo"}\n')).speaker == "jo"
    with pytest.raises(InvalidInputError, match="is a JSON array"):
        read_manifest(table(tmp_path, '[{"path": "x.wav"}]'))


def test_metadata_columns_of_one_name_are_numbered(tmp_path: Path):
    path = table(tmp_path, "path,note,note,note\nx.wav,1,2,3\n")
    assert only(path).metadata == {"note": "1", "note (2)": "2", "note (3)": "3"}


def test_quoted_cells_may_have_lines_and_delimiters(tmp_path: Path):
    path = table(tmp_path, 'path;note\r\nx.wav;"one;\r\ntwo ""three"""\r\n')
    assert only(path).metadata == {"note": 'one;\r\ntwo "three"'}


def test_columns_dates_and_zone_are_read_as_they_are_said_to_be(tmp_path: Path):
    path = table(tmp_path, "Datei;Kunde;Datum;speaker;Laune\nx.wav;jo;03.07.2026 14:00;agent;gut\n")
    names = {"path": "datei", "speaker": "Kunde", "recorded_at": "Datum", "label:mood": "Laune"}
    row = only(path, TableForm(names, GERMAN, BERLIN))
    assert (row.speaker, row.labels) == ("jo", {"mood": "gut"})
    assert row.recorded_at == dt.datetime(2026, 7, 3, 12, tzinfo=dt.UTC)
    assert row.metadata == {"speaker (2)": "agent"}
    with pytest.raises(InvalidInputError, match="no column 'Kunden'; it has 'Kunde', 'Datei'"):
        read_manifest(path, TableForm({"path": "Datei", "speaker": "Kunden"}))
    with pytest.raises(InvalidInputError, match=r"comes last: --map path=Datei"):
        read_manifest(path, TableForm({"Datei": "path"}))
    ((_, why),) = read_manifest(path, TableForm(names)).problems
    assert "--date-format '%d.%m.%Y %H:%M' reads others" in why


def test_options_are_named_as_a_cure_to_those_alone_who_have_them(tmp_path: Path):
    path = table(tmp_path, "Datei,recorded_at\nx.wav,03.07.2026 14:00\n")
    for form, cure in ((TableForm(), "; --map path=NAME says"), (None, "; rename the one that")):
        with pytest.raises(InvalidInputError, match=cure):
            read_manifest(path, form)
    path = table(tmp_path, "path,recorded_at\nx.wav,03.07.2026 14:00\n")
    ((_, why),) = read_manifest(path).problems
    assert "is not a time in ISO 8601" in why
    assert "--date-format" not in why


def test_a_zone_is_of_times_that_name_none():
    noon = dt.datetime(2026, 7, 3, 12, tzinfo=dt.UTC)
    assert parse_time("2026-07-03T14:00", GERMAN, BERLIN) == (noon, False)
    assert parse_time("2026-07-03T12:00Z", GERMAN, BERLIN) == (noon, False)
    assert parse_time("03.07.2026 12:00", GERMAN) == (noon, True)
    with pytest.raises(InvalidInputError, match="nor of the form %d"):
        parse_time("7/3/2026", GERMAN)
    for wrong in ("Berlin", "", "../etc", "Europe"):
        with pytest.raises(InvalidInputError, match="no time zone"):
            parse_zone(wrong)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1.5", 1.5),
        ("1,5", 1.5),
        ("0 days 00:00:01.500000", 1.5),
        ("1 day 00:00:01", 86401),
        ("01:02:03,25", 3723.25),
        ("1:30", 90),
    ],
)
def test_seconds_are_numbers_or_durations(text, seconds):
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "1.234,5", "-1 days +23:59:59", "1:2:3", "soon"])
def test_what_is_no_time_in_seconds_is_refused(text):
    with pytest.raises(ValueError):
        parse_seconds(text)


def test_paths_with_backslashes_or_in_another_form_of_unicode_are_found(tmp_path: Path):
    (tmp_path / "2026-09").mkdir()
    decomposed = tmp_path / "2026-09" / "Mu\u0308ller.wav"
    odd = tmp_path / "a\\b.wav"
    for one in (decomposed, odd):
        one.touch()
    path = table(tmp_path, "path\n2026-09\\Müller.wav\na\\b.wav\nnone\\there.wav\n")
    assert list(read_manifest(path).rows) == [
        str(decomposed),
        str(odd),
        str(tmp_path / "none\\there.wav"),
    ]


def test_a_workbook_is_read_by_its_content(tmp_path: Path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["Exported", "on Monday"])
    hidden = book.create_sheet("old")
    hidden.append(["path"])
    hidden.sheet_state = "hidden"
    sheet = book.create_sheet("calls")
    sheet.append([])
    sheet.append(
        ["Path", "recorded_at", "share", "start", "end", "no", "day", "note", None, "ok", "at"]
    )
    times = [dt.datetime(2026, 9, 3, 14), 0.5, dt.timedelta(seconds=1.5), dt.time(0, 0, 3)]
    sheet.append(
        ["x.wav", *times, 7, dt.datetime(2026, 9, 3), "#N/A", None, True, dt.datetime(2026, 9, 3)]
    )
    sheet["C3"].number_format, sheet["G3"].number_format = "0%", "dd/mm/yyyy"
    sheet["D3"].number_format = "[h]:mm:ss"
    sheet["T99"].number_format = "0%"  # a styled cell far beyond the table
    book.save(tmp_path / "m.csv")
    row = only(tmp_path / "m.csv", TableForm(zone=BERLIN))
    assert row.recorded_at == dt.datetime(2026, 9, 3, 12, tzinfo=dt.UTC)
    assert (row.spans[0].start, row.spans[0].end) == (1.5, 3)
    assert row.metadata == {
        "share": "50%",
        "no": "7",
        "day": "2026-09-03",
        "ok": "true",
        "at": "2026-09-03T00:00:00",
    }


def test_of_sheets_without_paths_the_first_is_named(tmp_path: Path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["Datei"])
    book.create_sheet("Tabelle2").append(["other"])
    book.save(tmp_path / "m.xlsx")
    with pytest.raises(InvalidInputError, match="it has 'Datei'"):
        read_manifest(tmp_path / "m.xlsx")


def test_a_workbook_may_be_wrong_about_its_size(tmp_path: Path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for cells in (["path", "speaker"], ["x.wav", "jo"]):
        book.active.append(cells)
    book.save(tmp_path / "right.xlsx")
    with ZipFile(tmp_path / "right.xlsx") as right, ZipFile(tmp_path / "m.xlsx", "w") as wrong:
        for name in right.namelist():
            wrong.writestr(name, right.read(name).replace(b'ref="A1:B2"', b'ref="A1"'))
    assert only(tmp_path / "m.xlsx").speaker == "jo"


def test_a_workbook_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch):
    path = table(tmp_path, b"PK\3\4" + bytes(100), "m.xlsx")
    if "openpyxl" in sys.modules:
        with pytest.raises(InvalidInputError, match=r"m\.xlsx is no \.xlsx workbook"):
            read_manifest(path)
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(InvalidInputError, match=r"pip install 'emotion-search\[xlsx\]'"):
        read_manifest(path)


def test_labels_of_clips_may_be_in_a_workbook(tmp_path: Path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["clip", "label"], [17, "joy"], [18, None]):
        book.active.append(row)
    book.save(tmp_path / "l.xlsx")
    assert read_labels(tmp_path / "l.xlsx", "emotion") == [
        (17, "emotion", "joy"),
        (18, "emotion", None),
    ]


def test_tables_of_the_same_spans_go_together(tmp_path: Path):
    table(tmp_path, "tables: {one: {}, two: {}}\n", "db.yaml")
    table(tmp_path, "file,start,end,emotion,speaker\nx.wav,0,1.5,anger,jo\n", "db.one.csv")
    table(tmp_path, "file,start,end,label:mood\nx.wav,0,1.5,low\n", "db.two.csv")
    (span,) = only(tmp_path).spans
    assert (span.speaker, span.labels) == ("jo", {"emotion": "anger", "mood": "low"})


def test_a_stretch_without_an_end_is_no_whole_file(tmp_path: Path):
    ((_, why),) = read_manifest(table(tmp_path, "file,start,end\nx.wav,2,NaT\n")).problems
    assert why == "start and end are both needed, in seconds"


def test_emotion_is_the_label_in_corpora_of_others_alone(tmp_path: Path):
    assert only(table(tmp_path, "filename,emotion\nx.wav,joy\n")).metadata == {"emotion": "joy"}
    assert only(table(tmp_path, "file,emotion\nx.wav,joy\n")).labels == {"emotion": "joy"}
    both = only(table(tmp_path, "file,emotion,label\nx.wav,joy,fear\n"))
    assert (both.labels, both.metadata) == ({"emotion": "fear"}, {"emotion": "joy"})


def test_an_audformat_database_is_its_tables_together(tmp_path: Path):
    table(tmp_path, "name: x\ntables:\n  files: {type: filewise}\n  emotion: {}\n", "db.yaml")
    table(tmp_path, "file,speaker,age\na/1.wav,jo,30\na/2.wav,al,\n", "db.files.csv")
    table(
        tmp_path,
        "file,start,end,emotion\n"
        "a/1.wav,0 days 00:00:00,0 days 00:00:01.500000,anger\n"
        "a/1.wav,0 days 00:00:01.5,0 days 00:00:03,joy\n"
        "a/2.wav,0 days,NaT,fear\n",
        "db.emotion.csv",
    )
    manifest = read_manifest(tmp_path)
    assert manifest.problems == []
    first, second = manifest.rows.values()
    assert [(s.start, s.end, s.labels["emotion"]) for s in first.spans] == [
        (0, 1.5, "anger"),
        (1.5, 3, "joy"),
    ]
    assert (first.speaker, first.metadata) == ("jo", {"age": "30"})
    assert (second.speaker, second.labels, second.spans) == ("al", {"emotion": "fear"}, ())
    assert manifest.place(str(tmp_path / "a/1.wav"), first.spans[1]).endswith(
        ": line 3 of db.emotion.csv"
    )
    (tmp_path / "db.emotion.csv").unlink()
    with pytest.raises(InvalidInputError, match=r"db\.emotion\.csv: no such file.*storage_format"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
def test_an_audiofolder_has_a_table_in_each_split(tmp_path: Path, name):
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        text = '{"file_name": "1.wav", "emotion": "joy", "n": 1}\n'
        if name.endswith("csv"):
            text = "file_name,emotion,n\n1.wav,joy,1\n"
        table(tmp_path / split, text, name)
    manifest = read_manifest(tmp_path)
    assert manifest.problems == []
    assert manifest.rows == {
        str(tmp_path / split / "1.wav"): Annotations(labels={"emotion": "joy"}, metadata={"n": "1"})
        for split in ("test", "train")
    }


def test_kaldi_tables_give_files_speakers_and_segments(tmp_path: Path):
    table(tmp_path, "r1 a b.wav\nr2\tc.wav\nr3 sox x.wav -t wav - |\n", "wav.scp")
    table(tmp_path, "r1 jo\nr2 al\nu1 eve\n", "utt2spk")
    manifest = read_manifest(tmp_path / "wav.scp")
    assert [(Path(path).name, row.speaker) for path, row in manifest.rows.items()] == [
        ("a b.wav", "jo"),
        ("c.wav", "al"),
    ]
    ((where, why),) = manifest.problems
    assert where.endswith("line 3")
    assert "is a command" in why
    table(tmp_path, "u1 r1 0.5 1.5\nu2 r1 2 3\nu3 r1 2\nu4 r9 0 1\n", "segments")
    manifest = read_manifest(tmp_path)
    (row,) = manifest.rows.values()
    assert [(s.start, s.end, s.speaker) for s in row.spans] == [(0.5, 1.5, "eve"), (2, 3, None)]
    assert [(where[-18:], why[:24]) for where, why in manifest.problems] == [
        ("line 3 of segments", "a segment has an utteran"),
        ("line 4 of segments", "there is no recording r9"),
    ]


def test_kaldis_paths_may_be_relative_to_where_its_recipes_run(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "x.wav").touch()
    table(tmp_path / "data", "r1 x.wav\n", "wav.scp")
    assert list(read_manifest(tmp_path / "data").rows) == [str(tmp_path / "x.wav")]


def test_a_folder_of_nothing_known_is_refused_with_what_would_be(tmp_path: Path):
    with pytest.raises(InvalidInputError, match=r"db\.yaml \(audformat\), metadata\.csv"):
        read_manifest(tmp_path)


def test_channels_written_as_decimals_are_channels(tmp_path: Path):
    path = table(tmp_path, "path,channel,speaker\nx.wav,0.0,jo\nx.wav,1.0,al\n")
    assert {number: side.speaker for number, side in only(path).sides.items()} == {0: "jo", 1: "al"}


def test_a_workbook_without_the_columns_is_refused_by_its_first_sheet(tmp_path: Path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for sheet, header in ((book.active, "Exported"), (book.create_sheet("more"), "Other")):
        sheet.append([header])
    book.save(tmp_path / "m.xlsx")
    with pytest.raises(InvalidInputError, match=r"m\.xlsx .*Exported"):
        read_manifest(tmp_path / "m.xlsx")


def test_a_column_of_a_parquet_file_that_is_not_wanted_is_not_read(tmp_path: Path):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "m.table"  # told by its content
    parquet.write_table(arrow.table({"path": ["x.wav"], "embedding": [[1.0]]}), path)
    assert list(table_rows(path, without="embedding")) == [(1, {"path": "x.wav"})]
    assert list(table_rows(path)) == [(1, {"path": "x.wav", "embedding": [1.0]})]

"""Manifests whose rows are clips of recordings: several a file, each with labels of its own."""

from pathlib import Path

import numpy as np
import pytest

from emotion_search.engine.audio.channels import parse_channels
from emotion_search.engine.files.manifest import read_manifest
from emotion_search.engine.files.scan import find_audio
from emotion_search.engine.ingest.options import IngestOptions
from emotion_search.engine.library.library import Library
from emotion_search.index.database.recordings import Annotations
from emotion_search.index.database.spans import Span
from tests.conftest import tone, write_wav


@pytest.fixture
def call(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "call.wav", np.stack([tone(20.0), tone(20.0, 330)], axis=1))


def write(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(rows) + "\n")
    return path


def ingest(library: Library, manifest: Path):
    read = read_manifest(manifest)
    return read, library.ingest(find_audio(list(read.rows), read.rows).files)


def test_rows_with_spans_are_clips_with_their_own_labels(
    library: Library, call: Path, tmp_path: Path
):
    manifest = write(
        tmp_path / "m.csv",
        "path,start,end,channel,label,label:satisfaction,source",
        "call.wav,1.5,3.0,1,anger,low,desk",
        "call.wav,2.0,4.25,0,neutral,,",
        "call.wav,10,19.99,1,joy,high,",
    )
    _, report = ingest(library, manifest)
    assert (report.clips, report.failed) == (3, [])
    clips = library.clips()
    shown = {(c.channel, c.start, round(c.end, 3), c.labels.get("emotion")) for c in clips}
    assert shown == {(1, 1.5, 3.0, "anger"), (0, 2.0, 4.25, "neutral"), (1, 10.0, 19.99, "joy")}
    assert {c.labels.get("satisfaction") for c in clips} == {"low", None, "high"}
    assert {c.source for c in clips} == {"desk"}
    clip_samples, rate = next(library.clip_audio(c.id)[:2] for c in clips if c.label == "anger")
    assert np.allclose(clip_samples, tone(20.0, 330)[int(1.5 * rate) : 3 * rate], atol=1e-4)


def test_labels_of_spans_are_corrected_by_the_manifest_again(
    library: Library, call: Path, tmp_path: Path
):
    rows = ["path,start,end,label", "call.wav,1,2,anger", "call.wav,3,4,joy"]
    ingest(library, write(tmp_path / "m.csv", *rows))
    _, again = ingest(library, write(tmp_path / "m.csv", rows[0], "call.wav,1,2,fear", rows[2]))
    assert (again.known, again.clips) == (1, 0)
    assert [clip.label for clip in library.clips()] == ["fear", "joy"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("call.wav,2,1,", "is no span"),
        ("call.wav,-1,1,", "is no span"),
        ("call.wav,0,500,", "is no span"),
        ("call.wav,1,,", "both needed"),
        ("call.wav,a,2,", "both needed"),
        ("call.wav,nan,2,", "both needed"),
        ("call.wav,1,2,left", "not a number from 0"),
        ("call.wav,1,1.01,", "at least 0.025 s"),
        ("call.wav,5,6,", "this span of call.wav again, first in line 2"),
        ("call.wav,5.0004,5.9996,", "again"),
        ("call.wav,,,", "again"),
    ],
)
def test_bad_spans_are_told_by_row(call: Path, tmp_path: Path, row: str, reason: str):
    manifest = write(tmp_path / "m.csv", "path,start,end,channel", "call.wav,5,6,", row)
    read = read_manifest(manifest)
    assert len(read.rows[str(call)].spans) == 1
    ((place, problem),) = read.problems
    assert place.endswith("line 3")
    assert reason in problem


def test_a_span_beyond_the_end_is_left_out_and_none_left_is_a_failure(
    library: Library, call: Path, tmp_path: Path
):
    rows = ["path,start,end", "call.wav,1,2", "call.wav,18,25"]
    report = ingest(library, write(tmp_path / "m.csv", *rows))[1]
    assert (report.clips, len(report.lost)) == (1, 1)
    other = write_wav(tmp_path / "other.wav", tone(2.0))
    _, report = ingest(library, write(tmp_path / "n.csv", rows[0], "other.wav,5,6"))
    assert report.failed == [(str(other), "ends before the spans that the manifest names")]


def test_every_row_keeps_its_label_wherever_its_times_fall(
    library: Library, call: Path, tmp_path: Path
):
    random = np.random.default_rng(3)
    starts = random.uniform(0, 19, 120).round(6)
    rows = [
        f"call.wav,{a},{a + d:.6f},l{i}"
        for i, (a, d) in enumerate(zip(starts, random.uniform(0.1, 1, 120), strict=True))
    ]
    rows.append("call.wav,19.5,20.04,last")
    read, report = ingest(library, write(tmp_path / "m.csv", "path,start,end,label", *rows))
    assert (read.problems, report.failed, report.lost, report.clips) == ([], [], [], 121)
    expected = {(s.start, s.end): s.labels["emotion"] for s in read.rows[str(call)].spans}
    assert {(c.start, c.end): c.label for c in library.clips(limit=1000)} == expected


def test_a_span_that_is_given_two_labels_keeps_the_last(library: Library, call: Path):
    annotations = Annotations(
        spans=(
            Span(0.5, 1.0, labels={"emotion": "joy"}),
            Span(0.50004, 1.0, labels={"emotion": "fear"}),
        )
    )
    report = library.ingest(find_audio([str(call)], {str(call): annotations}).files)
    assert (report.clips, report.failed) == (1, [])
    assert [clip.label for clip in library.clips()] == ["fear"]


def test_rows_that_their_recording_does_not_hold_are_told_each_time(
    library: Library, call: Path, tmp_path: Path
):
    short = write_wav(tmp_path / "short.wav", tone(1.9, 500))
    rows = ["path,start,end", "call.wav,1,2", "short.wav,0.5,1", "short.wav,1.0,2.9"]
    manifest = write(tmp_path / "m.csv", *rows)
    for _ in range(2):
        read, report = ingest(library, manifest)
        ((path, span),) = report.lost
        assert (path, read.place(path, span)) == (str(short), f"{manifest}: line 4")
        assert report.failed == []
    assert len(library.clips()) == 2


def test_spans_without_a_channel_are_heard_on_the_one_that_is_taken(
    library: Library, call: Path, tmp_path: Path
):
    read = read_manifest(write(tmp_path / "m.csv", "path,start,end,label", "call.wav,1,2,joy"))
    files = find_audio([str(call)], read.rows).files
    several = library.ingest(files, IngestOptions(channels=parse_channels("split")))
    ((path, reason),) = several.failed
    assert path == str(call)
    assert "spans without a channel" in reason
    library.ingest(files, IngestOptions(channels=parse_channels("customer=1")))
    (clip,) = library.clips()
    assert (clip.channel, clip.channel_name, clip.label) == (1, "customer", "joy")
    clip_samples, rate, _ = library.clip_audio(clip.id)
    assert np.allclose(clip_samples, tone(20.0, 330)[rate : 2 * rate], atol=1e-4)


def test_parquet_is_read_like_csv(library: Library, call: Path, tmp_path: Path):
    import pyarrow as pa
    from pyarrow import parquet

    columns = {
        "path": ["call.wav", "call.wav"],
        "start": [1.0, 3.0],
        "end": [2.0, 4.5],
        "label": ["anger", None],
        "take": [1, 2],
    }
    parquet.write_table(pa.table(columns), tmp_path / "m.parquet")
    read, report = ingest(library, tmp_path / "m.parquet")
    assert (read.problems, report.clips) == ([], 2)
    assert [clip.label for clip in library.clips()] == ["anger", None]

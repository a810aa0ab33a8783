"""Known recordings cut anew: other clips in one transaction, and no label lost that still holds."""

import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import create_engine, text

from emotion_search.engine.audio.channels import parse_channels
from emotion_search.engine.embedders.acoustic.model import Acoustic
from emotion_search.engine.files.scan import Scan, find_audio
from emotion_search.engine.ingest.dry_run import preview
from emotion_search.engine.ingest.options import IngestOptions
from emotion_search.engine.library.library import Library
from emotion_search.engine.settings import Settings
from emotion_search.index.database.recordings import Annotations
from emotion_search.index.database.spans import Span
from emotion_search.index.errors import DatabaseError, InvalidInputError
from tests.conftest import command_with, tone, write_wav


def ingest(library: Library, path: Path, *, window: float, annotations=None, **options):
    library.settings = library.settings.model_copy(update={"segments": "fixed", "window": window})
    return library.ingest(find_audio([str(path)], annotations).files, IngestOptions(**options))


def spans(library: Library) -> list[tuple[float, float]]:
    return sorted((clip.start, clip.end) for clip in library.clips())


def test_options_of_an_ingest_go_before_the_settings(library: Library, call: Path):
    options = IngestOptions(segments="fixed", window=8, hop=4)
    library.ingest(find_audio([str(call)]).files, options)
    assert spans(library) == [(0, 8), (4, 12), (8, 16), (12, 20)]
    for window, hop in ((None, 4), (0.2, None), (0, None), (float("nan"), None), (8, 0)):
        options = IngestOptions(window=window, hop=hop)
        with pytest.raises(InvalidInputError, match="hop"):
            library.ingest([], options)


@pytest.fixture
def call(tmp_path: Path) -> Path:
    """Twenty seconds: two clips of ten, or four of five."""
    return write_wav(tmp_path / "calls" / "call.wav", tone(20.0))


def test_known_recordings_keep_their_clips_unless_asked(library: Library, call: Path):
    ingest(library, call, window=10)
    report = ingest(library, call, window=5)
    assert (report.known, report.otherwise, report.recut) == (1, 1, 0)
    copy = call.with_name("copy.wav")
    copy.write_bytes(call.read_bytes())
    report = ingest(library, copy, window=5)
    assert (report.duplicates, report.otherwise, report.recut) == (1, 1, 0)
    copy.unlink()
    assert spans(library) == [(0, 10), (10, 20)]
    report = ingest(library, call, window=5, recut=True)
    assert (report.recut, report.clips, report.recordings, report.known) == (1, 4, 0, 0)
    assert spans(library) == [(0, 5), (5, 10), (10, 15), (15, 20)]
    again = ingest(library, call, window=5, recut=True)
    assert (again.known, again.otherwise, again.recut) == (1, 0, 0)


def test_of_an_import_cut_anew_length_and_rate_are_known_from_then_on(library: Library, call: Path):
    ingest(library, call, window=10)
    with library.database.write() as session:
        imported = "sample_rate = 0, duration = 17, channels = 2, cut = 'import'"
        session.execute(text(f"UPDATE recordings SET {imported}"))
    assert ingest(library, call, window=5, recut=True).recut == 1
    recording = library.recording(1)
    found = recording.sample_rate, recording.duration, recording.channels
    assert found == (16_000, 20.0, 1)


def test_the_index_follows(library: Library, call: Path):
    ingest(library, call, window=10)
    old = {clip.id for clip in library.clips()}
    assert {hit.clip.id for hit in library.search(min(old), per_recording=None)} == {max(old)}
    ingest(library, call, window=5, recut=True)
    new = {clip.id for clip in library.clips()}
    assert not new & old
    found = {hit.clip.id for hit in library.search(min(new), per_recording=None)}
    assert found == new - {min(new)}


def test_clips_on_identical_spans_stay_with_their_labels_and_are_not_embedded(
    library: Library, tmp_path: Path, monkeypatch
):
    path = write_wav(tmp_path / "x.wav", tone(16.0))
    ingest(library, path, window=10)  # 0-10, 10-16
    (first, second) = library.clips()
    library.label([(first.id, "emotion", "anger"), (second.id, "emotion", "joy")])
    seen = []
    original = Acoustic.embed
    monkeypatch.setattr(
        Acoustic, "embed", lambda self, clips: seen.extend(clips) or original(self, clips)
    )
    stereo = parse_channels("mix")
    library.settings = library.settings.model_copy(update={"hop": 5.0})
    report = ingest(library, path, window=10, recut=True, channels=stereo)  # 0-10, 5-15, 10-16
    assert (report.recut, report.clips, len(seen)) == (1, 1, 1)
    found = {(clip.start, clip.end): (clip.id, clip.label) for clip in library.clips()}
    assert found[0.0, 10.0] == (first.id, "anger")
    assert found[10.0, 16.0] == (second.id, "joy")
    assert found[5.0, 15.0][1] is None


def test_labels_that_all_clips_share_are_those_of_the_recording(library: Library, call: Path):
    annotations = {str(call): Annotations(source="desk", labels={"emotion": "anger"})}
    ingest(library, call, window=10, annotations=annotations)
    one = library.clips()[0]
    library.label([(one.id, "satisfaction", "low")])
    ingest(library, call, window=5, recut=True)
    assert [dict(clip.labels) for clip in library.clips()] == [{"emotion": "anger"}] * 4
    assert {clip.source for clip in library.clips()} == {"desk"}


def test_another_choice_of_channels_is_another_cut(library: Library, tmp_path: Path):
    stereo = np.stack([tone(2.0), tone(2.0, 300)], axis=1)
    path = write_wav(tmp_path / "x.wav", stereo)
    ingest(library, path, window=15)
    ingest(library, path, window=15, recut=True, channels=parse_channels("split"))
    assert [(clip.channel, clip.channel_name) for clip in library.clips()] == [(0, None), (1, None)]
    ids = [clip.id for clip in library.clips()]
    named = parse_channels("agent=0,customer=1")
    report = ingest(library, path, window=15, recut=True, channels=named)
    assert (report.recut, report.clips) == (1, 0)
    assert [clip.id for clip in library.clips()] == ids
    assert [clip.channel_name for clip in library.clips()] == ["agent", "customer"]


def test_spans_that_were_given_stay_until_others_are_given(library: Library, call: Path):
    given = {str(call): Annotations(spans=(Span(1, 2, labels={"emotion": "joy"}), Span(3, 4)))}
    ingest(library, call, window=10, annotations=given)
    report = ingest(library, call, window=10, recut=True)
    assert (report.known, report.otherwise, report.recut) == (1, 0, 0)
    assert ingest(library, call, window=10, annotations=given).otherwise == 0
    other = {str(call): Annotations(spans=(Span(1, 2), Span(5, 6)))}
    assert ingest(library, call, window=10, annotations=other).otherwise == 1
    ingest(library, call, window=10, annotations=other, recut=True)
    assert [(clip.start, clip.label) for clip in library.clips()] == [(1.0, "joy"), (5.0, None)]


def test_several_names_of_the_same_bytes_are_cut_once(library: Library, call: Path):
    call.with_name("copy.wav").write_bytes(call.read_bytes())
    ingest(library, call.parent, window=10)
    report = ingest(library, call.parent, window=5, recut=True)
    assert (report.recut, report.known, report.files) == (1, 1, 2)
    assert len(library.clips()) == 4


def test_a_recording_in_which_the_new_cut_finds_no_speech_leaves_the_archive(
    library: Library, tmp_path: Path
):
    breath = np.sin(np.arange(20 * 16_000) / 16_000) ** 2
    noise = 0.02 * breath * np.random.default_rng(0).normal(size=20 * 16_000)
    path = write_wav(tmp_path / "x.wav", noise.astype(np.float32))
    ingest(library, path, window=15)
    library.settings = library.settings.model_copy(update={"segments": "speech"})
    files = find_audio([str(path)]).files
    report = library.ingest(files, IngestOptions(recut=True))
    assert (report.recut, report.silent, library.clips()) == (1, 0, [])
    assert [failure.kind for failure in library.failures()] == ["silent"]
    assert library.ingest(files, IngestOptions(recut=True)).known == 1


def test_a_file_that_cannot_be_read_any_more_keeps_its_clips(library: Library, call: Path):
    ingest(library, call, window=10)
    files = find_audio([str(call)]).files
    library.settings = library.settings.model_copy(update={"window": 5.0})
    call.write_bytes(b"no audio at all")
    report = library.ingest(files, IngestOptions(recut=True))  # as it was when it was scanned
    assert report.recut == 0
    assert len(report.failed) == 1
    assert spans(library) == [(0, 10), (10, 20)]


def test_an_error_midway_leaves_the_old_clips(library: Library, call: Path, monkeypatch):
    ingest(library, call, window=10)

    def fail(*_):
        raise DatabaseError("the wire was cut")

    monkeypatch.setattr("emotion_search.index.database.recut.label_clips", fail)
    with pytest.raises(DatabaseError, match="wire"):
        ingest(library, call, window=5, recut=True)
    assert spans(library) == [(0, 10), (10, 20)]


def test_a_preview_counts_what_would_be_cut_anew(library: Library, call: Path):
    ingest(library, call, window=10)
    files = find_audio([str(call)]).files

    def look(**options):
        how = IngestOptions(segments="fixed", window=5, **options)
        return preview(files, library.database, how, library.decoders)

    assert (look().known, look().otherwise, look().recut) == (1, 1, 0)
    found = look(recut=True)
    assert (found.known, found.otherwise, found.recut, found.new) == (0, 0, 1, 0)


def start(home: Path, url: str, calls: Path, *arguments: str) -> subprocess.Popen[bytes]:
    program = command_with("engine.ingest.pipeline.BATCH_S", 4.0)
    command = [*program, "ingest", str(calls), "--model", "acoustic"]
    return subprocess.Popen(
        [*command, "--segments", "fixed", "--home", str(home), "--database", url, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.slow
def test_killed_anywhere_nothing_is_lost_or_doubled(tmp_path: Path, database_url: str):
    calls, home = tmp_path / "calls", tmp_path / "home"
    for number in range(60):
        write_wav(calls / f"{number:02}.wav", tone(4.0, 100 + 5 * number))
    settings = Settings(
        home=home, database_url=database_url, model="acoustic", segments="fixed", window=2
    )
    with Library.open(settings, create=True) as library:
        calm = Annotations(labels={"emotion": "calm"})
        calm_files = Scan([str(calls)], annotations_of=lambda _: calm)
        library.ingest(calm_files)
    database = create_engine(database_url)
    grouped = text(
        "SELECT r.cut, min(c.end_s - c.start_s), max(c.end_s - c.start_s), count(*),"
        " count(l.value), count(e.vector) FROM recordings r JOIN clips c ON c.recording_id = r.id"
        " LEFT JOIN labels l ON l.clip_id = c.id LEFT JOIN embeddings e ON e.clip_id = c.id"
        " GROUP BY r.id, r.cut"
    )
    old = ("fixed up to 2 s, channels mix", 2.0, 2.0, 2, 2, 2)
    new = ("fixed up to 1 s, channels mix", 1.0, 1.0, 4, 4, 4)

    def recordings() -> list[tuple]:
        with database.connect() as connection:
            return [tuple(row) for row in connection.execute(grouped)]

    assert recordings() == [old] * 60
    for done in (1, 25):  # recordings after which it is killed
        process = start(home, database_url, calls, "--window", "1", "--recut")
        while process.poll() is None and recordings().count(new) < done:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        rows = recordings()
        assert rows.count(old) + rows.count(new) == 60
        assert rows.count(new) >= done
    with Library.open(settings.model_copy(update={"window": 1.0})) as library:
        library.ingest(find_audio([str(calls)]).files, IngestOptions(recut=True))
    assert recordings() == [new] * 60
    database.dispose()

"""A call that was taken in while it was written, and is longer at the next ingest."""

import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

from emotion_search import IngestOptions, Library, find_audio
from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.files.grown import goes_on
from emotion_search.engine.files.scan import sha256_of
from emotion_search.engine.ingest.report import IngestReport
from tests.conftest import write_wav

CALL = np.concatenate([speak("anger", speaker=n, seed=n, seconds=4.0)[:64_000] for n in range(4)])
HEADER = 44


def ingest(library: Library, folder: Path) -> IngestReport:
    options = IngestOptions(segments="fixed", window=4.0)
    return library.ingest(find_audio([str(folder)]).files, options)


def written(path: Path, seconds: float, lengths: tuple[int, int] | None) -> Path:
    """The call as a recorder has it after so many seconds, with these lengths in its header; those
    that are right where left out."""
    write_wav(path, CALL[: round(seconds * 16_000)])
    if lengths is not None:
        content = bytearray(path.read_bytes())
        struct.pack_into("<I", content, 4, lengths[0])
        struct.pack_into("<I", content, 40, lengths[1])
        path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "lengths",
    [None, (0, 0), (0xFFFFFFFF, 0xFFFFFFFF), (36, 0)],
    ids=["right", "0", "ones", "empty"],
)
def test_the_longer_version_takes_the_place_of_the_shorter(
    library: Library, tmp_path: Path, lengths
):
    path = written(tmp_path / "a" / "call.wav", 9.0, lengths)
    assert ingest(library, tmp_path / "a").recordings == 1
    first = library.clips()
    library.label([(clip.id, "emotion", "anger") for clip in first])
    library.label([(first[0].id, "mine", "yes")])
    written(path, 16.0, None)
    report = ingest(library, tmp_path / "a")
    assert (report.grown, report.recordings, report.recut, report.files) == (1, 0, 0, 1)
    recording = library.recording(1)
    assert (recording.sha256, recording.duration) == (sha256_of(path), 16.0)
    clips = library.clips()
    assert [(clip.start, clip.end) for clip in clips] == [(0, 4), (4, 8), (8, 12), (12, 16)]
    assert [clip.id for clip in clips[:2]] == [clip.id for clip in first[:2]]
    assert first[2].id not in {clip.id for clip in clips}
    assert [clip.label for clip in clips] == ["anger"] * 4
    assert clips[0].labels["mine"] == "yes"
    assert ingest(library, tmp_path / "a").known == 1
    assert library.verify_index().is_sound


def test_what_only_lies_at_the_same_path_is_another_recording(library: Library, tmp_path: Path):
    path = written(tmp_path / "a" / "call.wav", 9.0, None)
    ingest(library, tmp_path / "a")
    write_wav(path, CALL[::-1])
    report = ingest(library, tmp_path / "a")
    assert (report.grown, report.recordings) == (0, 1)


def test_a_copy_of_the_shorter_one_keeps_its_recording(library: Library, tmp_path: Path):
    path = written(tmp_path / "a" / "call.wav", 9.0, None)
    ingest(library, tmp_path / "a")
    (tmp_path / "b").mkdir()
    shutil.copy(path, tmp_path / "b" / "kept.wav")
    ingest(library, tmp_path / "b")
    written(path, 16.0, None)
    report = ingest(library, tmp_path / "a")
    assert (report.grown, report.recordings) == (0, 1)
    assert library.clip(1).path == str(tmp_path / "b" / "kept.wav")


def test_a_beginning_is_all_of_the_shorter_file_and_not_of_it_alone(tmp_path: Path):
    short, path = tmp_path / "short", tmp_path / "long"
    short.write_bytes(bytes(range(256)) * 8192)
    size, sha256 = 256 * 8192, sha256_of(short)
    path.write_bytes(short.read_bytes() + b"!")
    assert goes_on(path, size, sha256)
    assert not goes_on(short, size, sha256)
    assert not goes_on(path, size - 1, sha256)
    path.write_bytes(b"?" + short.read_bytes()[1:] + b"!")
    assert not goes_on(path, size, sha256)

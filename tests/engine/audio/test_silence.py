"""Recordings in which nobody speaks: an outcome of their own, remembered, not listened to again."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from emotion_search.engine.audio.workers import Decoders
from emotion_search.engine.files.scan import find_audio
from emotion_search.engine.ingest.dry_run import preview
from emotion_search.engine.ingest.options import IngestOptions
from emotion_search.engine.library.library import Library
from emotion_search.engine.service.uploads import take_in
from emotion_search.index.database.recordings import Annotations
from emotion_search.index.database.spans import Span
from emotion_search.index.errors import AudioError
from tests.conftest import tone, write_wav


def ingest(library: Library, *paths: Path, annotations=None, **options):
    files = find_audio([str(path) for path in paths], annotations).files
    return library.ingest(files, IngestOptions(**options))


@pytest.fixture
def quiet(tmp_path: Path) -> Path:
    hiss = 1e-4 * np.random.default_rng(0).normal(size=20 * 16_000)
    return write_wav(tmp_path / "calls" / "quiet.wav", hiss.astype(np.float32))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files that were read, each time."""
    seen = []
    original = Decoders.read

    def read(self, path, channels, sha256, track=None):
        seen.append(path)
        return original(self, path, channels, sha256)

    monkeypatch.setattr(Decoders, "read", read)
    return seen


def test_silence_is_no_failure_and_is_not_read_again(library: Library, quiet: Path, decoded):
    first = ingest(library, quiet.parent)
    assert (first.silent, first.failed, first.recordings, first.files) == (1, [], 0, 1)
    second = ingest(library, quiet.parent)
    assert (second.silent, second.known, second.files) == (0, 1, 1)
    assert decoded == [quiet]
    (noted,) = library.failures()
    assert (noted.path, noted.kind, noted.attempts) == (str(quiet), "silent", 1)
    assert "no speech" in noted.reason
    assert library.status().counts.failures == 0


def test_fixed_windows_without_a_voice_are_left_out(library: Library, tmp_path: Path, quiet: Path):
    call = np.concatenate([tone(2.0), np.zeros(4 * 16_000, np.float32), tone(2.0)])
    path = write_wav(tmp_path / "call.wav", call)
    report = ingest(library, path, quiet, segments="fixed", window=2.0)
    assert (report.recordings, report.clips, report.silent) == (1, 2, 1)


def test_silence_under_another_name_is_known_by_its_bytes(library: Library, quiet: Path):
    ingest(library, quiet)
    shutil.copy(quiet, quiet.with_name("copy.wav"))
    shutil.copy(quiet, quiet.with_name("another.wav"))
    report = ingest(library, quiet.parent)
    assert (report.known, report.silent, report.failed) == (1, 2, [])
    assert ingest(library, quiet.parent).known == 3
    assert len(library.failures()) == 3


def test_a_rescan_hashes_silence_and_a_retry_listens_to_it(library: Library, quiet: Path):
    ingest(library, quiet)
    assert ingest(library, quiet, rescan=True).known == 1
    assert library.failures()[0].attempts == 1
    assert ingest(library, quiet, retry=True).silent == 1
    assert library.failures()[0].attempts == 2


def test_silence_that_changed_is_read_anew(library: Library, quiet: Path):
    ingest(library, quiet)
    write_wav(quiet, tone(1.0))
    assert ingest(library, quiet).recordings == 1
    assert library.failures() == []


def test_other_options_listen_again_to_what_had_no_speech(library: Library, tmp_path: Path):
    breath = np.sin(np.arange(20 * 16_000) / 16_000) ** 2  # as it swells
    noise = 0.02 * breath * np.random.default_rng(0).normal(size=20 * 16_000)
    path = write_wav(tmp_path / "noise.wav", noise.astype(np.float32))
    assert ingest(library, path).silent == 1
    library.settings = library.settings.model_copy(update={"segments": "fixed"})
    assert ingest(library, path).recordings == 1
    assert library.failures() == []


def test_given_spans_are_taken_whether_anybody_speaks_or_not(library: Library, quiet: Path):
    ingest(library, quiet)
    annotations = {str(quiet): Annotations(spans=(Span(1.0, 2.0),))}
    assert ingest(library, quiet, annotations=annotations).clips == 1
    assert library.failures() == []


def test_a_file_that_fell_silent_is_remembered_though_its_path_is_a_recordings(
    library: Library, quiet: Path, decoded
):
    silence = quiet.read_bytes()
    write_wav(quiet, tone(1.0))
    ingest(library, quiet)
    quiet.write_bytes(silence)
    os.utime(quiet, ns=(1, 1))
    assert ingest(library, quiet).silent == 1
    assert ingest(library, quiet).known == 1
    assert len(decoded) == 2


def test_a_preview_knows_silence_unless_it_is_tried_again(library: Library, quiet: Path):
    ingest(library, quiet)
    files = find_audio([str(quiet)]).files

    def look(**options):
        how = IngestOptions(**options).completed(library.settings)
        return preview(files, library.database, how, library.decoders)

    assert (look().known, look().new) == (1, 0)
    assert look(retry=True).new == 1
    assert look(segments="fixed").new == 1


def test_a_silent_upload_is_refused_each_time_and_leaves_nothing(library: Library, quiet: Path):
    for _ in range(2):
        with pytest.raises(AudioError, match="no speech"):
            take_in(library, quiet, name="x.wav")
    assert library.failures() == []
    assert list(library.settings.uploads_folder.glob("*.wav")) == []

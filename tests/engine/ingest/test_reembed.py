"""A second model beside the first: filled in from the audio, compared, switched to, dropped."""

import errno
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.audio.workers import Decoders
from emotion_search.engine.embedders.acoustic.model import WEIGHTS
from emotion_search.engine.files.scan import find_audio, sha256_of
from emotion_search.engine.ingest import reembed
from emotion_search.engine.ingest.options import IngestOptions
from emotion_search.engine.ingest.reread import ClipSource, decode_clips
from emotion_search.engine.library.library import Library
from emotion_search.engine.settings import Settings
from emotion_search.index.database.coverage import MissingClip
from emotion_search.index.database.recordings import Annotations
from emotion_search.index.database.spans import Span
from emotion_search.index.errors import InvalidInputError, ModelMismatchError, NotFoundError
from tests.conftest import ingest_voices, tone, write_wav
from tests.reading import read_span
from tests.templates import Template


@pytest.fixture
def other(tmp_path: Path) -> str:
    """Other weights of the built-in network: a model of its own."""
    import json

    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(WEIGHTS, framework="pt") as file:
        about = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    tensors["network.embedding.weight"] = tensors["network.embedding.weight"].flip(0).contiguous()
    path = tmp_path / "other.safetensors"
    save_file(
        tensors, path, metadata={"emotion_search": json.dumps(json.loads(about["emotion_search"]))}
    )
    return str(path)


@pytest.fixture
def archive(sqlite_settings: Settings, voices_archive: Template) -> Iterator[Library]:
    """An archive of the voices, on SQLite."""
    voices_archive.place(sqlite_settings)
    with Library.open(sqlite_settings) as opened:
        yield opened


def open_again(library: Library, **changes: object) -> Library:
    return Library.open(library.settings.model_copy(update={"model": None, **changes}))


def vectors(library: Library, name: str) -> dict[int, np.ndarray]:
    from emotion_search.index.database.coverage import holding_called
    from emotion_search.index.database.embeddings import stream

    with library.database.read() as session:
        model = holding_called(session, name).model
        return {
            int(i): v
            for ids, rows in stream(session, model)
            for i, v in zip(ids, rows, strict=True)
        }


def test_the_old_model_serves_until_the_switch_and_the_new_one_after(filled, other, tmp_path):
    with open_again(filled) as library:
        before = library.search(1, limit=5)
        done, info = library.reembed(other)
        assert (done.clips, done.missing, done.of_clips, done.failed) == (12, 0, 12, [])
        assert [hit.clip.id for hit in library.search(1, limit=5)] == [h.clip.id for h in before]
        library.use(other)
        assert library.model() == info
        after = library.search(1, limit=5)
        assert [h.similarity for h in after] != [h.similarity for h in before]
        assert after[0].percentile is not None
        soundfile.write(tmp_path / "q.wav", speak("anger", speaker=7, seed=9, seconds=1), 16_000)
        assert len(library.search(tmp_path / "q.wav", limit=100)) == 12
        library.use("acoustic")
        assert library.search(1, limit=5) == before


def test_embeddings_filled_in_equal_those_of_an_ingest(archive, other, voices, tmp_path):
    with open_again(archive) as library:
        library.reembed(other)
        found = vectors(library, other)
    settings = Settings(home=tmp_path / "fresh", model=other)
    with Library.open(settings, create=True) as fresh:
        ingest_voices(fresh, voices)
        expected = vectors(fresh, other)
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[i], expected[i]) for i in found)


def test_spans_channels_and_long_recordings_are_cut_as_they_were(
    fixed_windows, sqlite_settings, other, tmp_path
):
    call = tmp_path / "call.wav"
    sides = [
        speak("anger", speaker=0, seed=0, seconds=20),
        speak("sadness", speaker=1, seed=1, seconds=20),
    ]
    soundfile.write(call, np.stack(sides, axis=1), 16_000)
    given = tmp_path / "given.wav"
    soundfile.write(given, speak("neutral", speaker=2, seed=0, seconds=6.0), 8_000)
    from emotion_search.engine.audio.channels import parse_channels

    annotations = {
        str(given): Annotations(spans=(Span(0.5, 1.5, 0), Span(1.0, 3.25, 0), Span(0.5, 2.5, 0)))
    }
    files = find_audio([str(call), str(given)], annotations).files
    settings = sqlite_settings.model_copy(update={"segments": "fixed", "window": 6.0})
    with Library.open(settings, create=True) as library:
        library.ingest(files, IngestOptions(channels=parse_channels("agent=0,customer=1")))
    with Library.open(
        settings.model_copy(update={"home": tmp_path / "b", "model": other}), create=True
    ) as fresh:
        fresh.ingest(files, IngestOptions(channels=parse_channels("agent=0,customer=1")))
        expected = vectors(fresh, other)
    with Library.open(settings.model_copy(update={"model": None})) as library:
        library.reembed(other)
        found = vectors(library, other)
    assert len(found) == len(expected) > 8
    assert all(np.array_equal(found[i], expected[i]) for i in found)


def test_a_run_that_was_stopped_goes_on_and_takes_new_clips_too(
    archive, other, tmp_path, monkeypatch
):
    stop = threading.Event()
    monkeypatch.setattr(reembed, "BATCH_S", 2.0)
    with open_again(archive) as library:
        part, _ = library.reembed(other, stop=stop, progress=lambda r: r.clips >= 2 and stop.set())
        assert part.stopped
        assert 0 < part.clips < 12
        assert part.missing == 12 - part.clips
        soundfile.write(tmp_path / "new.wav", speak("anger", speaker=5, seed=3, seconds=1), 16_000)
        library.ingest(find_audio([str(tmp_path / "new.wav")]).files)
        rest, _ = library.reembed(other)
        assert (rest.clips, rest.missing) == (13 - part.clips, 0)
        assert library.reembed(other)[0].clips == 0


def test_a_file_that_is_gone_or_changed_is_told_and_counted(
    sqlite_settings, other, voices, tmp_path
):
    here = tmp_path / "here"
    shutil.copytree(voices, here)
    with Library.open(sqlite_settings, create=True) as library:
        ingest_voices(library, here)
    (here / "anger-0.wav").unlink()
    soundfile.write(here / "anger-1.wav", speak("anger", speaker=9, seed=9, seconds=1), 16_000)
    with open_again(library) as library:
        done, _ = library.reembed(other)
        assert (done.clips, done.missing) == (10, 2)
        assert [(Path(f).name, r, n) for f, r, n in done.failed] == [
            ("anger-0.wav", "is no longer there (No such file or directory)", 1),
            ("anger-1.wav", "has changed since it was taken in", 1),
        ]
        with pytest.raises(ModelMismatchError, match="2 of 12 clips have no embedding"):
            library.use(other)
        assert library.use(other, partial=True).embedded == 10
        gone = [clip.id for clip in library.clips() if clip.name in ("anger-0.wav", "anger-1.wav")]
        assert len(library.search(5, limit=100)) == 9
        with pytest.raises(NotFoundError, match="no embedding"):
            library.search(gone[0])


def test_clips_come_once_though_a_file_goes_while_it_is_decoded(tmp_path):
    """The recording lies in a second place too, where its decoding starts anew."""
    path = write_wav(tmp_path / "a.wav", np.stack([tone(30.0), tone(30.0, 330)], axis=1), 16_000)

    class Failing(Decoders):
        def read(self, where, channels, *_):
            for number, message in enumerate(super().read(path, channels)):
                if where.name == "gone.wav" and number == 2:
                    raise OSError(errno.EIO, "gone")
                yield message

    clips = [MissingClip(i, i % 2, float(i // 2), i // 2 + 1.0) for i in range(60)]
    source = ClipSource("a", sha256_of(path), ("gone.wav", "a.wav"), tuple(clips))
    with closing(Failing()) as decoders:
        decoded = list(decode_clips(source, decoders))
    assert sorted(clip.id for clip in decoded) == list(range(60))
    for clip in decoded:
        start = clips[clip.id].start
        given, _ = read_span(path, channel=clip.id % 2, start=start, end=start + 1)
        assert np.array_equal(clip.samples, given)


def test_a_server_and_an_ingest_follow_the_switch(archive, other, voices, tmp_path):
    with open_again(archive) as server, open_again(archive) as other_process:
        server.search(voices / "anger-0.wav")
        server.embedder()
        other_process.reembed(other)
        other_process.use(other)
        assert server.search(1, limit=3) == other_process.search(1, limit=3)
        assert server.embedder().name == other
        soundfile.write(tmp_path / "new.wav", speak("anger", speaker=5, seed=3, seconds=1), 16_000)
        server.ingest(find_audio([str(tmp_path / "new.wav")]).files)
        assert {h.model.name: h.missing for h in server.holdings()} == {"acoustic": 1, other: 0}
    with pytest.raises(ModelMismatchError), open_again(archive, model="acoustic") as asked:
        asked.embedder()


def test_a_model_that_does_not_serve_can_be_dropped(filled, other):
    with open_again(filled) as library:
        library.reembed(other)
        library.use(other)
        with pytest.raises(InvalidInputError, match="serves the archive"):
            library.forget_model(other)
        _, removed = library.forget_model("acoustic")
        assert removed == 12
        assert [one.model.name for one in library.holdings()] == [other]
        assert len(library.search(1, limit=100)) == 11
        with pytest.raises(NotFoundError, match="it has: "):
            library.use("acoustic")


def test_a_forgotten_recording_leaves_every_model(filled, other):
    with open_again(filled) as library:
        library.reembed(other)
        library.forget(1)
        assert [(one.embedded, one.clips) for one in library.holdings()] == [(11, 11), (11, 11)]
        library.use(other)
        assert 1 not in {hit.clip.id for hit in library.search(2, limit=100)}


def test_an_empty_archive_is_refused(library, other):
    with pytest.raises(NotFoundError, match="empty"):
        library.reembed(other)

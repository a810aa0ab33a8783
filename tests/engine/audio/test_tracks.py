"""The sound that is taken, and told: the track with speech, the louder of sides that cancel."""

from pathlib import Path

import av
import numpy as np
import pytest

from emotion_search.engine.archive.playback import span_of_recording
from emotion_search.engine.audio.channels import Channels
from emotion_search.engine.audio.file import AudioFile, decode
from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.files.scan import find_audio
from emotion_search.engine.ingest.options import IngestOptions
from emotion_search.engine.ingest.report import IngestReport
from emotion_search.engine.ingest.reread import clip_source, decode_clips
from emotion_search.engine.library.library import Library
from emotion_search.engine.query.examples import VectorExample
from emotion_search.index.database.coverage import MissingClip
from tests.conftest import write_wav

VOICE = 0.5 * speak("anger", speaker=0, seed=0, seconds=2.0)


def film(path: Path, *tracks: np.ndarray) -> Path:
    """A file with several sound tracks of equal length."""
    with av.open(str(path), "w", format="matroska") as out:
        streams = [out.add_stream("pcm_s16le", rate=16_000, layout="mono") for _ in tracks]
        for begin in range(0, len(tracks[0]), 1024):
            for stream, samples in zip(streams, tracks, strict=True):
                piece = np.round(samples[None, begin : begin + 1024] * 32_767).astype(np.int16)
                frame = av.AudioFrame.from_ndarray(piece, format="s16", layout="mono")
                frame.sample_rate, frame.pts = 16_000, begin
                out.mux(stream.encode(frame))
        for stream in streams:
            out.mux(stream.encode(None))
    return path


def read(path: Path) -> tuple[np.ndarray, list[str]]:
    with AudioFile(path) as file:
        samples = np.concatenate(list(file.blocks()))
        return samples, file.notices


@pytest.fixture
def spoken(emodb: Path) -> np.ndarray:
    return decode(emodb / "03a01Fa.flac")


def test_the_first_track_with_speech_is_taken(spoken: np.ndarray, tmp_path: Path):
    tone = 0.2 * np.sin(np.arange(len(spoken)) / 5)
    path = film(tmp_path / "x.mkv", np.zeros(len(spoken)), tone, spoken, spoken[::-1])
    samples, notices = read(path)
    assert np.abs(samples - spoken[: len(samples)]).max() < 1e-3
    assert notices == ["of its 4 sound tracks number 3 is taken: it has speech"]


def test_where_no_track_has_speech_the_first_is_taken(tmp_path: Path):
    samples, notices = read(film(tmp_path / "x.mkv", np.full(9000, 0.1), np.zeros(9000)))
    assert samples[4000] == pytest.approx(0.1, abs=1e-3)
    assert notices == ["of its 2 sound tracks the first is taken: none has speech"]


def test_the_louder_side_is_taken_where_sides_cancel(tmp_path: Path):
    path = write_wav(tmp_path / "x.wav", np.stack([-0.8 * VOICE, VOICE], 1), subtype="FLOAT")
    samples, notices = read(path)
    assert np.array_equal(samples, VOICE)
    assert notices == ["its channels cancel each other out: channel 1 is taken, not the mix"]


def test_sides_that_cancel_for_a_while_are_not_mixed(tmp_path: Path):
    other = VOICE.copy()
    other[len(VOICE) // 2 :] *= -0.9
    samples, notices = read(
        write_wav(tmp_path / "x.wav", np.stack([VOICE, other], 1), subtype="FLOAT")
    )
    assert np.array_equal(samples, VOICE)
    assert notices == ["its channels cancel each other out: channel 0 is taken, not the mix"]


def test_a_silent_side_is_mixed_in(tmp_path: Path):
    sides = np.stack([VOICE, np.zeros_like(VOICE)], 1)
    samples, notices = read(write_wav(tmp_path / "x.wav", sides, subtype="FLOAT"))
    assert np.allclose(samples, VOICE / 2)
    assert notices == []


def test_sides_that_cancel_are_indexed_as_the_one_and_told(library: Library, tmp_path: Path):
    one = write_wav(tmp_path / "one.wav", VOICE)
    both = write_wav(tmp_path / "both.wav", np.stack([VOICE, -VOICE], axis=1))
    report = library.ingest(find_audio([str(one), str(both)]).files)
    assert [Path(path).name for path, _ in report.notices] == ["both.wav"]
    (hit,) = library.search(one, exclude_same="recording")
    assert hit.similarity > 0.999


def test_another_track_is_taken_where_it_is_asked_for_and_stays_the_recordings(
    library: Library, tmp_path: Path
):
    voices = [0.5 * speak(name, speaker=1, seed=3, seconds=2.0) for name in ("anger", "sadness")]
    path = film(tmp_path / "x.mkv", *voices)

    def taken(number: int, **options: bool) -> IngestReport:
        channels = Channels(sound_track=number)
        return library.ingest(find_audio([str(path)]).files, IngestOptions(channels, **options))

    def sounds_as(voice: np.ndarray) -> bool:
        (clip,) = library.clips()
        with library.database.read() as session:
            wanted = (MissingClip(clip.id, clip.channel, clip.start, clip.end),)
            source = clip_source(session, clip.recording_id, wanted)
        (decoded,) = decode_clips(source, library.decoders)
        samples = [library.clip_audio(clip.id)[0], decoded.samples]
        samples.append(span_of_recording(library, 1, start=0, end=None, channel=None)[0])
        (vector,) = library.embedder().embed([voice]).vectors
        (hit,) = library.search(VectorExample(tuple(vector.tolist())))
        return hit.similarity > 0.999 and all(np.abs(one - voice).max() < 1e-3 for one in samples)

    assert taken(2).recordings == 1
    assert sounds_as(voices[1])
    assert taken(1).otherwise == 1
    assert sounds_as(voices[1])
    assert taken(1, recut=True).recut == 1
    assert sounds_as(voices[0])
    assert taken(1).known == 1
    write_wav(path := tmp_path / "mono.wav", voices[0])
    (failure,) = taken(2).failed
    assert failure[1] == "has no sound track 2 (it has 1, counted from 1)"

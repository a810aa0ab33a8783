"""Every format that is listed is read: the same voice, its true length, the exact span."""

from pathlib import Path

import numpy as np
import pytest

from engine.audio import EXTENSIONS, AudioFile, decode, read_span
from engine.scan import find_audio
from engine.voices import speak
from index.errors import AudioError
from tests.formats import ENCODED, WRITTEN, encode, write_as

VOICE = 0.5 * speak("anger", speaker=0, seed=0, seconds=2.0)
ALL = [*WRITTEN, *ENCODED]


def likeness(left: np.ndarray, right: np.ndarray) -> float:
    """The best correlation of two signals within a delay of 150 ms."""
    n = min(len(left), len(right)) - 5000
    return max(
        float(np.corrcoef(left[2500 : 2500 + n], right[2500 + d : 2500 + d + n])[0, 1])
        for d in range(-2400, 2401, 4)
    )


@pytest.mark.parametrize("ending", ALL)
def test_the_voice_comes_out_as_it_went_in(ending: str, tmp_path: Path):
    path = write_as(tmp_path / "voice", VOICE, ending)
    heard = decode(path)
    assert len(heard) / 16_000 == pytest.approx(len(VOICE) / 16_000, abs=0.15)
    assert likeness(VOICE, heard) > (0.6 if "amr" in ENCODED.get(ending, ("", ""))[1] else 0.85)
    with AudioFile(path) as file:
        total = sum(map(len, file.blocks()))
        assert file.duration == pytest.approx(total / 16_000, abs=0.001)


@pytest.mark.parametrize("ending", ALL)
def test_a_span_is_cut_where_it_says(ending: str, tmp_path: Path):
    long = np.concatenate([VOICE * scale for scale in (0.2, 1.0, 0.4, 0.8)])
    path = write_as(tmp_path / "voice", long, ending)
    start, end = 4.25, 4.75
    span, rate = read_span(path, channel=None, start=start, end=end)
    whole, _ = read_span(path, channel=None, start=0.0, end=9.0)
    assert len(span) == pytest.approx((end - start) * rate, abs=1)
    at = round(start * rate)
    assert np.abs(whole[at : at + len(span)] - span).mean() < 0.1 * np.abs(span).mean()


@pytest.mark.parametrize("ending", [e for e in ENCODED if e not in ("aac", "ac3", "g722", "mp2")])
def test_folders_are_searched_for_it(ending: str, tmp_path: Path):
    path = write_as(tmp_path / "voice", VOICE, ending)
    assert path.suffix in EXTENSIONS
    assert [file.path for file in find_audio([str(tmp_path)]).files] == [str(path)]


@pytest.mark.parametrize("ending", ["m4a", "webm", "mkv", "flac", "wav", "mp3", "mov"])
def test_channels_are_kept_apart(ending: str, tmp_path: Path):
    other = 0.5 * speak("sadness", speaker=1, seed=1, seconds=2.0)
    n = min(len(VOICE), len(other))
    path = write_as(tmp_path / "call", np.stack([VOICE[:n], other[:n]], axis=1), ending)
    assert likeness(VOICE[:n], decode(path, channel=0)) > 0.9
    assert likeness(other[:n], decode(path, channel=1)) > 0.9
    with pytest.raises(AudioError, match="has no channel 2"):
        decode(path, channel=2)


@pytest.mark.parametrize("ending", ["m4a", "mov", "mkv", "wma", "wav", "flac"])
def test_a_file_cut_in_the_middle_is_told(ending: str, tmp_path: Path):
    long = np.tile(VOICE, 5)
    path = write_as(tmp_path / "voice", long, ending)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    with pytest.raises(AudioError):
        decode(path)


def test_a_video_without_sound_is_told(tmp_path: Path):
    import av

    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(5):
            black = np.zeros((64, 64, 3), np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(black, format="rgb24")))
        out.mux(stream.encode(None))
    with pytest.raises(AudioError, match="no sound track"):
        decode(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "list.m4a",
            b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n/etc/hostname\n#EXT-X-ENDLIST",
        ),
        ("list.mp4", b"ffconcat version 1.0\nfile '/etc/hostname'\n"),
        ("notes.webm", b"dear diary"),
        ("empty.amr", b""),
        ("head.amr", b"#!AMR\n"),
    ],
)
def test_lists_and_texts_are_no_audio(name: str, content: bytes, tmp_path: Path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AudioError):
        decode(tmp_path / name)


def test_tags_are_read(tmp_path: Path):
    import av

    encode(tmp_path / "a.mka", VOICE, "matroska", "flac", 16_000)
    with av.open(str(tmp_path / "a.mka")) as read, av.open(str(tmp_path / "b.mka"), "w") as out:
        out.metadata["title"] = "A call"
        out.metadata["DATE"] = "2026-01-31"
        stream = out.add_stream_from_template(read.streams.audio[0])
        for packet in read.demux(read.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    with AudioFile(tmp_path / "b.mka") as file:
        assert file.tags["title"] == "A call"
        assert file.tags["date"] == "2026-01-31"

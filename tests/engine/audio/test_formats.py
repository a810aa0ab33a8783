"""Every format that is listed is read: the same voice, its true length, the exact span."""

from pathlib import Path

import av
import numpy as np
import pytest

from emotion_search.engine.audio.file import EXTENSIONS, AudioFile, decode
from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.files.scan import find_audio
from emotion_search.index.errors import AudioError
from tests.conftest import write_wav
from tests.formats import ENCODED, STREAMED, WRITTEN, encode, stream_as, write_as
from tests.reading import channel_of, read_span

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
    decoded = decode(path)
    assert len(decoded) / 16_000 == pytest.approx(len(VOICE) / 16_000, abs=0.15)
    assert likeness(VOICE, decoded) > (0.6 if "amr" in ENCODED.get(ending, ("", ""))[1] else 0.85)
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


@pytest.mark.parametrize("ending", ["flv", "tta", "voc"])
def test_folders_are_searched_for_what_is_rare(ending: str, tmp_path: Path):
    (tmp_path / f"voice.{ending}").touch()
    assert len(find_audio([str(tmp_path)]).files) == 1


@pytest.mark.parametrize("ending", ["m4a", "webm", "mkv", "flac", "wav", "mp3", "mov"])
def test_channels_are_kept_apart(ending: str, tmp_path: Path):
    other = 0.5 * speak("sadness", speaker=1, seed=1, seconds=2.0)
    n = min(len(VOICE), len(other))
    path = write_as(tmp_path / "call", np.stack([VOICE[:n], other[:n]], axis=1), ending)
    assert likeness(VOICE[:n], channel_of(path, 0)) > 0.9
    assert likeness(other[:n], channel_of(path, 1)) > 0.9
    with pytest.raises(AudioError, match="has no channel 2"):
        channel_of(path, 2)


NOTICED = ["m4a", "mov", "mkv", "wma", "wav", "flac", "mp3", "wv", "ogg", "opus"]
BY_BYTES = ["aiff", "au", "caf", "w64", "24.wav", "gsm.wav", "adpcm.wav", "avi"]


@pytest.mark.parametrize("ending", NOTICED + BY_BYTES)
def test_a_file_cut_in_the_middle_is_told(ending: str, tmp_path: Path):
    long = np.tile(VOICE, 5)
    path = write_as(tmp_path / "voice", long, ending)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    with pytest.raises(AudioError):
        decode(path)


@pytest.mark.parametrize("ending", BY_BYTES)
def test_a_file_that_lacks_some_of_its_bytes_is_told_how_many(ending: str, tmp_path: Path):
    path = write_as(tmp_path / "voice", np.tile(VOICE, 5), ending)
    path.write_bytes(path.read_bytes()[:-4000])
    with pytest.raises(AudioError, match=r"truncated after .* bytes of sound are there"):
        decode(path)


@pytest.mark.parametrize("ending", ["mka", "webm"])
def test_the_end_of_a_film_that_is_missing_is_told(ending: str, tmp_path: Path):
    path = write_as(tmp_path / "voice", np.tile(VOICE, 5), ending)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(AudioError, match=r"truncated after .* bytes of sound are there"):
        decode(path)


@pytest.mark.parametrize("ending", ["ogg", "opus", "oga"])
def test_a_last_page_that_is_not_whole_is_told(ending: str, tmp_path: Path):
    make = stream_as if ending in STREAMED else write_as
    path = make(tmp_path / "voice", VOICE[:24_000], ending)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(AudioError, match=r"truncated: .* s are there, 1\.5\d s were promised"):
        decode(path)


def test_a_whole_rf64_is_whole_and_a_cut_one_is_not(tmp_path: Path):
    path = write_wav(tmp_path / "x.wav", VOICE, format="RF64")
    assert len(decode(path)) == len(VOICE)
    path.write_bytes(path.read_bytes()[:-4000])
    with pytest.raises(AudioError, match="truncated"):
        decode(path)


def film(path: Path, container: str, video: str, audio: str, rate: int) -> Path:
    """A film of 20 s whose sound track ends after 10 s."""
    with av.open(str(path), "w", format=container) as out:
        seen = out.add_stream(video, rate=10)
        seen.width, seen.height, seen.pix_fmt = 64, 64, "yuv420p"
        decoded = out.add_stream(audio, rate=rate, layout="mono")
        decoded.bit_rate = 96_000
        pieces = av.AudioFifo()
        wave = 0.1 * np.sin(np.arange(10 * rate, dtype=np.float32) / 30)[None]
        frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        for piece in av.AudioResampler(decoded.format.name, "mono", rate).resample(frame):
            pieces.write(piece)
        for second in range(20):
            for tenth in range(10):
                grey = np.full((64, 64, 3), tenth, np.uint8)
                picture = av.VideoFrame.from_ndarray(grey, format="rgb24")
                picture.pts = 10 * second + tenth
                out.mux(seen.encode(picture))
            size = decoded.codec_context.frame_size or 1024
            for _ in range(rate // size + 1):
                if piece := pieces.read(size, partial=second >= 10):
                    out.mux(decoded.encode(piece))
        out.mux(seen.encode(None))
        out.mux(decoded.encode(None))
    return path


@pytest.mark.parametrize(
    ("container", "video", "audio", "rate"),
    [
        ("mp4", "mpeg4", "aac", 44_100),
        ("mov", "mpeg4", "pcm_s16le", 16_000),
        ("matroska", "mpeg4", "aac", 44_100),
        ("webm", "libvpx", "libopus", 48_000),
        ("avi", "mpeg4", "libmp3lame", 44_100),
        ("asf", "msmpeg4", "wmav2", 44_100),
    ],
)
def test_a_film_whose_sound_ends_early_is_whole(container, video, audio, rate, tmp_path: Path):
    path = film(tmp_path / "film", container, video, audio, rate)
    assert len(decode(path)) / 16_000 == pytest.approx(10.0, abs=0.2)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 4])
    with pytest.raises(AudioError):
        decode(path)


def test_an_aac_that_begins_quietly_is_whole(tmp_path: Path):
    quiet_first = np.concatenate([np.zeros(10 * 16_000, np.float32), np.tile(VOICE, 15)])
    path = write_as(tmp_path / "voice", quiet_first, "aac")
    assert len(decode(path)) == pytest.approx(len(quiet_first), abs=4000)


def test_a_gap_in_time_is_silence(tmp_path: Path):
    source = write_as(tmp_path / "voice", np.tile(VOICE, 5), "mkv")
    path = tmp_path / "gap.mkv"
    with av.open(str(source)) as read, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(read.streams.audio[0])
        for packet in read.demux(read.streams.audio[0]):
            if packet.dts is not None:
                late = int(20 / packet.time_base) if packet.pts * packet.time_base > 5 else 0
                packet.pts, packet.dts = packet.pts + late, packet.dts + late
                packet.stream = stream
                out.mux(packet)
    samples = decode(path)
    assert len(samples) / 16_000 == pytest.approx(30.0, abs=0.2)
    assert not samples[6 * 16_000 : 24 * 16_000].any()
    assert likeness(np.tile(VOICE, 2), samples[26 * 16_000 :]) > 0.8


def test_a_relative_name_with_a_colon_is_a_file(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_as(Path("call 10:30"), VOICE, "m4a").rename("http:call.m4a")
    assert len(decode(Path("http:call.m4a"))) > 16_000


def test_typescript_is_passed_over(tmp_path: Path):
    (tmp_path / "app.ts").write_text("export const answer = 42;")
    assert find_audio([str(tmp_path)]).files == []


def test_a_video_without_sound_is_told(tmp_path: Path):
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
    latin = (tmp_path / "b.mka").read_bytes().replace(b"A call", b"Caf\xe9 1")
    (tmp_path / "b.mka").write_bytes(latin)
    with AudioFile(tmp_path / "b.mka") as file:
        assert file.tags["title"] == "Caf\ufffd 1"

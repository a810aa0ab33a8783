"""Files are read to their last byte or refused: streamed, joined, cut, under another name."""

import shutil
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emotion_search.engine.audio.file import AudioFile, decode
from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.index.errors import AudioError
from tests.conftest import write_wav
from tests.formats import ENCODED, STREAMED, WRITTEN, encode, stream_as, write_as
from tests.reading import read_span

VOICE = 0.5 * speak("anger", speaker=0, seed=0, seconds=2.0)
OTHER = 0.5 * speak("sadness", speaker=1, seed=1, seconds=1.5)
JOINED = [
    *("mp3", "flac", "ogg", "opus", "aac", "amr", "ac3", "mp2", "g722", "mkv", "mka", "webm", "avi")
]
"""Formats in which FFmpeg goes on where another file follows."""


@pytest.mark.parametrize("ending", STREAMED)
def test_a_file_that_was_streamed_is_read_whole(ending: str, tmp_path: Path):
    decoded = decode(stream_as(tmp_path / "voice", VOICE, ending))
    assert len(decoded) / 16_000 == pytest.approx(2.0, abs=0.12)


@pytest.mark.parametrize("ending", [*WRITTEN, *ENCODED])
def test_joined_files_are_read_whole_or_refused(ending: str, tmp_path: Path):
    first = write_as(tmp_path / "first", VOICE, ending)
    second = write_as(tmp_path / "second", OTHER, ending)
    each = len(decode(first)) + len(decode(second))
    first.write_bytes(first.read_bytes() + second.read_bytes())
    if ending in JOINED:
        assert len(decode(first)) == pytest.approx(each, abs=2400)
        assert len(read_span(first, channel=None, start=2.5, end=3.0)[0]) > 0
        return
    with pytest.raises(AudioError, match=r"another file|something else|breaks off|truncated"):
        decode(first)


def test_parts_of_a_joined_mp3_may_differ_in_rate_and_channels(tmp_path: Path):
    first = write_as(tmp_path / "first", VOICE, "mp3")
    soundfile.write(tmp_path / "second.mp3", np.stack([OTHER, OTHER], axis=1)[:, :], 44_100)
    second = len(OTHER) / 44_100
    first.write_bytes(first.read_bytes() + (tmp_path / "second.mp3").read_bytes())
    assert len(decode(first)) / 16_000 == pytest.approx(2.0 + second, abs=0.15)


@pytest.mark.parametrize("name", ["mp3", "wav", "ogg"])
@pytest.mark.parametrize("ending", ["aac", "mp3", "wav", "m4a", "flac"])
def test_the_content_counts_and_not_the_name(ending: str, name: str, tmp_path: Path):
    path = write_as(tmp_path / "voice", VOICE, ending)
    renamed = path.rename(tmp_path / f"renamed.{name}")
    assert len(decode(renamed)) / 16_000 == pytest.approx(2.0, abs=0.12)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(size=st.one_of(st.integers(0, 2**32 - 1), st.integers(0, 70_000)), joined=st.booleans())
def test_whatever_size_a_wav_declares_nothing_of_it_is_left_out(
    tmp_path_factory: pytest.TempPathFactory, size: int, joined: bool
):
    path = write_wav(tmp_path_factory.mktemp("size") / "x.wav", VOICE)
    content = bytearray(path.read_bytes())
    content[40:44] = size.to_bytes(4, "little")
    path.write_bytes(content + write_wav(path.with_name("y.wav"), OTHER).read_bytes() * joined)
    try:
        assert len(decode(path)) >= len(VOICE) + len(OTHER) * joined - 4  # less than a chunk
    except AudioError as error:
        assert any(word in str(error) for word in ("truncated", "follow", "breaks off"))  # noqa: PT017


@pytest.mark.parametrize(
    "size", [0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000, 0x80000000, 0x7FFFFFDB, 0xFFFFFFDB]
)
def test_sizes_that_mean_unknown(size: int, tmp_path: Path):
    path = write_wav(tmp_path / "x.wav", VOICE)
    content = bytearray(path.read_bytes())
    content[40:44] = size.to_bytes(4, "little")
    path.write_bytes(content)
    assert len(decode(path)) == len(VOICE)


@pytest.mark.parametrize("tail", [b"TAG" + bytes(125), bytes(5000), b"APETAGEX" + bytes(300)])
@pytest.mark.parametrize("ending", ["mp3", "wav", "flac", "ogg"])
def test_tags_and_padding_at_the_end_are_no_sound(ending: str, tail: bytes, tmp_path: Path):
    path = write_as(tmp_path / "voice", VOICE, ending)
    path.write_bytes(path.read_bytes() + tail)
    with AudioFile(path) as file:
        samples = np.concatenate(list(file.blocks()))
        assert file.notices == []
    assert len(samples) / 16_000 == pytest.approx(2.0, abs=0.05)


def test_an_mp3_without_a_header_is_counted_and_not_estimated(tmp_path: Path):
    quiet = np.zeros(16_000, np.float32)
    sound = np.concatenate([quiet, *[VOICE] * 5, quiet])
    path = tmp_path / "x.mp3"
    soundfile.write(path, sound, 16_000, bitrate_mode="VARIABLE")
    content = path.read_bytes()
    path.write_bytes(content[content.index(b"\xff\xf3", content.index(b"Xing")) :])
    assert len(decode(path)) / 16_000 == pytest.approx(len(sound) / 16_000, abs=0.15)


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "opus", "mp3", "m4a", "mkv", "caf"])
@pytest.mark.parametrize("seconds", [0.05, 0.3, 0.5, 2.0, 7.0])
def test_ends_are_exact(ending: str, seconds: float, tmp_path: Path):
    path = write_as(tmp_path / "voice", np.tile(VOICE, 4)[: round(seconds * 16_000)], ending)
    slack = 0.07 if ending in ("m4a", "mkv") else 1e-4
    assert len(decode(path)) / 16_000 == pytest.approx(seconds, abs=slack)


def test_the_start_that_the_header_of_avi_tells_is_kept(tmp_path: Path):
    path = write_as(tmp_path / "late", VOICE, "avi")
    whole = decode(path)
    content = bytearray(path.read_bytes())
    at = content.index(b"auds") + 20
    scale, rate = (int.from_bytes(content[at + i : at + i + 4], "little") for i in (0, 4))
    content[at + 8 : at + 12] = (3 * rate // scale).to_bytes(4, "little")
    path.write_bytes(content)
    late = decode(path)
    assert (len(late) - len(whole)) / 16_000 == pytest.approx(3.0, abs=0.05)
    assert not late[: 16_000 * 29 // 10].any()


def test_a_track_that_starts_late_keeps_its_times(tmp_path: Path):
    source = write_as(tmp_path / "voice", VOICE, "mkv")
    path = tmp_path / "late.mkv"
    with av.open(str(source)) as read, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(read.streams.audio[0])
        for packet in read.demux(read.streams.audio[0]):
            if packet.dts is not None:
                packet.pts, packet.dts = packet.pts + 3000, packet.dts + 3000
                packet.stream = stream
                out.mux(packet)
    late = decode(path)
    assert len(late) / 16_000 == pytest.approx(5.0, abs=0.05)
    assert not late[: 16_000 * 29 // 10].any()
    assert np.abs(late[3 * 16_000 :]).max() > 0.2
    span, rate = read_span(path, channel=None, start=2.0, end=3.5)
    assert len(span) == round(1.5 * rate)
    assert not span[: rate * 9 // 10].any()


def test_packets_that_are_missing_become_silence_and_are_told(tmp_path: Path):
    path = tmp_path / "x.ts"
    encode(path, np.tile(VOICE, 4), "mpegts", "mp2", 48_000)
    content = path.read_bytes()
    packets = len(content) // 188
    first, last = 188 * (packets * 4 // 10), 188 * (packets * 6 // 10)
    path.write_bytes(content[:first] + content[last:])
    with AudioFile(path) as file:
        samples = np.concatenate(list(file.blocks()))
        assert [one.split(" s are missing")[0][0] for one in file.notices] == ["1"]
    assert len(samples) / 16_000 == pytest.approx(8.0, abs=0.1)


def test_gaps_of_hours_are_refused(tmp_path: Path):
    source = write_as(tmp_path / "voice", VOICE, "mkv")
    path = tmp_path / "gap.mkv"
    with av.open(str(source)) as read, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(read.streams.audio[0])
        for packet in read.demux(read.streams.audio[0]):
            if packet.dts is not None:
                late = 4_000_000 if packet.pts > 1000 else 0
                packet.pts, packet.dts = packet.pts + late, packet.dts + late
                packet.stream = stream
                out.mux(packet)
    with pytest.raises(AudioError, match="gaps of more than 3600 s"):
        decode(path)


def test_more_samples_a_second_than_any_recording_has_are_refused(tmp_path: Path):
    path = write_wav(tmp_path / "x.wav", np.zeros((768, 64), np.float32), 768_000)
    with pytest.raises(AudioError, match="64 channels at 768000 Hz"):
        decode(path)


def test_a_name_does_not_matter_to_a_copy(tmp_path: Path):
    path = write_as(tmp_path / "voice", VOICE, "opus")
    shutil.copy(path, tmp_path / "voice")
    assert np.array_equal(decode(path), decode(tmp_path / "voice"))


@pytest.mark.parametrize("first", ["ogg", "opus", "oga"])
@pytest.mark.parametrize("second", ["ogg", "opus"])
def test_links_of_chained_ogg_may_differ_in_codec_rate_and_channels(
    first: str, second: str, tmp_path: Path
):
    makers = {"oga": lambda path: stream_as(path, VOICE, "oga")}
    path = makers.get(first, lambda path: write_as(path, VOICE, first))(tmp_path / "first")
    stereo = np.stack([OTHER, OTHER], axis=1)
    rate = 48_000 if second == "opus" else 44_100
    other = tmp_path / f"second.{second}"
    subtype = "OPUS" if second == "opus" else "VORBIS"
    soundfile.write(other, soxr.resample(stereo, 16_000, rate), rate, format="OGG", subtype=subtype)
    path.write_bytes(path.read_bytes() + other.read_bytes())
    decoded = decode(path)
    assert len(decoded) == pytest.approx(len(VOICE) + len(OTHER), abs=200)
    later = decoded[len(VOICE) :][: len(OTHER) - 500]
    assert np.corrcoef(later, OTHER[: len(later)])[0, 1] > 0.9
    span, rate = read_span(path, channel=None, start=2.5, end=3.0)
    assert len(span) == rate // 2
    assert np.corrcoef(soxr.resample(span, rate, 16_000), decoded[40_000:48_000])[0, 1] > 0.99


@pytest.mark.parametrize("kind", ["wav", "avi", "ac3", "mpegts", "mpeg"])
@pytest.mark.parametrize("ending", ["mp3", "flac"])
def test_another_kind_of_file_behind_the_last_frame_is_not_passed_over(
    ending: str, kind: str, tmp_path: Path
):
    path = write_as(tmp_path / "first", VOICE, ending)
    behind = tmp_path / "second"
    if kind in ENCODED or kind in WRITTEN:
        behind = write_as(behind, OTHER, kind)
    else:
        encode(behind, OTHER, kind, "mp2", 48_000)
    path.write_bytes(path.read_bytes() + behind.read_bytes())
    with pytest.raises(AudioError, match=r"another file of sound follows|is damaged"):
        decode(path)


def test_the_newer_name_of_rf64_is_known(tmp_path: Path):
    path = tmp_path / "voice.wav"
    soundfile.write(path, VOICE, 16_000, format="RF64", subtype="PCM_16")
    content = b"BW64" + path.read_bytes()[4:]
    path.write_bytes(content)
    assert len(decode(path)) == len(VOICE)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(AudioError, match="is truncated"):
        decode(path)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_a_wav_of_unknown_size_may_be_longer_than_32_bits_say(size: int, tmp_path: Path):
    path = write_wav(tmp_path / "long.wav", VOICE)
    with path.open("r+b") as file:
        file.seek(40)
        file.write(size.to_bytes(4, "little"))
        file.truncate(5 << 30)
    with AudioFile(path) as file:
        assert file.header_duration > 100_000


@pytest.mark.parametrize(("ending", "order"), [("w64", "little"), ("caf", "big")])
@pytest.mark.parametrize("size", [2**63 - 2**20, 2**64 - 2**20])
def test_a_damaged_size_of_64_bits_is_the_files_fault(ending, order, size, tmp_path: Path):
    path = write_as(tmp_path / "voice", VOICE, ending)
    content = path.read_bytes()
    at = content.index(b"data") + (16 if ending == "w64" else 4)
    path.write_bytes(content[:at] + size.to_bytes(8, order) + content[at + 8 :])
    with pytest.raises(AudioError, match=r"truncated|cannot be decoded"):
        decode(path)


@pytest.mark.parametrize("kind", ["aac", "mp3", "mp2", "ac3"])
@pytest.mark.parametrize("ending", ["flac", "wav", "au", "avi", "m4a", "ogg", "mkv"])
def test_raw_frames_behind_the_end_are_told(ending: str, kind: str, tmp_path: Path):
    path = write_as(tmp_path / "first", VOICE, ending)
    decode(path)
    behind = stream_as if kind in STREAMED else write_as
    path.write_bytes(path.read_bytes() + behind(tmp_path / "b", OTHER, kind).read_bytes())
    with pytest.raises(AudioError, match=r"another file|something else|breaks off"):
        decode(path)


def test_eight_channels_in_planes_are_read(tmp_path: Path):
    channels = np.zeros((48_000, 8), np.float32)
    channels[:, 1] = soxr.resample(VOICE, 16_000, 48_000)[:48_000]
    frame = av.AudioFrame.from_ndarray(channels.reshape(1, -1), format="flt", layout="7.1")
    frame.sample_rate = 48_000
    with av.open(str(tmp_path / "x.m4a"), "w", format="ipod") as out:
        stream = out.add_stream("aac", rate=48_000, layout="7.1")
        resampler = av.AudioResampler("fltp", "7.1", 48_000, frame_size=1024)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(piece))
        out.mux(stream.encode(None))
    with AudioFile(tmp_path / "x.m4a") as file:
        assert file.channels == 8
        read = [np.concatenate(one) for one in zip(*file.tracks(list(range(8))), strict=True)]
    levels = [np.abs(one).max() for one in read]
    assert max(levels) > 0.2
    assert sum(level > 0.05 for level in levels) == 1


def test_channels_in_an_unusual_order_are_read(tmp_path: Path):
    channels = np.repeat(VOICE, 8).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(channels, format="flt", layout="7.1")
    frame.sample_rate = 16_000
    with av.open(str(tmp_path / "x.caf"), "w") as out:
        stream = out.add_stream("pcm_s16be", rate=16_000, layout="7.1")
        for piece in av.AudioResampler("s16", "7.1", 16_000).resample(frame):
            out.mux(stream.encode(piece))
        out.mux(stream.encode(None))
    code = f"""if True:
        from pathlib import Path
        from emotion_search.engine.audio.file import decode
        print(len(decode(Path({str(tmp_path / "x.caf")!r}))))"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.stdout.split() == [str(len(VOICE)).encode()], done.stderr


def test_what_an_edit_list_hides_of_a_lossless_track_is_not_read(tmp_path: Path):
    path = tmp_path / "late.m4a"
    with (
        av.open(str(write_as(tmp_path / "voice", VOICE, "alac.m4a"))) as read,
        av.open(str(path), "w", format="ipod") as out,
    ):
        stream = out.add_stream_from_template(read.streams.audio[0])
        for packet in read.demux(read.streams.audio[0]):
            if packet.dts is not None:
                packet.pts, packet.dts = packet.pts - 5000, packet.dts - 5000
                packet.stream = stream
                out.mux(packet)
    assert decode(path) == pytest.approx(VOICE[5000:], abs=1e-3)

"""Damage inside of files gives a notice or an error, tags none; headers are compared with it."""

import random
from pathlib import Path

import av
import numpy as np
import pytest

from emotion_search.engine.audio.file import AudioFile, decode
from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.index.errors import AudioError
from tests.formats import write_as

VOICE = np.tile(0.5 * speak("anger", speaker=0, seed=0, seconds=2.0), 4)
SECONDS = len(VOICE) / 16_000
V1 = b"TAG" + b"x" * 125


def read(path: Path) -> tuple[float, list[str]]:
    with AudioFile(path) as file:
        seconds = sum(map(len, file.blocks())) / 16_000
        return seconds, file.notices


def holes(number: int) -> dict[str, bytes]:
    return {"zeros": bytes(number), "noise": random.Random(number).randbytes(number)}


@pytest.mark.parametrize("ending", ["mp3", "mp2", "avi"])
@pytest.mark.parametrize("size", [500, 2000])
@pytest.mark.parametrize("place", [0.3, 0.6])
def test_what_is_no_frame_between_frames_is_told(
    ending: str, size: int, place: float, tmp_path: Path
):
    path = write_as(tmp_path / "voice", VOICE, ending)
    content = path.read_bytes()
    at = round(len(content) * place)
    for kind, hole in holes(size).items():
        for behind in (at + size, at):  # in the place of others, and put between
            path.write_bytes(content[:at] + hole + content[behind:])
            seconds, notices = read(path)
            assert notices or abs(seconds - SECONDS) < 0.05, (kind, behind - at, seconds)
    path.write_bytes(content[:at] + content[at + size :])
    try:
        seconds, notices = read(path)
    except AudioError:
        return
    assert notices


def test_the_notice_says_where_the_first_damage_is(tmp_path: Path):
    path = write_as(tmp_path / "voice", VOICE, "mp3")
    content = path.read_bytes()
    at = len(content) // 2
    path.write_bytes(content[:at] + bytes(2000) + content[at + 2000 :])
    _, (notice,) = read(path)
    assert notice.startswith("damaged packets of it were left out: 1, the first at ")
    assert float(notice.split()[-2]) == pytest.approx(SECONDS / 2, abs=0.5)


def test_zeros_where_the_header_tells_of_sound_are_a_cut(tmp_path: Path):
    path = write_as(tmp_path / "voice", VOICE, "mp3")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + bytes(len(content) // 2))
    with pytest.raises(AudioError, match=r"is truncated after [34]"):
        decode(path)


@pytest.mark.parametrize("size", [30, 3000])
def test_damaged_frames_of_flac_are_silence_and_told(size: int, tmp_path: Path):
    path = write_as(tmp_path / "voice", VOICE, "flac")
    content = path.read_bytes()
    at = len(content) // 2
    for hole in holes(size).values():
        path.write_bytes(content[:at] + hole + content[at + size :])
        seconds, (notice,) = read(path)
        assert seconds == SECONDS
        assert "are missing in it, and are silence here" in notice


def test_damage_that_a_checksum_of_wavpack_shows_is_refused(tmp_path: Path):
    path = write_as(tmp_path / "voice", VOICE, "wv")
    content = path.read_bytes()
    at = len(content) // 2
    path.write_bytes(content[:at] + holes(100)["noise"] + content[at + 100 :])
    with pytest.raises(AudioError, match="breaks off"):
        decode(path)


def copied(path: Path, first: float, last: float) -> Path:
    """A stretch of a file of FLAC, frames as they are and the header of the whole."""
    content = path.read_bytes()
    begin = content.index(b"\xff\xf8")
    with av.open(str(path)) as read:
        frames = [
            bytes(packet)
            for packet in read.demux()
            if packet.size and first <= float(packet.pts * packet.time_base) < last
        ]
    other = path.with_name("copied.flac")
    other.write_bytes(content[:begin] + b"".join(frames))
    return other


@pytest.mark.parametrize("first", [0.0, 2.0])
def test_a_stretch_of_flac_with_the_header_of_the_whole_is_read(first: float, tmp_path: Path):
    whole = write_as(tmp_path / "voice", VOICE, "flac")
    path = copied(whole, first, first + 3.0)
    seconds, (notice,) = read(path)
    assert seconds == pytest.approx(3.0, abs=0.3)
    assert notice == f"its header tells {SECONDS:.2f} s; {seconds:.2f} s are there"
    content = path.read_bytes()
    for cut in (1, 3, 10, 200):
        path.write_bytes(content[:-cut])
        with pytest.raises(AudioError, match=r"breaks off|truncated"):
            decode(path)


def cover(size: int) -> bytes:
    """What is in a picture: some of it looks like frames."""
    rng = random.Random(size)
    return b"".join(b"\xff\xfb\x90" + rng.randbytes(97) for _ in range(size // 100))


def id3(content: bytes, *, footer: bool = False) -> bytes:
    size = bytes(len(content) >> 7 * i & 0x7F for i in (3, 2, 1, 0))
    flags = b"\x04\x00\x10" if footer else b"\x04\x00\x00"
    return b"ID3" + flags + size + content + (b"3DI" + flags + size) * footer


def ape(content: bytes, *, header: bool = True) -> bytes:
    key = b"Cover Art (Front)\0a.jpg\0"
    item = (len(content) + 6).to_bytes(4, "little") + bytes([2, 0, 0, 0]) + key + content
    rest = (len(item) + 32).to_bytes(4, "little") + bytes([1, 0, 0, 0])
    ends = (
        b"APETAGEX\xd0\x07\0\0" + rest + bytes([0, 0, 0, flags]) + bytes(8)
        for flags in (0xA0, 0x80)
    )
    first, last = ends
    return first * header + item + last


@pytest.mark.parametrize("size", [3_000, 3_000_000, 20_000_000])
def test_tags_of_any_size_are_no_sound(size: int, tmp_path: Path):
    path = write_as(tmp_path / "voice", VOICE, "mp3")
    sound, picture = path.read_bytes(), cover(size)
    whole, _ = read(path)
    for tagged in (
        sound + ape(picture),
        sound + ape(picture, header=False) + V1,
        sound + id3(picture, footer=True),
        ape(picture) + sound,
        id3(picture) + id3(picture) + sound + V1,
    ):
        path.write_bytes(tagged)
        seconds, notices = read(path)
        assert seconds == pytest.approx(whole, abs=0.1)
        assert notices == []


def test_tags_between_joined_files_are_no_damage(tmp_path: Path):
    path = write_as(tmp_path / "voice", VOICE, "mp3")
    sound, picture = path.read_bytes(), cover(300_000)
    path.write_bytes(sound + ape(picture) + V1 + id3(picture) + sound + id3(picture))
    seconds, notices = read(path)
    assert seconds == pytest.approx(2 * SECONDS, abs=0.2)
    assert notices == []


def test_a_cut_is_seen_through_tags(tmp_path: Path):
    path = write_as(tmp_path / "voice", VOICE, "mp3")
    sound = path.read_bytes()
    path.write_bytes(sound[: len(sound) // 2] + ape(cover(len(sound))) + V1)
    with pytest.raises(AudioError, match="is truncated"):
        decode(path)

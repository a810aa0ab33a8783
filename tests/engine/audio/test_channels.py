"""Channels: what may be asked for, and that agent and customer stay apart."""

from pathlib import Path

import numpy as np
import pytest

from emotion_search.engine.audio.channels import MIX, SPLIT, Track, parse_channels
from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.files.scan import find_audio
from emotion_search.engine.ingest.options import IngestOptions
from emotion_search.engine.library.library import Library
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.errors import InvalidInputError
from tests.conftest import write_wav


@pytest.mark.parametrize(
    ("text", "tracks"),
    [
        ("mix", (Track(None),)),
        ("split", None),
        ("1", (Track(1),)),
        ("customer=1", (Track(1, "customer"),)),
        ("agent=0, customer=1", (Track(0, "agent"), Track(1, "customer"))),
    ],
)
def test_what_may_be_asked_for(text: str, tracks):
    assert parse_channels(text).tracks == tracks
    assert parse_channels(str(parse_channels(text))) == parse_channels(text)


@pytest.mark.parametrize(
    "text", ["", "both", "-1", "a=b", "=1", "1,1", "a=0,b=0", "99", "1=1", "²", "1" * 5000]
)
def test_what_makes_no_sense_is_refused(text: str):
    with pytest.raises(InvalidInputError, match="channels"):
        parse_channels(text)


@pytest.fixture
def call(tmp_path: Path) -> Path:
    agent = speak("neutral", speaker=0, seed=0, seconds=2.0)
    customer = speak("anger", speaker=1, seed=0, seconds=2.0)
    n = min(len(agent), len(customer))
    return write_wav(tmp_path / "call.wav", np.stack([agent[:n], customer[:n]], axis=1))


def ingest(library: Library, path: Path, channels) -> list:
    report = library.ingest(find_audio([str(path)]).files, IngestOptions(channels=channels))
    assert report.failed == []
    return library.clips()


def test_split_makes_clips_of_each_channel(library: Library, call: Path):
    clips = ingest(library, call, SPLIT)
    assert sorted((clip.channel, clip.channel_name) for clip in clips) == [(0, None), (1, None)]
    sides = {clip.channel: library.clip_audio(clip.id)[0] for clip in clips}
    assert not np.array_equal(sides[0], sides[1])


def test_one_side_alone_is_indexed_under_its_name(library: Library, call: Path):
    (clip,) = ingest(library, call, parse_channels("customer=1"))
    assert (clip.channel, clip.channel_name) == (1, "customer")


def test_search_filters_by_name_or_number(library: Library, call: Path):
    ingest(library, call, parse_channels("agent=0,customer=1"))
    for asked, expected in (("customer", 1), ("1", 1), ("agent", 0), ("0", 0)):
        (found,) = library.clips(ClipFilter(channels=(asked,)))
        assert found.channel == expected
    assert library.clips(ClipFilter(channels=("2",))) == []
    assert len(library.clips(ClipFilter(channels=("agent", "1")))) == 2


def test_a_missing_channel_is_that_files_failure(library: Library, call: Path, tmp_path: Path):
    mono = write_wav(tmp_path / "mono.wav", speak("neutral", speaker=0, seed=0, seconds=1.0))
    files = find_audio([str(call), str(mono)]).files
    report = library.ingest(files, IngestOptions(channels=parse_channels("customer=1")))
    assert report.recordings == 1
    assert report.failed == [(str(mono), "has no channel 1 (it has 1, counted from 0)")]


def test_mixing_is_the_default(library: Library, call: Path):
    (clip,) = ingest(library, call, MIX)
    assert clip.channel is None

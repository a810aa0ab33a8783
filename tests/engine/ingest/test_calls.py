"""A support call of real speech on two channels: its utterances are found, each on its side."""

import csv
from pathlib import Path

import numpy as np
import pytest

from emotion_search.engine.audio.channels import parse_channels
from emotion_search.engine.audio.file import decode
from emotion_search.engine.files.scan import find_audio
from emotion_search.engine.ingest.options import IngestOptions
from emotion_search.engine.library.library import Library
from emotion_search.engine.settings import Settings
from emotion_search.index.database.filters import ClipFilter
from tests.conftest import write_wav

PAUSE = np.zeros(24_000, np.float32)


@pytest.fixture
def call(emodb: Path, tmp_path: Path) -> tuple[Path, list[tuple[int, float, float, str, Path]]]:
    """A call in which a calm agent and an angry customer take turns, and who said what when."""
    with (emodb / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    agent = [r for r in rows if r["speaker"] == "emodb_03" and r["label"] == "neutral"][:6]
    customer = [r for r in rows if r["speaker"] == "emodb_16" and r["label"] == "anger"][:6]
    tracks: list[list] = [[], []]
    turns, at = [], 0
    for turn in zip(agent, customer, strict=True):
        for channel, row in enumerate(turn):
            samples = decode(emodb / row["path"])
            for track in (0, 1):
                tracks[track] += [samples if track == channel else np.zeros_like(samples), PAUSE]
            start, end = at / 16_000, (at + len(samples)) / 16_000
            turns.append((channel, start, end, row["label"], emodb / row["path"]))
            at += len(samples) + len(PAUSE)
    stereo = np.stack([np.concatenate(track) for track in tracks], axis=1)
    return write_wav(tmp_path / "call.wav", stereo), turns


def test_utterances_are_found_on_their_side_and_by_how_they_sound(call, tmp_path: Path):
    path, turns = call
    settings = Settings(home=tmp_path / "home", model="acoustic")
    with Library.open(settings, create=True) as library:
        files = find_audio([str(path)]).files
        report = library.ingest(files, IngestOptions(channels=parse_channels("agent=0,customer=1")))
        assert report.failed == []
        clips = library.clips()
        assert len(clips) == len(turns)
        for channel, start, end, _, _ in turns:
            (found,) = [
                clip
                for clip in clips
                if clip.channel == channel and min(end, clip.end) - max(start, clip.start) > 0
            ]
            assert abs(found.start - start) < 0.3
            assert abs(found.end - end) < 0.5
            assert found.channel_name == ("customer" if channel else "agent")
        first_angry = turns[1][4]
        hits = library.search(first_angry, limit=6, per_recording=None)
        assert [hit.clip.channel_name for hit in hits] == ["customer"] * 6
        calm = library.search(
            turns[0][4], limit=3, wanted=ClipFilter(channels=("agent",)), per_recording=None
        )
        assert {hit.clip.channel for hit in calm} == {0}


def test_one_side_alone_leaves_no_trace_of_the_other(call, tmp_path: Path):
    path, turns = call
    settings = Settings(home=tmp_path / "home", model="acoustic")
    with Library.open(settings, create=True) as library:
        library.ingest(
            find_audio([str(path)]).files, IngestOptions(channels=parse_channels("customer=1"))
        )
        spans = [(clip.start, clip.end) for clip in library.clips()]
    agent = [(start, end) for channel, start, end, _, _ in turns if channel == 0]
    assert spans
    for start, end in spans:
        assert all(min(end, b) - max(start, a) < 0.3 for a, b in agent)

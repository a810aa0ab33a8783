"""Clips of a recording: windows cover it exactly; speech is found; memory stays bounded."""

import itertools
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_search.engine.audio import windows
from emotion_search.engine.audio.file import decode
from emotion_search.engine.audio.speech import CHUNK
from emotion_search.engine.audio.windows import FixedWindows, GivenSpans, SpeechWindows, cut


@settings(deadline=None)  # the machine may be busy
@given(
    total=st.integers(1, 20 * 16_000), block=st.integers(500, 200_000), length=st.floats(1.0, 6.0)
)
def test_windows_cover_the_recording_exactly(total, block, length):
    samples = np.arange(total, dtype=np.float32)
    made = list(cut((samples[i : i + block] for i in range(0, total, block)), FixedWindows(length)))
    assert np.array_equal(np.concatenate([w.samples for w in made]), samples)
    assert made[0].start == 0
    assert made[-1].end == total / 16_000
    for before, after in itertools.pairwise(made):
        assert before.end == after.start
    for window in made:
        assert round((window.end - window.start) * 16_000) == len(window.samples)
        assert len(window.samples) < (length + 1) * 16_000 + 1
        assert len(made) == 1 or len(window.samples) >= 16_000 - 1


def test_a_short_recording_is_one_clip():
    (window,) = cut([np.zeros(15 * 16_000 + 100, np.float32)], FixedWindows(15.0))
    assert (window.start, len(window.samples)) == (0.0, 15 * 16_000 + 100)


def test_no_more_than_a_window_is_held():
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield np.zeros(16_000, np.float32)

    stream = cut(endless(), FixedWindows(5.0))
    for number in range(1, 50):
        next(stream)
        assert taken <= 5 * number + 2


@settings(deadline=None)
@given(total=st.integers(1, 20 * 16_000), hop=st.floats(0.5, 3.0))
def test_overlapping_windows_leave_nothing_out(total, hop):
    samples = np.arange(total, dtype=np.float32)
    cutter = FixedWindows(3.0, hop)
    made = [*cutter.feed(samples[: total // 2]), *cutter.feed(samples[total // 2 :])]
    made += cutter.finish()
    covered = np.zeros(total, bool)
    for window in made:
        first, last = round(window.start * 16_000), round(window.end * 16_000)
        assert np.array_equal(window.samples, samples[first:last])
        covered[first:last] = True
    assert covered.all()
    for before, after in itertools.pairwise(made):
        assert after.start - before.start == pytest.approx(hop, abs=1e-4)
        assert after.end > before.end


def test_a_recording_that_its_windows_fill_has_no_further_one():
    cutter = FixedWindows(3.0, 1.0, spare=0.0)
    made = cutter.feed(np.zeros(5 * 16_000, np.float32)) + cutter.finish()
    assert [(window.start, window.end) for window in made] == [(0, 3), (1, 4), (2, 5)]


class GivenSpeech:
    """A detector of probabilities that are given."""

    def __init__(self, probabilities: np.ndarray) -> None:
        self._probabilities, self._rest, self._at = probabilities, 0, 0

    def feed(self, block: np.ndarray) -> np.ndarray:
        self._rest += len(block)
        number, self._rest = divmod(self._rest, CHUNK)
        return self._next(number)

    def finish(self) -> np.ndarray:
        return self._next(1 if self._rest else 0)

    def _next(self, number: int) -> np.ndarray:
        chances = self._probabilities[self._at : self._at + number]
        self._at += number
        return chances


def breath(size: int) -> np.ndarray:
    """Noise that swells, as no machine's does."""
    swell = np.sin(np.arange(size) / 3000) ** 2
    return (swell * np.random.default_rng(0).normal(size=size)).astype(np.float32)


@settings(deadline=None)  # the machine may be busy
@given(
    stretches=st.lists(
        st.tuples(st.floats(0.05, 12.0), st.sampled_from([0.0, 0.4, 0.9])), min_size=1, max_size=12
    ),
    block=st.integers(1000, 200_000),
    longest=st.floats(2.0, 15.0),
)
def test_clips_of_speech_hold_all_speech_and_keep_the_bounds(stretches, block, longest):
    chances = np.concatenate(
        [np.full(int(s * 16_000 / CHUNK) + 1, p, np.float32) for s, p in stretches]
    )
    samples = breath(len(chances) * CHUNK)
    cutter = SpeechWindows(longest, GivenSpeech(chances))
    blocks = [samples[i : i + block] for i in range(0, len(samples), block)]
    with patch.object(windows, "voiceless", return_value=False):  # noise may be breath: slowly
        made = list(cut(blocks, cutter))
    if len(samples) < round(longest * 16_000) + 16_000:
        assert [(window.start, window.end) for window in made] == [(0, len(samples) / 16_000)]
        assert np.array_equal(made[0].samples, samples)
        return
    inside = np.zeros(len(chances), bool)
    for window in made:
        first, last = round(window.start * 16_000), round(window.end * 16_000)
        assert np.array_equal(window.samples, samples[first:last])
        assert last - first <= longest * 16_000 + 1
        inside[first // CHUNK : -(-last // CHUNK)] = True
    for before, after in itertools.pairwise(made):
        assert after.start > before.start
        assert after.start >= before.end - 0.25
    for start, length in runs(chances >= 0.5):
        if length * CHUNK / 16_000 > 0.3:
            assert inside[start : start + length].mean() > 0.9


def runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """Start and length of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    return [(int(a), int(b - a)) for a, b in edges.reshape(-1, 2)]


def spoken(chances: np.ndarray) -> list[tuple[float, float]]:
    """Clips of up to 10 s of a call in which speech is this likely."""
    cutter = SpeechWindows(10.0, GivenSpeech(chances))
    made = [*cutter.feed(breath(len(chances) * CHUNK)), *cutter.finish()]
    return [(window.start, window.end) for window in made]


def test_speech_without_a_pause_is_cut_as_late_as_may_be():
    clips = spoken(np.full(1000, 0.99, np.float32))
    assert len(clips) == 4
    assert all(end - start > 9.7 for start, end in clips[:-1])
    cut = 10 * 16_000 // CHUNK - 2 * 3  # less the three chunks that are kept on either side
    assert [start * 16_000 / CHUNK for start, _ in clips] == [0, cut, 2 * cut, 3 * cut]


def test_what_is_as_likely_speech_as_not_is_speech():
    assert spoken(np.full(1000, 0.5, np.float32)) == spoken(np.full(1000, 0.99, np.float32))
    assert spoken(np.full(1000, 0.49, np.float32)) == []


@pytest.mark.parametrize("at", [7.0, 5.6, 9.2])
def test_speech_without_a_pause_is_cut_where_it_is_quietest(at: float):
    chances = np.full(1000, 0.99, np.float32)
    dip = round(at * 16_000 / CHUNK)
    chances[dip - 2 : dip + 3] = 0.6
    first = spoken(chances)[0]
    assert first[1] == pytest.approx(at, abs=0.2)


@pytest.mark.parametrize(("chunks", "clips"), [(7, 0), (8, 1)])  # of 32 ms: 0.224 and 0.256 s
def test_less_than_a_quarter_of_a_second_of_speech_is_no_clip(chunks: int, clips: int):
    chances = np.zeros(1000, np.float32)
    chances[400 : 400 + chunks] = 0.9
    assert len(spoken(chances)) == clips


def test_silence_is_no_clip():
    cutter = SpeechWindows(5.0)
    made = [w for _ in range(30) for w in cutter.feed(np.zeros(16_000, np.float32))]
    assert made + cutter.finish() == []


def test_little_is_held_while_nobody_speaks():
    cutter = SpeechWindows(5.0)
    for _ in range(100):
        cutter.feed(1e-4 * np.random.default_rng(0).normal(size=16_000).astype(np.float32))
        assert len(cutter._samples) <= 7 * 16_000


def test_the_utterances_of_a_real_call_are_found(emodb: Path):
    spoken = [decode(path) for path in sorted(emodb.glob("*.flac"))[:12]]
    parts, true, at = [], [], 0
    for utterance in spoken:
        for part in (np.zeros(24_000, np.float32), utterance):
            if part is utterance:
                true.append((at / 16_000, (at + len(part)) / 16_000))
            parts.append(part)
            at += len(part)
    cutter = SpeechWindows(15.0)
    call = np.concatenate(parts)
    made = [w for i in range(0, len(call), 50_000) for w in cutter.feed(call[i : i + 50_000])]
    made += cutter.finish()
    for start, end in true:
        overlap = [min(end, w.end) - max(start, w.start) for w in made]
        assert max(overlap) > 0.8 * (end - start)
    assert len(made) == len(true)


@settings(deadline=None)  # the machine may be busy
@given(
    spans=st.lists(
        st.tuples(st.floats(0, 9), st.floats(0.1, 4)).map(lambda s: (s[0], s[0] + s[1])), max_size=8
    ),
    block=st.integers(100, 100_000),
)
def test_spans_are_cut_exactly_however_the_blocks_fall(spans, block):
    samples = np.arange(10 * 16_000, dtype=np.float32)
    cutter = GivenSpans(spans)
    made = [w for i in range(0, len(samples), block) for w in cutter.feed(samples[i : i + block])]
    made += cutter.finish()
    for window in made:
        first, last = round(window.start * 16_000), round(window.end * 16_000)
        assert np.array_equal(window.samples, samples[first:last])
    inside = {(a, b) for a, b in spans if round(b * 16_000) <= len(samples) + 800}
    assert sorted((w.start, w.end) for w in made) == sorted(inside)


@pytest.mark.parametrize("end", [10.0, 10.04, 10.05])
def test_a_span_may_end_a_little_after_the_recording(end):
    cutter = GivenSpans([(9.0, end), (9.99, 10.02), (2.0, 10.06)])
    made = cutter.feed(np.zeros(10 * 16_000, np.float32)) + cutter.finish()
    assert [(w.start, w.end, len(w.samples)) for w in made] == [(9.0, end, 16_000)]


@pytest.mark.parametrize(("samples", "clips"), [(399, 0), (400, 1)])
def test_a_span_of_which_too_little_lies_in_the_recording_is_left_out(samples: int, clips: int):
    cutter = GivenSpans([(10.0 - samples / 16_000, 10.03)])
    made = cutter.feed(np.zeros(10 * 16_000, np.float32)) + cutter.finish()
    assert [len(window.samples) for window in made] == [samples] * clips


def test_little_is_kept_before_and_after_spans_that_are_given():
    cutter = GivenSpans([(5.0, 6.0)])
    for second in range(20):
        cutter.feed(np.zeros(16_000, np.float32))
        assert len(cutter._buffer) == 0, second

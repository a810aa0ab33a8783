"""Trends of recordings: the curves are the stated means, and turning points lie where they are."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as options_of_hypothesis
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.emotions import class_called
from emotion_search.engine.files.scan import find_audio
from emotion_search.engine.ingest.options import IngestOptions
from emotion_search.engine.trends.changes import change_points
from emotion_search.engine.trends.curve import Options, _peaks, _without_odd, trend_of
from emotion_search.engine.trends.recording import write_csv
from emotion_search.index.database.affect import affect
from emotion_search.index.database.scores import ChannelScores
from emotion_search.index.errors import InvalidInputError, NotFoundError
from tests.conftest import write_wav

CLASSES = ("angry", "happy", "neutral")


def clips(rows, *, length: float = 5.0, gap: float = 0.0) -> ChannelScores:
    scores = np.asarray(rows, np.float32)
    starts = np.arange(len(scores)) * (length + gap)
    return ChannelScores(None, None, starts, starts + length, scores)


def steps(*blocks: tuple[int, tuple[float, ...]], noise: float = 0.05, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    rows = np.concatenate([np.tile(row, (n, 1)) for n, row in blocks])
    rows = np.clip(rows + random.normal(0, noise, rows.shape), 0.001, None)
    return rows / rows.sum(axis=1, keepdims=True)


ANGRY, CALM = (0.8, 0.1, 0.1), (0.1, 0.1, 0.8)


def test_turning_points_lie_between_the_clips_where_scores_change():
    found = trend_of(clips(steps((12, CALM), (12, ANGRY), (12, CALM))), CLASSES, Options())
    assert [turn.time for turn in found.turns] == [60.0, 120.0]
    assert [(turn.rises, turn.falls) for turn in found.turns] == [
        ("angry", "neutral"),
        ("neutral", "angry"),
    ]
    assert found.turns[0].rise == pytest.approx(0.7, abs=0.05)
    assert [stretch.emotion for stretch in found.stretches] == ["neutral", "angry", "neutral"]


@pytest.mark.parametrize("seed", range(5))
def test_noise_alone_has_no_turning_point(seed):
    found = trend_of(clips(steps((80, CALM), noise=0.15, seed=seed)), CLASSES, Options())
    assert found.turns == ()


@pytest.mark.parametrize("before", [10, 1, 0])
@pytest.mark.parametrize("length", [5.0, 25.0])
def test_one_odd_clip_is_no_turning_point(before, length):
    blocks = [(n, row) for n, row in ((before, CALM), (1, ANGRY), (10, CALM)) if n]
    for some in (blocks, blocks[::-1]):
        assert trend_of(clips(steps(*some), length=length), CLASSES, Options()).turns == ()


def test_the_odd_one_of_three_clips_is_no_turning_point():
    assert trend_of(clips([CALM, ANGRY, CALM], length=60.0), CLASSES, Options()).turns == ()


def test_three_clips_have_the_median_of_them_and_two_their_own():
    scores = np.array([[0.1], [0.9], [0.2]])
    assert _without_odd(scores).tolist() == [[0.2]] * 3
    assert _without_odd(scores[:2]).tolist() == [[0.1], [0.9]]


def test_two_odd_clips_at_either_end_are_a_stretch():
    found = trend_of(clips(steps((2, ANGRY), (10, CALM)), length=15.0), CLASSES, Options())
    assert [turn.time for turn in found.turns] == [30.0]
    found = trend_of(clips(steps((10, CALM), (2, ANGRY)), length=15.0), CLASSES, Options())
    assert [turn.time for turn in found.turns] == [150.0]


@given(
    drawn=arrays.arrays(
        np.float64, st.tuples(st.integers(2, 9), st.just(3)), elements=st.floats(0, 1)
    ),
    penalty=st.floats(0.1, 5),
    shortest=st.integers(1, 4),
)
@options_of_hypothesis(deadline=None, max_examples=100)
def test_the_stretches_are_the_best_of_all_that_are_long_enough(drawn, penalty, shortest):
    rows, weights = drawn[:, :2], 1 + 4 * drawn[:, 2]
    n, mass = len(rows), weights / weights.mean()
    times = np.arange(n + 1.0)
    found = change_points(rows, weights, times, penalty=penalty, shortest=float(shortest))
    squares = (np.diff(rows, axis=0) ** 2).sum(axis=1)
    price = penalty * max(np.median(squares) / 1.2, 0.01) * np.log(max(n, 3))

    def cost(changes) -> float:
        edges = [0, *changes, n]
        parts = [(rows[a:b], mass[a:b]) for a, b in pairwise(edges)]
        off = [m @ ((p - np.average(p, axis=0, weights=m)) ** 2).sum(axis=1) for p, m in parts]
        return sum(off) + price * len(changes)

    every = [[i for i in range(1, n) if bits >> (i - 1) & 1] for bits in range(2 ** (n - 1))]
    long = [c for c in every if not c or min(np.diff([0, *c, n])) >= shortest]
    assert found in long
    assert cost(found) == pytest.approx(min(map(cost, long)), abs=1e-9)


def test_the_curve_is_the_kernels_mean_over_the_clips_spans():
    scored = clips(steps((3, CALM), (2, ANGRY)), length=4.0, gap=1.0)
    found = trend_of(scored, CLASSES, Options(smooth=6.0))
    fine = np.arange(0, scored.ends[-1], 0.001) + 0.0005
    inside = [(fine >= a) & (fine < b) for a, b in zip(scored.starts, scored.ends, strict=True)]
    for at in (0, 11, len(found.times) - 1):
        kernel = np.exp(-0.5 * ((fine - found.times[at]) / 6.0) ** 2)
        mass = np.array([kernel[one].sum() for one in inside])
        assert np.allclose(found.scores[at], mass @ scored.scores / mass.sum(), atol=1e-4)


def test_where_nobody_speaks_near_there_is_no_value():
    scores = np.array([CALM, ANGRY], np.float32)
    scored = ChannelScores(1, "customer", np.array([0.0, 500.0]), np.array([5.0, 505.0]), scores)
    found = trend_of(scored, CLASSES, Options(smooth=10.0))
    known = ~np.isnan(found.arousal)
    assert known[:35].all()
    assert not known[36:469].any()
    record = found.record()
    assert record["points"]["arousal"][200] is None
    assert record["points"]["arousal"][7] == round(found.arousal[7], 4)
    assert record["channel_name"] == "customer"


def test_shares_means_and_summaries_weigh_by_time():
    scored = ChannelScores(
        None, None, np.array([0.0, 3.0]), np.array([3.0, 4.0]), np.array([ANGRY, CALM], np.float32)
    )
    found = trend_of(scored, CLASSES, Options())
    assert found.share == pytest.approx({"angry": 0.75, "happy": 0.0, "neutral": 0.25})
    assert found.uncertain == 0
    unsure = trend_of(scored, CLASSES, Options(), min_confidence=scored.scores.max() + 0.01)
    assert (set(unsure.share.values()), unsure.uncertain) == ({0.0}, 1.0)
    assert (unsure.turns, unsure.stretches) == (found.turns, found.stretches)
    lowest = trend_of(scored, CLASSES, Options(), min_confidence=scored.scores.max())
    assert lowest.uncertain < 1  # a score as high as that is enough
    assert found.mean["angry"] == pytest.approx(0.75 * 0.8 + 0.25 * 0.1)
    assert found.spoken == pytest.approx(4.0)
    mean = np.array([found.mean[name] for name in CLASSES])
    assert found.mean_arousal == pytest.approx(affect(CLASSES, mean)[1])
    assert found.mean_valence < 0 < found.mean_arousal


def test_peaks_are_where_a_class_is_highest():
    rows = steps((12, CALM), (4, ANGRY), (20, CALM), (6, (0.1, 0.6, 0.3)), (6, CALM), noise=0.01)
    found = trend_of(clips(rows), CLASSES, Options(smooth=8.0))
    named = {peak.emotion: peak for peak in found.peaks}
    assert set(named) == {"angry", "happy"}
    assert named["angry"].time == pytest.approx(70.0, abs=3.0)
    assert named["happy"].time == pytest.approx(195.0, abs=3.0)


def test_one_clip_has_a_trend_without_events():
    found = trend_of(clips([ANGRY]), CLASSES, Options())
    assert (found.turns, found.peaks, len(found.stretches)) == ((), (), 1)
    assert np.allclose(found.scores, ANGRY, atol=1e-6)


def test_ten_hours_take_few_points_and_little_time():
    found = trend_of(clips(steps((3600, CALM), (3600, ANGRY))), CLASSES, Options())
    assert [turn.time for turn in found.turns] == [18_000.0]
    assert len(found.times) <= 2002


def test_what_makes_no_sense_is_refused():
    with pytest.raises(InvalidInputError, match="smoothing"):
        Options(smooth=0)
    with pytest.raises(InvalidInputError, match="span"):
        trend_of(clips([ANGRY], length=0.0), CLASSES, Options())
    assert class_called("anger", CLASSES) == "angry"
    with pytest.raises(InvalidInputError, match="no class bored; there are angry, happy, neutral"):
        class_called("bored", CLASSES)
    with pytest.raises(InvalidInputError, match=r"no class angr; did you mean angry\?"):
        class_called("angr", CLASSES)


def test_a_recording_is_found_by_id_path_and_bytes(library, tmp_path, fixed_windows):
    voice = [speak(e, speaker=1, seed=s) for e in ("anger", "sadness") for s in range(3)]
    left = np.concatenate(voice)
    stereo = np.stack([left, left[::-1]], axis=1)
    path = write_wav(tmp_path / "call.wav", stereo)
    library.settings = library.settings.model_copy(update={"window": 4.0, "segments": "fixed"})
    from emotion_search.engine.audio.channels import parse_channels

    library.ingest(
        find_audio([str(path)]).files, IngestOptions(channels=parse_channels("agent=0,customer=1"))
    )
    one = library.trend(1)
    assert [channel.channel_name for channel in one.channels] == ["agent", "customer"]
    assert one.channels[0].clips == 3
    again = library.trend(path)
    path.rename(tmp_path / "other.wav")
    moved = library.trend(tmp_path / "other.wav")
    assert list(one.records()) == list(again.records()) == list(moved.records())
    with (tmp_path / "t.csv").open("w") as out:
        write_csv(one, out)
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert lines[0].startswith("channel,channel_name,time,angry,")
    assert len(lines) == 1 + 2 * len(one.channels[0].times)
    with pytest.raises(NotFoundError, match=r"nothing\.wav is not in this archive"):
        library.trend(Path("nothing.wav"))
    with pytest.raises(NotFoundError, match="99"):
        library.trend(99)


@pytest.mark.parametrize("seconds", [1500.5, 1999.0, 1999.5, 2000.0, 2000.5, 7777.7])
def test_a_curve_has_at_most_two_thousand_points_from_start_to_end(seconds):
    found = trend_of(clips([CALM], length=seconds), CLASSES, Options())
    assert len(found.times) <= 2000
    assert (found.times[0], found.times[-1]) == (0, seconds)
    assert (np.diff(found.times) > 0).all()


def test_of_peaks_within_two_widths_of_each_other_the_highest_counts():
    curve = np.zeros((60, 1))
    curve[[10, 25, 46]] = [[0.5], [0.9], [0.4]]
    times = 100 + np.arange(60) * 2.0
    assert [p.time for p in _peaks(times, curve, ["angry"], 20.0)] == [150.0, 192.0]
    assert [p.time for p in _peaks(times, curve, ["angry"], 15.0)] == [120.0, 150.0, 192.0]

"""Trends over an archive: shares by period with intervals that hold, and alerts."""

import time
from datetime import UTC, date, datetime, timedelta
from io import StringIO

import numpy as np
import pytest
from scipy.stats import binomtest, norm
from scipy.stats import t as student
from sqlalchemy import update

from emotion_search.engine.trends.archive import archive_trend, interval, write_csv
from emotion_search.engine.trends.periods import period_after
from emotion_search.engine.trends.thresholds import parse_alert
from emotion_search.index.database.connection import Database
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.models import ModelInfo, activate_model
from emotion_search.index.database.recordings import (
    Annotations,
    NewClip,
    NewRecording,
    add_recordings,
)
from emotion_search.index.database.schema import Clip, Embedding
from emotion_search.index.database.scores import seconds_of
from emotion_search.index.errors import InvalidInputError

CLASSES = ("angry", "happy", "neutral")
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


def fill(database: Database, recordings, *, first: int = 0) -> ModelInfo:
    """Recordings as (moment, source, [(top class, seconds)]), of contents from ``first``."""
    with database.write() as session:
        model = activate_model(
            session, name="m", fingerprint="f" * 64, dimension=2, classes=CLASSES
        )
        new = []
        for number, (moment, source, clips) in enumerate(recordings, first):
            made, at = [], 0.0
            for top, seconds in clips:
                scores = np.full(3, 0.1, np.float32)
                scores[CLASSES.index(top)] = 0.8
                made.append(NewClip(None, at, at + seconds, np.ones(2, np.float32), scores))
                at += seconds
            annotations = Annotations(source=source, recorded_at=moment)
            sha = f"{number:064x}"
            new.append(NewRecording(None, f"r{number}", sha, at, 0, 1, annotations, made))
        add_recordings(session, model.id, new)
    return model


def test_shares_by_week_are_of_time(database):
    model = fill(
        database,
        [
            (MONDAY, "a", [("angry", 3.0), ("neutral", 1.0)]),
            (MONDAY + timedelta(days=6, hours=23), "b", [("happy", 4.0)]),
            (MONDAY + timedelta(days=7), "a", [("neutral", 2.0), ("angry", 0.0)]),
            (None, "a", [("angry", 5.0)]),
        ],
    )
    found = archive_trend(database, model, by="week")
    assert [bucket.key for bucket in found.buckets] == ["2026-W02", "2026-W03"]
    first = found.buckets[0]
    assert (first.recordings, first.clips, first.seconds) == (2, 3, 8.0)
    shares = {name: one.share for name, one in first.emotions.items()}
    assert shares == pytest.approx({"angry": 3 / 8, "happy": 0.5, "neutral": 1 / 8})
    assert first.emotions["angry"].mean == pytest.approx((3 * 0.8 + 5 * 0.1) / 8)
    assert (found.undated, found.timeless) == (1, 1)
    only = archive_trend(database, model, by="day", wanted=ClipFilter(sources=("a",)))
    assert [bucket.key for bucket in only.buckets] == ["2026-01-05", "2026-01-12"]
    assert [b.key for b in archive_trend(database, model, by="month").buckets] == ["2026-01"]


def test_no_second_counts_twice_where_windows_overlap(sqlite: Database):
    model = fill(sqlite, [(MONDAY, "a", [("angry", 5.0), ("neutral", 5.0)])])
    with sqlite.write() as session:  # the last window begins where the recording allows
        session.execute(update(Clip).where(Clip.id == 2).values(start=1.0, end=6.0))
    (found,) = archive_trend(sqlite, model, by="day").buckets
    assert (found.clips, found.seconds) == (2, 6.0)
    assert found.emotions["angry"].share == pytest.approx(0.5)


def test_time_that_clips_of_a_channel_share_is_divided_among_them():
    starts, ends = np.array([0.0, 4.0, 2.0, 0.0]), np.array([6.0, 8.0, 2.0, 8.0])
    one = np.zeros(4, np.int64)
    assert seconds_of(starts, ends, one).tolist() == pytest.approx([8 / 3, 5 / 3, 0.0, 11 / 3])
    assert seconds_of(starts, ends, one).sum() == 8.0
    apart = np.arange(4)  # of four channels
    assert seconds_of(starts, ends, apart).tolist() == pytest.approx([6.0, 4.0, 0.0, 8.0])


def test_clips_without_a_clear_emotion_count_apart_and_set_nothing_off(database):
    recordings = [
        (MONDAY, "a", [("angry", 3.0), ("happy", 1.0)]),
        (MONDAY, "b", [("angry", 2.0), ("happy", 2.0)]),
    ]
    model = fill(database, recordings)
    with database.write() as session:
        unsure = np.array([0.45, 0.35, 0.2], "<f4").tobytes()
        session.execute(
            update(Embedding)
            .where(Embedding.clip_id == 3)
            .values(scores=unsure, scores_crc32=None, confidence=0.45)
        )
    found = archive_trend(
        database, model, by="day", alerts=["angry>0.4"], min_confidence=float(np.float32(0.8))
    )
    (bucket,) = found.buckets
    shares = [bucket.emotions[name].share for name in CLASSES]
    assert [*shares, bucket.uncertain.share] == pytest.approx([3 / 8, 3 / 8, 0, 2 / 8])
    assert bucket.uncertain.low < 0.25 < bucket.uncertain.high
    assert bucket.emotions["angry"].mean == pytest.approx((3 * 0.8 + 3 * 0.1 + 2 * 0.45) / 8)
    assert not found.alarmed
    assert archive_trend(database, model, by="day", alerts=["angry>0.4"]).alarmed
    for alert, alarmed in (("uncertain>0.2", True), ("uncertain > 30 %", False)):
        level = float(np.float32(0.8))
        doubts = archive_trend(database, model, by="day", alerts=[alert], min_confidence=level)
        assert doubts.alarmed is alarmed
        assert bool(next(doubts.records())["alerts"]) is alarmed
    (record,) = found.records()
    assert set(record["uncertain"]) == {"share", "low", "high"}
    out = StringIO()
    write_csv(found, out)
    assert out.getvalue().splitlines()[-1].split(",")[6::4] == ["uncertain", ""]


def test_recordings_read_in_pieces_count_once(database, monkeypatch):
    recordings = [
        (MONDAY, "a", [("angry" if n % 3 else "happy", 1.0 + n % 2) for n in range(1 + r)])
        for r in range(12)
    ]
    model = fill(database, recordings)
    whole = list(archive_trend(database, model, by="day").records())
    monkeypatch.setattr("emotion_search.index.database.scores._ROWS", 5)
    assert list(archive_trend(database, model, by="day").records()) == whole
    assert whole[0]["recordings"] == 12


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    random = np.random.default_rng(0)
    hit, rounds = 0, 400
    for _ in range(rounds):
        n = 15  # recordings of 8 clips, alike within a recording; the truth is 0.3
        rates = random.beta(1.2, 2.8, n)
        x = random.binomial(8, rates).astype(float)
        d = np.full(n, 8.0)
        share = x.sum() / d.sum()
        variance = ((x - share * d) ** 2).sum() / d.sum() ** 2 * n / (n - 1)
        low, high = interval(share, variance, n, 8 * n)
        hit += low <= 0.3 <= high
    assert 0.91 <= hit / rounds <= 0.99


def test_one_recording_says_little_and_nothing_is_beyond_zero_and_one(database):
    model = fill(database, [(MONDAY, "a", [("angry", 60.0)] * 20)])
    (bucket,) = archive_trend(database, model, by="day").buckets
    angry, happy = bucket.emotions["angry"], bucket.emotions["happy"]
    assert (angry.share, angry.high, happy.share, happy.low) == (1.0, 1.0, 0.0, 0.0)
    assert angry.low < 0.3
    assert happy.high > 0.7


def test_alerts_name_the_periods_that_set_them_off(database):
    model = fill(
        database,
        [
            (MONDAY, "a", [("angry", 4.0), ("happy", 6.0)]),
            (MONDAY + timedelta(days=7), "a", [("angry", 1.0), ("happy", 9.0)]),
        ],
    )
    found = archive_trend(database, model, by="week", alerts=["anger>30%", "happy<0.5"])
    assert [[b.key for b in found.raised(alert)] for alert in found.alerts] == [["2026-W02"], []]
    assert found.alarmed
    assert [one["alerts"] for one in found.records()] == [["angry>0.3"], []]
    assert not archive_trend(database, model, by="week", alerts=["angry>0.4"]).alarmed


@pytest.mark.parametrize(
    "text",
    [
        *("angry", "angry>", "angry>3", "angry=0.3", ">0.3", "bored>0.1", "angry>.", "angry>nan"),
        *("angry<0.1>0.2", "angry>-1", "angry>=0.3", "angry>1e-1", "angry>0.3" + " " * 300),
    ],
)
def test_alerts_that_are_none_are_refused(text):
    with pytest.raises(InvalidInputError):
        parse_alert(text, CLASSES)


@pytest.mark.parametrize("text", [" angry > 30 % ", "anger>.3", "angry>0.30"])
def test_alerts_may_be_written_in_several_ways(text):
    assert parse_alert(text, CLASSES).text == "angry>0.3"


def test_an_alert_of_any_length_is_refused_at_once():
    began = time.process_time()
    with pytest.raises(InvalidInputError, match="at most 250 characters"):
        parse_alert(" " * 20_000 + "x", CLASSES)
    assert time.process_time() - began < 1


def test_models_without_classes_and_unknown_periods_are_refused(database):
    model = fill(database, [])
    with pytest.raises(InvalidInputError, match="day, week, month"):
        archive_trend(database, model, by="year")
    bare = ModelInfo(model.id, "bare", "f" * 64, 2, ())
    with pytest.raises(InvalidInputError, match="no emotion scores"):
        archive_trend(database, bare, by="day")


def test_totals_count_what_is_undated_too(database: Database):
    model = fill(
        database, [(None, None, [("angry", 3), ("happy", 1)]), (MONDAY, None, [("happy", 4)])]
    )
    trend = archive_trend(database, model, by="week")
    assert trend.total is not None
    assert (trend.total.recordings, trend.total.clips, trend.undated) == (2, 3, 2)
    assert trend.total.emotions["angry"].share == pytest.approx(3 / 8)
    assert trend.buckets[0].emotions["happy"].share == 1
    assert (
        archive_trend(database, model, by="week", wanted=ClipFilter(sources=("x",))).total is None
    )


@pytest.mark.parametrize(("successes", "n"), [(0, 7), (3, 7), (40, 100)])
def test_the_interval_of_independent_clips_is_wilsons(successes, n):
    wilson = binomtest(successes, n).proportion_ci(method="wilson")
    assert interval(successes / n, 0.0, n, n) == pytest.approx((wilson.low, wilson.high))


def test_the_interval_of_recordings_is_wilsons_for_as_many_clips_as_vary_so():
    recordings, share, draws = 5, 0.3, 20  # independent ones, corrected for few recordings
    correction = (norm.ppf(0.975) / student.ppf(0.975, recordings - 1)) ** 2
    variance = share * (1 - share) / draws * correction
    for clips in (draws, 10):  # never more draws than clips
        wilson = binomtest(round(share * min(clips, draws)), min(clips, draws))
        ends = wilson.proportion_ci(method="wilson")
        found = interval(share, variance, recordings, clips)
        assert found == pytest.approx((ends.low, ends.high))


def test_the_interval_of_a_period_is_by_how_its_recordings_differ(database):
    differing = [("a", 3.0, 1.0), ("b", 1.0, 3.0), ("c", 2.0, 2.0)]
    model = fill(database, [(MONDAY, s, [("angry", x), ("happy", y)]) for s, x, y in differing])
    (bucket,) = archive_trend(database, model, by="day").buckets
    variance = (1 + 1 + 0) / 12**2 * 3 / 2  # of a ratio of sums: squares / seconds squared
    expected = interval(0.5, variance, 3, 6)
    assert (bucket.emotions["angry"].low, bucket.emotions["angry"].high) == pytest.approx(expected)


def test_a_period_ends_where_the_next_begins(database):
    december = datetime(2026, 12, 31, 23, tzinfo=UTC)
    model = fill(database, [(december, "a", [("angry", 3.0)])])
    spans = {
        by: (bucket.start.isoformat(), bucket.end.isoformat())
        for by in ("day", "week", "month")
        for bucket in archive_trend(database, model, by=by).buckets
    }
    assert spans == {
        "day": ("2026-12-31", "2027-01-01"),
        "week": ("2026-12-28", "2027-01-04"),
        "month": ("2026-12-01", "2027-01-01"),
    }
    for by in spans:  # beyond the last day that there is
        assert period_after(date.max, by) == date.max

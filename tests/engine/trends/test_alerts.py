"""Alert rules that are kept: what sets them off, once, as recordings arrive."""

from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import update

from emotion_search.engine.trends.alerts import check, checked_rule
from emotion_search.engine.trends.archive import archive_trend, interval
from emotion_search.index.database.alerts import (
    Firing,
    NewAlert,
    add_alert,
    delete_alert,
    list_alerts,
)
from emotion_search.index.database.connection import Database
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.recordings import remove_recording
from emotion_search.index.database.schema import Embedding
from emotion_search.index.database.webhooks import add_webhook, list_deliveries
from emotion_search.index.errors import AbsentError, InvalidInputError
from tests.engine.trends.test_archive import MONDAY, fill

ANGRY, CALM = [("angry", 3.0), ("neutral", 1.0)], [("angry", 1.0), ("neutral", 3.0)]


def keep(database: Database, model: ModelInfo, **how):
    given = {"rule": "angry>0.5", "measure": "share", "window": "recording", "filters": {}} | how
    with database.write() as session:
        return add_alert(session, checked_rule(NewAlert("anger", **given), model))[0]


def checked(database: Database, model: ModelInfo, wanted: ClipFilter | None = None):
    with database.read() as session:
        (alert,) = list_alerts(session)
    check(database, model, alert, wanted or ClipFilter(), min_confidence=0.4)
    with database.read() as session:
        return list_alerts(session)[0]


def test_a_rule_is_set_off_by_recordings_that_arrive_after_it_was_made(database):
    model = fill(database, [(None, "a", ANGRY)])
    assert keep(database, model).state == "waiting"
    assert checked(database, model).checked_at is None
    fill(database, [(None, "a", CALM), (None, "a", ANGRY), (None, "b", ANGRY)], first=1)
    found = checked(database, model)
    assert found.firings == [Firing(n, None, 0.75, None, None, uncertain=0.0) for n in (4, 3)]
    assert (found.state, found.fired_at) == ("raised", found.checked_at)
    fill(database, [(None, "a", CALM)], first=4)
    later = checked(database, model)
    assert (later.state, later.firings) == ("quiet", found.firings)
    assert later.fired_at == found.fired_at < later.checked_at
    with database.write() as session:
        remove_recording(session, 3)
    assert [one.recording for one in checked(database, model).firings] == [4]


def test_a_rule_is_about_the_clips_that_pass_its_filters(database):
    model = fill(database, [(None, "a", CALM)])
    keep(database, model)
    fill(database, [(None, "a", ANGRY), (None, "b", ANGRY)], first=1)
    found = checked(database, model, ClipFilter(sources=("b",)))
    assert [one.recording for one in found.firings] == [3]
    fill(database, [(None, "a", CALM)], first=3)
    assert checked(database, model, ClipFilter(sources=("b",))).state == "raised"


def test_a_period_sets_a_rule_off_once_and_counts_all_that_is_in_it(database):
    model = fill(database, [(MONDAY, "a", CALM), (MONDAY - timedelta(days=7), "a", ANGRY)])
    keep(database, model, window="week")
    sunday = MONDAY + timedelta(days=6)
    fill(database, [(sunday, "a", [("angry", 5.0)])], first=2)
    (one,) = checked(database, model).firings
    week = {"period": "2026-W02", "start": "2026-01-05", "end": "2026-01-12"}
    assert (one.recording, one.period, one.value) == (None, week, pytest.approx(6 / 9, abs=1e-6))
    trend = archive_trend(database, model, by="week", min_confidence=0.4)
    angry = trend.buckets[-1].emotions["angry"]
    assert (one.low, one.high) == pytest.approx((angry.low, angry.high), abs=1e-6)
    assert one.low < one.value < one.high
    fill(database, [(sunday, "a", [("angry", 5.0)])], first=3)
    assert checked(database, model).firings == [one]
    fill(database, [(None, "a", CALM)], first=4)
    undated = checked(database, model)
    assert (undated.state, undated.seen) == ("raised", 5)


def test_what_sets_a_rule_off_says_how_sure_it_is_of_level_and_share(database):
    model = fill(database, [(MONDAY, "a", CALM)])
    keep(database, model, window="day", measure="level", rule="angry>0.2")
    fill(database, [(MONDAY, "a", ANGRY), (MONDAY, "a", ANGRY), (MONDAY, "b", CALM)], first=1)
    with database.write() as session:
        unsure = {"scores": np.array([0.3, 0.3, 0.4], "<f4").tobytes(), "scores_crc32": None}
        session.execute(update(Embedding).where(Embedding.clip_id == 1).values(unsure))
    with database.read() as session:
        (alert,) = list_alerts(session)
    check(database, model, alert, ClipFilter(), min_confidence=0.5)
    with database.read() as session:
        (one,) = list_alerts(session)[0].firings
    levels = np.array(
        [(0.3 + 3 * 0.1) / 4, (3 * 0.8 + 0.1) / 4, (3 * 0.8 + 0.1) / 4, (0.8 + 3 * 0.1) / 4]
    )
    assert one.value == pytest.approx(levels.mean())
    of_mean = interval(levels.mean(), levels.var(ddof=1) / 4, recordings=4, clips=8)
    assert (one.low, one.high) == pytest.approx(of_mean, abs=1e-6)
    assert one.uncertain == pytest.approx(1 / 16)


def test_a_period_counts_no_further_than_its_filter_reaches(database):
    model = fill(database, [(MONDAY, "a", CALM)])
    keep(database, model, window="week")
    moments = [MONDAY + timedelta(days=days) for days in (2, 4)]
    fill(database, list(zip(moments, "aa", (ANGRY, CALM), strict=True)), first=1)
    wanted = ClipFilter(after=MONDAY + timedelta(days=1), before=MONDAY + timedelta(days=3))
    assert [one.value for one in checked(database, model, wanted).firings] == [0.75]


def test_the_level_is_the_mean_score(database):
    model = fill(database, [(None, "a", CALM)])
    keep(database, model, measure="level", rule="angry > 60%")
    fill(database, [(None, "a", ANGRY), (None, "a", CALM)], first=1)
    (one,) = checked(database, model).firings
    assert (one.recording, one.value) == (2, pytest.approx((3 * 0.8 + 0.1) / 4))
    with pytest.raises(InvalidInputError, match="no level"):
        checked_rule(NewAlert("x", "uncertain>0.5", "level", "day", {}), model)
    with pytest.raises(AbsentError, match="no class bored"):
        checked_rule(NewAlert("x", "bored>0.5", "share", "day", {}), model)


def test_of_two_servers_that_check_the_same_one_notes_and_announces(database):
    model = fill(database, [(None, "a", CALM)])
    alert = keep(database, model)
    with database.write() as session:
        hook = add_webhook(session, "https://a.example", "whsec_", ["alert.fired"])
    fill(database, [(None, "a", ANGRY)] * 25, first=1)
    for _ in range(2):
        check(database, model, alert, ClipFilter(), min_confidence=0.4)
    with database.read() as session:
        (sent,) = list_deliveries(session, hook.id, limit=9, before_id=None)
        assert len(list_alerts(session)[0].firings) == 20
    assert '"recording": 26' in sent.body
    assert '"more": 5' in sent.body


def test_a_rule_that_the_model_no_longer_understands_says_so(database):
    model = fill(database, [(None, "a", CALM)])
    keep(database, model)
    fill(database, [(None, "a", ANGRY)], first=1)
    with database.read() as session:
        (alert,) = list_alerts(session)
    other = ModelInfo(**{**vars(model), "classes": ("sad", "happy", "neutral")})
    check(database, other, alert, ClipFilter(), min_confidence=0.4)
    with database.read() as session:
        (found,) = list_alerts(session)
    assert (found.state, found.firings, found.seen) == ("failed", [], 2)
    assert "no class angry" in found.problem
    with database.write() as session:
        delete_alert(session, alert.id)
        assert list_alerts(session) == []

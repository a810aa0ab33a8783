"""Alert rules that are kept, checked with the recordings that arrived since the last time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time

from emotion_search.engine.emotions import UNCERTAIN
from emotion_search.engine.trends.archive import Bucket, archive_trend, recording_shares
from emotion_search.engine.trends.periods import PERIODS, period_after, period_of
from emotion_search.engine.trends.thresholds import parse_alert
from emotion_search.index.database.alerts import (
    AlertDetails,
    Arrived,
    Firing,
    NewAlert,
    arrived_since,
    note_checked,
)
from emotion_search.index.database.connection import Database
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.errors import InvalidInputError, NotFoundError


def checked_rule(new: NewAlert, model: ModelInfo) -> NewAlert:
    """The rule, with the name that the model has for its emotion.

    Raises:
        InvalidInputError: it is none; what is uncertain has a share and no level.
        NotFoundError, AbsentError: its emotion is none of the model's.
    """
    alert = parse_alert(new.rule, model.classes)
    if new.measure == "level" and alert.emotion == UNCERTAIN:
        raise InvalidInputError("what is uncertain has a share of time and no level")
    return replace(new, rule=alert.text)


def check(
    database: Database,
    model: ModelInfo,
    alert: AlertDetails,
    wanted: ClipFilter,
    *,
    min_confidence: float,
) -> None:
    """Check a rule with the recordings that arrived since, or the periods that they are in, and
    note what sets it off.

    Args:
        wanted: which clips it is about.
        min_confidence: below, a clip counts as uncertain.
    """
    with database.read() as session:
        arrived = arrived_since(session, alert.seen)
    if arrived is None:
        return
    problem, raised, found = None, None, []
    try:
        rule = parse_alert(alert.rule, model.classes)
        for recording, bucket in _buckets(database, model, alert, arrived, wanted, min_confidence):
            share = bucket.share_of(rule.emotion)
            value, low, high = share.share, share.low, share.high
            if alert.measure == "level":
                value, low, high = share.mean or 0.0, share.mean_low or 0.0, share.mean_high or 0.0
            raised = rule.holds(value)
            if raised:
                about = {"value": value, "uncertain": bucket.uncertain.share}
                if recording is None:
                    about |= {"low": low, "high": high}
                rounded = {name: round(number, 6) for name, number in about.items()}
                period = {"period": bucket.key, "start": str(bucket.start), "end": str(bucket.end)}
                found.append(Firing(recording, None if recording else period, **rounded))
    except (InvalidInputError, NotFoundError) as error:  # of another model, say
        problem, raised, found = str(error), None, []
    with database.write() as session:
        note_checked(session, alert, seen=arrived.last, raised=raised, found=found, problem=problem)


def _buckets(
    database: Database,
    model: ModelInfo,
    alert: AlertDetails,
    arrived: Arrived,
    wanted: ClipFilter,
    min_confidence: float,
) -> Iterator[tuple[int | None, Bucket]]:
    """What a rule is to be checked with: recordings, or periods without their ids."""
    if alert.window not in PERIODS:
        for recording, bucket in recording_shares(
            database, model, wanted, min_confidence=min_confidence, after_id=alert.seen
        ):
            if recording <= arrived.last:
                yield recording, bucket
    elif arrived.earliest is not None and arrived.latest is not None:
        begin = _midnight(period_of(arrived.earliest, alert.window))
        end = _midnight(period_after(period_of(arrived.latest, alert.window), alert.window))
        within = replace(
            wanted, after=max(begin, wanted.after or begin), before=min(end, wanted.before or end)
        )
        trend = archive_trend(
            database, model, by=alert.window, wanted=within, min_confidence=min_confidence
        )
        yield from ((None, one) for one in trend.buckets)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)

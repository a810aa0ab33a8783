"""Days, weeks and months of a trend, in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

PERIODS = ("day", "week", "month")


def period_of(moment: datetime, by: str) -> date:
    """The first day, in UTC, of the period that a moment is in."""
    day = moment.astimezone(UTC).date()
    if by == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if by == "month" else day


def period_after(start: date, by: str) -> date:
    """The first day after the period that begins on a day."""
    try:
        if by == "month":
            return (start + timedelta(days=32)).replace(day=1)
        return start + timedelta(days=7 if by == "week" else 1)
    except OverflowError:  # in the year 9999
        return date.max


def key_of(start: date, by: str) -> str:
    """What a period is called: ``2026-01-31``, ``2026-W05`` (ISO week) or ``2026-01``."""
    if by == "week":
        year, week, _ = start.isocalendar()
        return f"{year}-W{week:02}"
    return start.isoformat()[: 7 if by == "month" else 10]

"""A system's clock that jumps erases nothing, and takes nothing down."""

import time
from types import SimpleNamespace

import pytest

from emotion_search.engine.library.library import Library
from emotion_search.engine.service.retention import Retention
from emotion_search.engine.service.watch import Watch
from emotion_search.engine.settings import Settings

DAY, HOUR = 86_400, 3600
NOW = time.time


def jump(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW() + seconds)


@pytest.mark.parametrize("seconds", [DAY, -HOUR])
def test_nothing_is_erased_for_its_age_until_the_clock_runs_evenly(monkeypatch, caplog, seconds):
    calls: list[int] = []
    retention = Retention(SimpleNamespace(forget_expired=lambda: calls.append(1)))
    retention.apply()
    jump(monkeypatch, seconds)
    retention.apply()
    assert (calls, "clock jumped" in caplog.text) == ([1], True)
    retention.apply()
    assert calls == [1, 1]


def test_small_corrections_of_the_clock_are_no_jump(monkeypatch):
    calls: list[int] = []
    retention = Retention(SimpleNamespace(forget_expired=lambda: calls.append(1)))
    jump(monkeypatch, 20)
    retention.apply()
    assert calls == [1]


@pytest.mark.parametrize("seconds", [DAY, -HOUR])
def test_a_database_that_answered_is_up_whatever_the_clock_says(
    sqlite_settings: Settings, monkeypatch, seconds
):
    with Library.open(sqlite_settings, create=True) as library:
        watch = Watch(library)
        watch.check()
    jump(monkeypatch, seconds)
    assert watch.is_up

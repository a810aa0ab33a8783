"""Work that a server does now and then goes on, whatever one of its calls meets."""

import threading

from emotion_search.engine.service.alerts import Alerts
from emotion_search.engine.service.upkeep import Upkeep
from emotion_search.index.database.alerts import NewAlert
from emotion_search.index.errors import InvalidInputError


def test_a_call_that_fails_ends_no_other(caplog):
    again = threading.Event()
    failed: list[int] = []

    def fail() -> None:
        failed.append(1)
        raise KeyError("a damaged row")

    upkeep = Upkeep({fail: 0.01, lambda: len(failed) > 1 and again.set(): 0.02})
    upkeep.start()
    assert again.wait(10)
    upkeep.stop()
    assert "a damaged row" in caplog.text


def test_a_rule_that_cannot_be_read_leaves_the_others_checked(filled, caplog):
    def wanted(filters):
        asked.append(filters)
        raise (ValueError, InvalidInputError)[len(asked) - 1]("no filter")

    asked: list[object] = []
    alerts = Alerts(filled, wanted)
    for name in ("one", "two"):
        alerts.add(NewAlert(name, "angry>0.5", "share", "recording", {}))
    alerts.check()
    assert len(asked) == 2
    assert caplog.text.count("cannot be checked: no filter") == 2

"""Whether a server's database is up, and what it and the disk hold, for metrics: seen by a thread
of its own, so that who asks never waits for the database."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from emotion_search.engine.archive.disk_use import DiskUse
from emotion_search.engine.library.library import Library
from emotion_search.engine.service.upkeep import Upkeep
from emotion_search.index.database.jobs import count_failed
from emotion_search.index.database.webhooks import DeliveryCounts, count_deliveries
from emotion_search.index.errors import EmotionSearchError

log = logging.getLogger(__name__)

CHECK_S, MEASURE_S = 5.0, 60.0
_SILENT_S = 4 * CHECK_S  # after which a look that has not come back counts as none


@dataclass(frozen=True)
class Seen:
    """What the last look at the database found.

    Attributes:
        at: on the monotonic clock.
        seconds: that it took.
        failed: uploads that failed in the last days, see ``engine.service.jobs.KEPT``.
        deliveries: of webhooks, by what became of them.
    """

    at: float
    seconds: float
    failed: int
    deliveries: DeliveryCounts


class Watch:
    """Looks at a library's database now and then.

    Attributes:
        seen: by the last look that succeeded; None before.
        disk: what the archive took a minute ago; None before.
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._failing = False
        self.seen: Seen | None = None
        self.disk: DiskUse | None = None
        self._upkeep = Upkeep({self.check: CHECK_S, self.measure: MEASURE_S})

    def start(self) -> None:
        """Look, and go on to."""
        self.check()
        self.measure()
        self._upkeep.start()

    def stop(self) -> None:
        """Look no more."""
        self._upkeep.stop()

    @property
    def is_up(self) -> bool:
        """Whether the database answered the last time, not long ago."""
        seen = self.seen
        return not self._failing and seen is not None and time.monotonic() - seen.at < _SILENT_S

    def check(self) -> None:
        """Ask the database; what keeps it from answering is logged once."""
        began = time.monotonic()
        try:
            with self._library.database.read() as session:
                failed, deliveries = count_failed(session), count_deliveries(session)
        except EmotionSearchError as error:
            if not self._failing:
                log.warning("%s", error)
            self._failing = True
            return
        if self._failing:
            log.info("the database answers again")
        self._failing = False
        self.seen = Seen(time.monotonic(), time.monotonic() - began, failed, deliveries)

    def measure(self) -> None:
        """Look at the disk."""
        if not self._failing:
            self.disk = self._library.disk_use()

"""Alert rules of a server: kept, listed, and checked once recordings have arrived."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from emotion_search.engine.library.library import Library
from emotion_search.engine.trends.alerts import check, checked_rule
from emotion_search.index.database.alerts import AlertDetails, NewAlert, add_alert
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.errors import DOUBTFUL, InvalidInputError, NotFoundError

log = logging.getLogger(__name__)

CHECK_S = 2.0
"""Seconds from one check to the next."""
_REST = 10.0  # how many times as long as it took a check lets others have the machine


class Alerts:
    """The rules of an archive. Safe for use from several threads, ``check`` from one.

    Args:
        wanted: the filter that a rule's filters in plain data mean.
    """

    def __init__(self, library: Library, wanted: Callable[[Mapping[str, Any]], ClipFilter]) -> None:
        self._library = library
        self._wanted = wanted
        self._rest_until = 0.0

    def add(self, new: NewAlert) -> tuple[AlertDetails, bool]:
        """Keep a rule, about recordings to come; whether it is new: it may be kept already.

        Raises:
            NotFoundError: the archive is empty, or its model has no such emotion.
            InvalidInputError: it is no rule, or another has its name.
        """
        model = self._library.model()
        if model is None:
            raise NotFoundError("the archive is empty: its model, and so its emotions, come first")
        new = checked_rule(new, model)
        with self._library.database.write() as session:
            return add_alert(session, new)

    def check(self) -> None:
        """Check the rules with what arrived since; does nothing soon after it took long."""
        began = time.monotonic()
        model = self._library.model() if began >= self._rest_until else None
        if model is None:
            return
        for one in self._library.alerts():
            try:
                check(
                    self._library.database,
                    model,
                    one,
                    self._wanted(one.filters),
                    min_confidence=self._library.settings.min_confidence,
                )
            except (*DOUBTFUL, InvalidInputError) as error:  # of a damaged row, or an old filter
                log.warning("alert %s cannot be checked: %s", one.id, error)
        self._rest_until = time.monotonic() + _REST * (time.monotonic() - began)

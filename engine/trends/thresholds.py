"""Alerts of a trend: thresholds of the share of an emotion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from emotion_search.engine.emotions import UNCERTAIN, class_called
from emotion_search.index.errors import InvalidInputError

LONGEST_ALERT = 250
"""Most characters of an alert."""


@dataclass(frozen=True)
class Alert:
    """A threshold: the share of ``emotion``, a class or ``uncertain``, above it, or below."""

    emotion: str
    above: bool
    threshold: float

    @property
    def text(self) -> str:
        """As it is asked for."""
        number = Decimal(f"{self.threshold:g}")  # without an exponent, which no alert has
        return f"{self.emotion}{'>' if self.above else '<'}{number:f}"

    def holds(self, share: float) -> bool:
        """Whether a share sets it off."""
        return share > self.threshold if self.above else share < self.threshold


def parse_alert(text: str, classes: Sequence[str]) -> Alert:
    """An alert such as ``angry>0.3``, ``anger > 30%``, ``happy<0.05`` or ``uncertain>0.5``.

    Raises:
        InvalidInputError: it is none, or its class is none of the model's.
    """
    sign = ">" if ">" in text else "<"
    emotion, _, share = (part.strip() for part in text.partition(sign))
    number = share.removesuffix("%").rstrip()
    digits = number.replace(".", "", 1)
    is_number = digits.isascii() and digits.isdecimal()
    strange = not is_number or not emotion or set(emotion) & set("<=>")
    if strange or len(text) > LONGEST_ALERT:
        raise InvalidInputError(
            f"alert {text[:LONGEST_ALERT]!r}: write EMOTION>SHARE, such as 'angry>0.3', in at most"
            f" {LONGEST_ALERT} characters"
        )
    threshold = float(number) / (100 if share.endswith("%") else 1)
    if threshold > 1:
        raise InvalidInputError(f"alert {text!r}: a share is 0 to 1, or 0% to 100%")
    return Alert(class_called(emotion, (*classes, UNCERTAIN)), sign == ">", threshold)

"""Sort order of clips: by time, length, score or the score of one emotion, a page at a time."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from emotion_search.index.database.affect import DIMENSIONS
from emotion_search.index.database.column_rows import NEVER, Mask
from emotion_search.index.database.columns import Columns
from emotion_search.index.database.emotion_names import common
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.errors import AbsentError, InvalidInputError
from emotion_search.index.vectors.arrays import Ids

KEYS = ("score", "recorded_at", "duration", *DIMENSIONS)
"""What clips can be sorted by, beside the classes of the model."""

Keys = NDArray[np.float64]


@dataclass(frozen=True)
class Order:
    """A page of clips in an order; ties go by clip id, and what is not known comes last.

    Attributes:
        by: one of ``KEYS`` (``score`` is that of the class scored highest), or a class of the model
            by any of its names: that class's own score, whichever is highest.
        ascending: least first.
        limit: most clips.
        after: what the page before gave as ``next``; None for the first page.
        per_recording: most clips of one recording, of one page alone; None for no matter.
    """

    by: str
    ascending: bool = False
    limit: int = 100
    after: str | None = None
    per_recording: int | None = None

    def __post_init__(self) -> None:
        """Refuse what gives no clips.

        Raises:
            InvalidInputError: a number below 1.
        """
        for name in ("limit", "per_recording"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise InvalidInputError(f"{name} must be at least 1, not {number}")


def ordered(
    session: Session, model: ModelInfo, columns: Columns, wanted: ClipFilter, order: Order
) -> tuple[Ids, Keys, str | None]:
    """Ids of the clips of a page, what each was sorted by (float64; NaN where that is not known,
    times as microseconds since 1970), and the ``after`` of the next page; None on the last.

    Raises:
        InvalidInputError: there is nothing of that name to sort by, or ``after`` is none.
    """
    keys = _keys(session, model, columns, order.by)
    passes = columns.passing(session, wanted)
    if order.after is not None:
        passes &= _beyond(keys, columns.ids, order)
    rows = np.flatnonzero(passes)
    ranks = keys[rows] if order.ascending else -keys[rows]
    if order.per_recording is None and len(rows) > order.limit:
        # One more than are asked for, which says whether there is another page, and its ties
        last = np.partition(ranks, order.limit)[order.limit]
        near = (ranks <= last) | math.isnan(last)
        rows, ranks = rows[near], ranks[near]
    rows = rows[np.argsort(ranks, kind="stable")]
    if order.per_recording is not None:
        rows = _few_of_each(rows, columns["recording"], order.per_recording, order.limit)
    page = rows[: order.limit]
    following = None
    if len(rows) > order.limit:
        following = f"{_tag(order)},{keys[page[-1]].item()!r},{columns.ids[page[-1]]}"
    return columns.ids[page], keys[page], following


def _keys(session: Session, model: ModelInfo, columns: Columns, by: str) -> Keys:
    """What every clip is sorted by: float64, (n,)."""
    if by == "recorded_at":
        at = columns["recorded_at"]
        return np.where(at == NEVER, np.nan, at)
    if by == "score" and not model.classes:
        raise AbsentError(f"{model.name} gives no scores to sort by")
    if by in DIMENSIONS:
        keys = columns.affect(session, by)
        if not model.classes and np.isnan(keys).all():
            raise AbsentError(f"{model.name} gives neither {by} nor scores to derive it from")
        return keys
    if by in KEYS:
        return columns["confidence" if by == "score" else by]
    named = [common(one) for one in model.classes]
    if common(by) in named:
        scores = columns.scores(session)[:, named.index(common(by))]
        return scores.astype(np.float64)
    raise AbsentError(
        f"clips cannot be sorted by {by}; choose one of {', '.join((*KEYS, *model.classes))}"
    )


def _beyond(keys: Keys, ids: Ids, order: Order) -> Mask:
    """Which clips come after a page."""
    assert order.after is not None
    try:
        tag, text, number = order.after.split(",")
        key, last = float(text), int(number)
    except ValueError:
        tag = ""
    if tag != _tag(order):
        raise AbsentError(
            f"{order.after} is no place in a list sorted so: give the next of the page before"
        )
    if math.isnan(key):
        return np.isnan(keys) & (ids > last)
    further: Mask = keys > key if order.ascending else keys < key
    further |= np.isnan(keys) | ((keys == key) & (ids > last))
    return further


def _tag(order: Order) -> str:
    """Begins a place in a list, so that it is none in a list of another order."""
    return f"{crc32(f'{common(order.by)} {order.ascending}'.encode()):08x}"


def _few_of_each(
    rows: NDArray[np.intp], recordings: Ids, most: int, limit: int
) -> NDArray[np.intp]:
    """The first rows, up to ``limit``, with no more than ``most`` of a recording."""
    seen: Counter[int] = Counter()
    kept = []
    for row, recording in zip(rows.tolist(), recordings[rows].tolist(), strict=True):
        seen[recording] += 1
        if seen[recording] <= most:
            kept.append(row)
            if len(kept) == limit:
                break
    return np.array(kept, np.intp)

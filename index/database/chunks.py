"""Chunked id lists: both databases limit the bound parameters of a statement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from emotion_search.index.database.schema import Clip

_Item = TypeVar("_Item")


def chunks(items: Sequence[_Item], size: int = 500) -> Iterator[Sequence[_Item]]:
    """The items, so many at a time."""
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]


def known_clips(session: Session, ids: Sequence[int]) -> set[int]:
    """Those of the ids that are clips of the archive."""
    return {
        clip
        for some in chunks(ids)
        for clip in session.scalars(select(Clip.id).where(Clip.id.in_(some)))
    }

"""Recordings whose emotion turned most, for the dashboard's overview."""

from __future__ import annotations

from typing import Any

from emotion_search.engine.api.wire.recordings import recording_out
from emotion_search.engine.emotions import PLAIN
from emotion_search.engine.library.library import Library
from emotion_search.index.database.emotion_names import common
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.errors import InvalidInputError, NotFoundError

_RECENT = 200  # recordings that are looked through for turns
_SHOWN = 8


def turned_most(library: Library) -> dict[str, Any]:
    """Of the latest 200 recordings those in which an emotion, other than neutral, rose most at a
    turning point: that turn of each, with its channel, the largest rise first, as ``data``; how
    many were looked through as ``of``."""
    recent, _ = library.find_recordings(ClipFilter(), limit=_RECENT)
    turns = []
    for one in recent:
        try:
            channels = library.trend(one.id).channels
        except (NotFoundError, InvalidInputError):  # without clips, or without scores
            continue
        best = max(
            (
                (turn, channel)
                for channel in channels
                for turn in channel.turns
                if common(turn.rises) not in PLAIN
            ),
            key=lambda pair: pair[0].rise,
            default=None,
        )
        if best is not None:
            turn, channel = best
            recording = recording_out(one).model_dump(mode="json")
            turns.append({**recording, "turn": vars(turn), "channel_name": channel.channel_name})
    turns.sort(key=lambda one: -one["turn"]["rise"])
    return {"data": turns[:_SHOWN], "of": len(recent)}

"""Recordings whose emotion turned most, and the angriest, for the dashboard's overview."""

from __future__ import annotations

from typing import Any

from emotion_search.engine.api.wire.recordings import recording_out
from emotion_search.engine.emotions import PLAIN
from emotion_search.engine.library.library import Library
from emotion_search.index.database.emotion_names import common
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.errors import InvalidInputError, NotFoundError

_RECENT = 200  # recordings that are looked through for turns
_SHOWN = 6
_ANGRY = common("angry")


def turned_most(library: Library) -> dict[str, Any]:
    """Of the latest 200 recordings those in which an emotion, other than neutral, rose most at a
    turning point: that turn of each, with its channel, the largest rise first, as ``data``; those
    with the angriest stretch between turning points, where anger is on top, as ``angriest``; how
    many were looked through as ``of``."""
    recent, _ = library.find_recordings(ClipFilter(), limit=_RECENT)
    turns, angry = [], []
    for one in recent:
        try:
            channels = library.trend(one.id).channels
        except (NotFoundError, InvalidInputError):  # without clips, or without scores
            continue
        recording = recording_out(one).model_dump(mode="json")
        worst = max(
            (
                (stretch, channel)
                for channel in channels
                for stretch in channel.stretches
                if common(stretch.emotion) == _ANGRY
            ),
            key=lambda pair: pair[0].scores[pair[0].emotion],
            default=None,
        )
        if worst is not None:
            stretch, channel = worst
            found = {**recording, "stretch": vars(stretch), "channel_name": channel.channel_name}
            angry.append(found)
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
            turns.append({**recording, "turn": vars(turn), "channel_name": channel.channel_name})
    turns.sort(key=lambda one: -one["turn"]["rise"])
    angry.sort(key=lambda one: -one["stretch"]["scores"][one["stretch"]["emotion"]])
    return {"data": turns[:_SHOWN], "angriest": angry[:_SHOWN], "of": len(recent)}

"""Class scores of clips, as arrays: of one recording, or streamed over the archive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from emotion_search.index.database.embeddings import as_arrays
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.matching import matching
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.schema import Clip, Embedding, Recording

_ROWS = 10_000  # read at a time
_MOST_CHANNELS = 1 << 16
_SPAN = Clip.start, Clip.end
_SCORES = Embedding.clip_id, Embedding.scores, Embedding.scores_crc32
_SCORED = Embedding.emotion.is_not(None)  # else of a version that stored no scores


@dataclass(frozen=True, eq=False)
class ChannelScores:
    """The scored clips of one channel of a recording, by their start.

    Attributes:
        channel, channel_name: None for all channels mixed down; what it is called.
        starts, ends: float64, (n,), seconds.
        scores: float32, (n, classes).
    """

    channel: int | None
    channel_name: str | None
    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    scores: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ScoredClips:
    """Some clips of the archive with what a trend needs; those of a recording are consecutive.

    Attributes:
        recordings: int64, (n,).
        recorded_at: when each recording was; None where that is not known.
        seconds: float64, (n,), of the clips; see ``seconds_of``.
        scores: float32, (n, classes).
    """

    recordings: NDArray[np.int64]
    recorded_at: list[datetime | None]
    seconds: NDArray[np.float64]
    scores: NDArray[np.float32]


def scores_of_recording(
    session: Session, model: ModelInfo, recording_id: int
) -> list[ChannelScores]:
    """The scored clips of a recording, channel by channel; none where the model has no classes."""
    rows = session.execute(
        select(Clip.channel, Clip.channel_name, Clip.start, Clip.end, *_SCORES)
        .join(Embedding, Embedding.clip_id == Clip.id)
        .where(Clip.recording_id == recording_id, Embedding.model_id == model.id, _SCORED)
        .order_by(Clip.start, Clip.end, Clip.id)
    ).all()
    channels: dict[int | None, list[int]] = {}
    for number, row in enumerate(rows):
        channels.setdefault(row[0], []).append(number)
    width = len(model.classes)
    found = []
    for channel, chosen in sorted(
        channels.items(), key=lambda pair: -1 if pair[0] is None else pair[0]
    ):
        if channel is not None and not (isinstance(channel, int) and channel >= 0):
            raise ValueError(f"channel {channel!r}")
        own = [rows[i] for i in chosen]
        found.append(
            ChannelScores(
                channel,
                next((row[1] for row in own if row[1]), None),
                *_spans([row[2] for row in own], [row[3] for row in own]),
                as_arrays([row[4:] for row in own], width)[1],
            )
        )
    return found


def stream_scores(
    session: Session, model: ModelInfo, wanted: ClipFilter, *, after_id: int = 0
) -> Iterator[ScoredClips]:
    """The scored clips that pass the filter, by recording, some thousands at a time; of recordings
    with ids beyond ``after_id``."""
    query = (
        matching(wanted)
        .with_only_columns(Clip.recording_id, Recording.recorded_at, Clip.channel, *_SPAN, *_SCORES)
        .join(Embedding, Embedding.clip_id == Clip.id)
        .where(Embedding.model_id == model.id, _SCORED)
        .order_by(Clip.recording_id, Clip.id)
        .execution_options(yield_per=_ROWS)
    )
    if after_id:
        query = query.where(Clip.recording_id > after_id)
    width = len(model.classes)
    for rows in session.execute(query).partitions():
        recordings, moments, channels, starts, ends, *scores = zip(*rows, strict=True)
        known = np.array(recordings, dtype=np.int64)
        sides = np.array([-1 if one is None else one for one in channels], dtype=np.int64)
        yield ScoredClips(
            known,
            list(moments),
            seconds_of(*_spans(starts, ends), known * _MOST_CHANNELS + sides),
            as_arrays(list(zip(*scores, strict=True)), width)[1],
        )


def seconds_of(
    starts: NDArray[np.float64], ends: NDArray[np.float64], groups: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """The time of each clip, float64 (n,), of which what several clips of a group (of one channel)
    cover is divided among them, so that no second of it counts twice: windows overlap, the last one
    of a recording most."""
    if groups is not None:  # one after the other
        after = np.unique(groups, return_inverse=True)[1] * (ends.max(initial=0.0) + 1.0)
        starts, ends = starts + after, ends + after
    edges = np.unique(np.concatenate([starts, ends]))
    first, last = np.searchsorted(edges, starts), np.searchsorted(edges, ends)
    begun, over = (np.bincount(one, minlength=len(edges)) for one in (first, last))
    at_once = np.maximum(np.cumsum(begun - over), 1)[:-1]
    until = np.concatenate([[0.0], np.cumsum(np.diff(edges) / at_once)])
    return np.asarray(until[last] - until[first])


def _spans(
    starts: Sequence[float], ends: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    begin, end = np.array(starts, dtype=np.float64), np.array(ends, dtype=np.float64)
    if not ((begin >= 0) & (begin <= end) & (end < np.inf)).all():
        raise ValueError("spans that cannot be")
    return begin, end

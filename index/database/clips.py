"""Reading clips: details, pages, vectors."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from types import NoneType
from typing import Any

import numpy as np
from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from emotion_search.index.database.affect import DIMENSIONS, follows
from emotion_search.index.database.embeddings import (
    check_bytes,
    embeddings_by_id,
    embeddings_in_order,
)
from emotion_search.index.database.files import gone
from emotion_search.index.database.filters import EMOTION, ClipFilter
from emotion_search.index.database.matching import matching
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.schema import Clip, Embedding, Metadatum
from emotion_search.index.database.schema.values import HASH_DIGITS, ROUNDED
from emotion_search.index.database.wrong_values import PLAY_S
from emotion_search.index.errors import DatabaseError, NotFoundError
from emotion_search.index.vectors.arrays import Vectors


@dataclass(frozen=True)
class ClipDetails:
    """A clip with what is known about it and its recording.

    Attributes:
        id, recording_id: in the archive.
        name: file name of the recording when it came.
        channel: counted from 0; None for all channels mixed down.
        channel_name: what it was called when it came, such as customer.
        start, end: span in the recording, seconds.
        path: where its bytes lie; None when no known place is left.
        labels: value by task.
        scores: by emotion class, from the model; empty if it gives none.
        affect: valence, arousal and dominance, -1 to 1, by the model itself or derived from the
            scores; empty if it has neither.
        predictions: value and probability by task, from classifiers.
    """

    id: int
    recording_id: int
    name: str
    sha256: str
    source: str | None
    speaker: str | None
    recorded_at: datetime | None
    channel: int | None
    channel_name: str | None
    start: float
    end: float
    path: str | None
    labels: Mapping[str, str]
    metadata: Mapping[str, str]
    scores: Mapping[str, float]
    affect: Mapping[str, float] = field(default_factory=dict)
    predictions: Mapping[str, tuple[str, float]] = field(default_factory=dict)

    @property
    def label(self) -> str | None:
        """What a person labelled the emotion as."""
        return self.labels.get(EMOTION)

    @property
    def emotion(self) -> str | None:
        """The class that the model scores highest; None if it gives no scores."""
        return max(self.scores, key=self.scores.__getitem__, default=None)

    @property
    def derived(self) -> bool:
        """Whether ``affect`` follows from the scores; else it is of the model's own."""
        return follows(self.affect, self.scores)

    @property
    def confidence(self) -> float | None:
        """Its score, 0 to 1."""
        return max(self.scores.values(), default=None)


_PLAIN: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("id", "recording_id"), int),
    **dict.fromkeys(("name", "sha256"), str),
    **dict.fromkeys(("source", "speaker"), (str, NoneType)),
    "channel": (int, NoneType),
    "channel_name": (str, NoneType),
    **dict.fromkeys(("start", "end"), float),
}
"""The first columns that ``_details`` asks for, and what they are."""


def list_clips(
    session: Session,
    model: ModelInfo | None,
    wanted: ClipFilter | None = None,
    *,
    limit: int = 100,
    after_id: int = 0,
) -> list[ClipDetails]:
    """Up to ``limit`` clips that pass the filter, by ascending id from beyond ``after_id``."""
    page = matching(wanted or ClipFilter()).where(Clip.id > after_id).order_by(Clip.id).limit(limit)
    return clip_details(session, model, session.scalars(page).all())


def get_clip(session: Session, model: ModelInfo | None, clip_id: int) -> ClipDetails:
    """One clip.

    Raises:
        NotFoundError: no such clip.
    """
    found = clip_details(session, model, [clip_id])
    if not found:
        raise NotFoundError(f"no clip {clip_id} in this archive")
    return found[0]


def clip_details(
    session: Session, model: ModelInfo | None, ids: Sequence[int]
) -> list[ClipDetails]:
    """The clips with these ids, in the order of ``ids``; unknown ones are left out."""
    if not ids:
        return []
    sqlite = session.get_bind().dialect.name == "sqlite"
    of_model = model.id if model else None
    rows = session.connection().exec_driver_sql(
        _details(sqlite), (of_model, json.dumps(list(ids)) if sqlite else list(ids))
    )
    classes = model.classes if model else ()
    found = {}
    for *plain, at, paths, labels, metadata, scores, checksum, v, a, d, predictions in rows.all():
        *plain, duration, channels, rate = plain
        clip = ClipDetails(
            **dict(zip(_PLAIN, plain, strict=True)),
            recorded_at=_moment(at),
            path=_present(sorted(path for (path,) in _parsed(paths))),
            labels=dict(_parsed(labels)),
            metadata=dict(sorted(_parsed(metadata))),
            scores=_named(plain[0], classes, scores, checksum),
            affect={} if v is None else dict(zip(DIMENSIONS, map(float, (v, a, d)), strict=True)),
            predictions={task: (value, float(p)) for task, value, p in _parsed(predictions)},
        )
        typed = all(map(isinstance, plain, _PLAIN.values()))
        known = (duration, channels) if rate else (math.inf, math.inf)
        if not (typed and _can_be(clip, *known)):
            raise DatabaseError(
                f"clip {clip.id} is damaged; see how, and the cure: emotion-search check"
            )
        found[clip.id] = clip
    return [found[clip] for clip in ids if clip in found]


def clips_of(session: Session, recording_id: int) -> list[int]:
    """Ids of the recording's clips, in time order."""
    query = select(Clip.id).where(Clip.recording_id == recording_id)
    return list(session.scalars(query.order_by(Clip.start, Clip.channel, Clip.id)))


def overlapping_clips(
    session: Session, recording_id: int, start: float, end: float, channel: int | None
) -> dict[int, float]:
    """Ids of the clips of a recording that overlap a span (seconds; ``end`` may be infinite), of a
    channel or (None) of any, ascending, and the seconds for which each does."""
    query = select(Clip.id, Clip.start, Clip.end).where(
        Clip.recording_id == recording_id,
        Clip.start < min(end, 1e300),  # no database takes infinity
        Clip.end > start,
    )
    if channel is not None:
        query = query.where(Clip.channel == channel)
    return {
        clip: min(ends, end) - max(starts, start)
        for clip, starts, ends in session.execute(query.order_by(Clip.id))
    }


def metadata_of(session: Session, recordings: Collection[int]) -> dict[int, dict[str, str]]:
    """Keys and values of each of some recordings that have any, by key."""
    found: dict[int, dict[str, str]] = {}
    for recording, key, value in session.execute(
        select(Metadatum.recording_id, Metadatum.key, Metadatum.value)
        .where(Metadatum.recording_id.in_(recordings))
        .order_by(Metadatum.key)
    ):
        found.setdefault(recording, {})[key] = value
    return found


def vectors_of(session: Session, model: ModelInfo, ids: Sequence[int]) -> Vectors:
    """Embeddings of the clips ``ids``, as stored: float32, (len(ids), dim).

    Raises:
        NotFoundError: a clip is not there, or has no embedding under this model.
    """
    known, stored = embeddings_by_id(session, model, np.array(ids, np.int64))
    rows = {clip_id: row for row, clip_id in enumerate(known.tolist())}
    for clip_id in ids:
        if clip_id not in rows:
            raise NotFoundError(
                f"clip {clip_id} has no embedding of {model.name}; fill it in with: emotion-search"
                f" reembed --model {model.name}"
            )
    return stored[[rows[clip_id] for clip_id in ids]]


@cache
def _details(sqlite: bool) -> str:
    """The statement for all that is known of some clips, which searches ask at each call, so that
    it goes past SQLAlchemy; its parameters are a model and ids. What there may be several of comes
    as JSON."""
    # Probabilities as text, for SQLite's JSON has 15 digits.
    array, pack, digits, among, value = (
        (
            "json_group_array",
            "json_array",
            "printf('%!.17g', probability)",
            "IN (SELECT value FROM json_each(?))",
            "?",
        )
        if sqlite
        else ("json_agg", "json_build_array", "probability::text", "= ANY(%s)", "%s")
    )

    def several(columns: str, table: str, key: str) -> str:
        return f"(SELECT {array}({pack}({columns})) FROM {table} WHERE {key})"  # noqa: S608

    return f"""
        SELECT c.id, c.recording_id, r.name, r.sha256, r.source, coalesce(c.speaker, r.speaker),
            c.channel, c.channel_name, c.start_s, c.end_s,
            r.duration, r.channels, r.sample_rate, r.recorded_at,
            {several("path", "locations", "recording_id = r.id")},
            {several("task, value", "labels", "clip_id = c.id")},
            {several("key, value", "recording_metadata", "recording_id = r.id")},
            e.scores, e.scores_crc32, e.valence, e.arousal, e.dominance,
            {several(f"task, value, {digits}", "predictions", "clip_id = c.id")}
        FROM clips c
        JOIN recordings r ON r.id = c.recording_id
        LEFT JOIN embeddings e ON e.clip_id = c.id AND e.model_id = {value}
        WHERE c.id {among}
    """  # noqa: S608 - of constants


def _can_be(clip: ClipDetails, duration: float, channels: float) -> bool:
    """Whether a clip, of a recording of this length and so many channels, has none of the values
    that ``wrong_values`` tells of."""
    texts = [clip.name, *clip.labels, *clip.labels.values(), *clip.metadata, *clip.predictions]
    texts += [one for one in (clip.source, clip.speaker, clip.channel_name) if one is not None]
    texts += [value for value, _ in clip.predictions.values()]
    return (
        0 <= clip.start <= clip.end <= duration + PLAY_S
        and clip.end < math.inf
        and (clip.channel is None or 0 <= clip.channel < channels)
        and len(clip.sha256) == HASH_DIGITS
        and not any(text == "" or text.isspace() for text in texts)
        and all(abs(value) <= 1 + ROUNDED for value in clip.affect.values())
        and all(abs(p - 0.5) <= 0.5 + ROUNDED for _, p in clip.predictions.values())
    )


def _moment(stored: Any) -> datetime | None:
    """A time as a database's driver gives it: text in SQLite."""
    moment = datetime.fromisoformat(stored) if isinstance(stored, str) else stored
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


def _parsed(found: Any) -> list[list[str]]:
    """A list of rows, as the databases' drivers give JSON."""
    if not found or found == "[]":
        return []
    rows: list[list[str]] = json.loads(found) if isinstance(found, str) else found
    return rows


def _present(paths: Sequence[str]) -> str | None:
    """Of several paths the first where something is."""
    if len(paths) > 1:
        return next((path for path in paths if not gone(path)), paths[0])
    return paths[0] if paths else None


def _named(
    clip: int, classes: Sequence[str], scores: bytes | None, checksum: int | None
) -> dict[str, float]:
    if scores is None or not (scores or checksum):  # of a version that stored none
        return {}
    check_bytes(clip, scores, checksum, len(classes))
    return dict(zip(classes, np.frombuffer(scores, "<f4").tolist(), strict=True))


def clips_with_vectors(
    session: Session, model: ModelInfo, wanted: ClipFilter, *, limit: int, after_id: int
) -> tuple[list[ClipDetails], Vectors]:
    """A page of the clips that pass the filter and have an embedding of the model, by ascending id
    from beyond ``after_id``, and their embeddings as stored: float32, (n, dim)."""
    page = (
        matching(wanted)
        .join(Embedding, and_(Embedding.clip_id == Clip.id, Embedding.model_id == model.id))
        .where(Clip.id > after_id)
        .order_by(Clip.id)
        .limit(limit)
    )
    ids = list(session.scalars(page))
    vectors = embeddings_in_order(session, model, np.array(ids, np.int64))
    return clip_details(session, model, ids), vectors

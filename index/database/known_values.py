"""What an archive holds, counted: clips by source, speaker, label; values that it has not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Text, and_, cast, distinct, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from emotion_search.index.database.emotion_names import spellings
from emotion_search.index.database.files import FAILED
from emotion_search.index.database.filters import EMOTION, NOISE, ClipFilter, cluster_of
from emotion_search.index.database.matching import matching
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.nearest import nearest
from emotion_search.index.database.schema import (
    SPEAKER,
    Archive,
    Clip,
    ClusteringRow,
    Embedding,
    Failure,
    Label,
    Metadatum,
    Prediction,
    Recording,
)
from emotion_search.index.errors import NotFoundError

_NO_SOURCE = "(none)"
_MOST = 10_000  # known values that are looked through

ValueKind = Literal["source", "speaker", "label"]
"""What of clips is counted by its values."""

Texts = InstrumentedAttribute[str] | InstrumentedAttribute[str | None] | ColumnElement[str]


@dataclass(frozen=True)
class ValueCount:
    """A value (None for clips of which it is not known), and how many clips have it, of how many
    recordings."""

    value: str | None
    recordings: int
    clips: int


def count_values(
    session: Session, kind: ValueKind, wanted: ClipFilter | None = None
) -> list[ValueCount]:
    """Sources, speakers, or labels under the filter's task of the clips that pass it, most clips
    first."""
    wanted = wanted or ClipFilter()
    column: Any = {"source": Recording.source, "speaker": SPEAKER, "label": Label.value}[kind]
    query = matching(wanted)
    if kind == "label":
        query = query.join(Label, and_(Label.clip_id == Clip.id, Label.task == wanted.task))
    counted = query.with_only_columns(column, func.count(distinct(Clip.recording_id)), func.count())
    found = [ValueCount(*row) for row in session.execute(counted.group_by(column))]
    return sorted(found, key=lambda one: (-one.clips, one.value or ""))


@dataclass(frozen=True)
class Counts:
    """How much an archive holds; durations in seconds."""

    recordings: int
    clips: int
    labelled: int
    failures: int
    duration: float
    sources: Mapping[str, int]
    labels: Mapping[str, int]
    emotions: Mapping[str, int]
    undated: int


def count(session: Session) -> Counts:
    """Counts over the whole archive: clips by source, by emotion label and by the class that the
    active model scores highest, most first; recordings without a time of recording."""
    recordings, duration = session.execute(
        select(func.count(), func.coalesce(func.sum(Recording.duration), 0.0))
    ).one()
    by_source = session.execute(
        select(Recording.source, func.count())
        .join(Clip, Clip.recording_id == Recording.id)
        .group_by(Recording.source)
    )
    by_label = session.execute(
        select(Label.value, func.count()).where(Label.task == EMOTION).group_by(Label.value)
    )
    by_emotion = session.execute(
        select(Embedding.emotion, func.count())
        .where(
            Embedding.model_id == select(Archive.active_model_id).scalar_subquery(),
            Embedding.emotion.is_not(None),
        )
        .group_by(Embedding.emotion)
    )
    labels = _most_first(by_label)
    return Counts(
        recordings=recordings,
        clips=session.scalar(select(func.count()).select_from(Clip)) or 0,
        labelled=sum(labels.values()),
        failures=session.scalar(
            select(func.count()).select_from(Failure).where(Failure.kind == FAILED)
        )
        or 0,
        duration=float(duration),
        sources=_most_first((source or _NO_SOURCE, n) for source, n in by_source),
        labels=labels,
        emotions=_most_first(by_emotion),
        undated=_undated(session),
    )


def _undated(session: Session) -> int:
    """How many recordings have no time of recording."""
    query = select(func.count()).select_from(Recording).where(Recording.recorded_at.is_(None))
    return session.scalar(query) or 0


def _most_first(rows: Any) -> dict[str, int]:
    """Counts by name, summed where a name comes more than once."""
    summed: Counter[str] = Counter()
    for name, number in rows:
        summed[str(name)] += int(number)
    return dict(sorted(summed.items(), key=lambda row: (-row[1], row[0])))


def unknown_values(session: Session, model: ModelInfo | None, wanted: ClipFilter) -> list[str]:
    """A sentence for each value that no clip can have, where another of its filter is known, and
    one for recordings that pass no filter by time, because theirs is not known.

    Args:
        model: the archive's, of whose classes emotions are.

    Raises:
        NotFoundError: no value of some filter is known, so that no clip can pass.
    """
    number: Texts = cast(Clip.channel, Text)
    found = [
        _unknown(session, "source", wanted.sources, [Recording.source]),
        _unknown(session, "speaker", wanted.speakers, [Recording.speaker, Clip.speaker]),
        _unknown(session, "channel", wanted.channels, [Clip.channel_name, number]),
        _unknown(session, "label", wanted.labels, [Label.value], task=wanted.task),
        _unknown(session, "prediction", wanted.predicted, [Prediction.value], task=wanted.task),
        _unknown_clusters(session, wanted.clusters),
    ]
    for key, value in wanted.metadata.items():
        found.append(_unknown(session, "metadata", [key], [Metadatum.key]))
        found.append(_unknown(session, key, [value], [Metadatum.value], key=key))
    if model is not None:
        classes = set(model.classes)
        no_class = [one for one in wanted.emotions if classes.isdisjoint(spellings([one]))]
        found.append(_sentences("emotion", wanted.emotions, no_class, classes))
    if (wanted.after or wanted.before) and (undated := _undated(session)):
        cure = "a manifest's recorded_at gives it"
        found.append([f"recordings left out, of no known time ({cure}): {undated}"])
    return [sentence for some in found for sentence in some]


def _unknown(
    session: Session, name: str, values: Sequence[str], columns: Sequence[Texts], **rows: str
) -> list[str]:
    """The sentences about values of which these columns, of rows of a task or key, have none."""
    queries = [select(column).where(column.is_not(None)).filter_by(**rows) for column in columns]
    task = rows.get("task")
    unknown = []
    for value in values:
        spelled = spellings([value]) if task == EMOTION else [value]
        there = (
            query.where(column.in_(spelled)).limit(1)
            for query, column in zip(queries, columns, strict=True)
        )
        if all(session.scalar(query) is None for query in there):
            unknown.append(value)
    if not unknown:
        return []
    distinct = (query.distinct().limit(_MOST) for query in queries)
    known = {text for query in distinct for text in session.scalars(query) if text}
    if task is not None and not known:
        tasks = session.scalars(select(columns[0].class_.task).distinct())
        raise NotFoundError(f"no clip has a {name} under the task {task}{nearest(task, tasks)}")
    name = f"{task} {name}" if task is not None else name
    return _sentences(name, values, unknown, known)


def _unknown_clusters(session: Session, values: Sequence[str]) -> list[str]:
    saved = session.execute(select(ClusteringRow.name, ClusteringRow.summary)) if values else ()
    known = {(name, one["cluster"]) for name, clusters in saved for one in clusters}
    unknown = [value for value in values if cluster_of(value) not in known]
    names = [f"{name}:{'noise' if of == NOISE else of}" for name, of in known]
    return _sentences("cluster", values, unknown, names)


def _sentences(
    name: str, values: Sequence[str], unknown: Sequence[str], known: Iterable[str]
) -> list[str]:
    made = [f"no clip has {name} {value}{nearest(value, known)}" for value in unknown]
    if unknown and len(unknown) == len(values):
        raise NotFoundError("; ".join(made))
    return made

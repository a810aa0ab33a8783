"""Values that cannot be: missing, of a type that is not their column's, out of range, dangling."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, get_args, get_origin

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ColumnElement,
    Float,
    Integer,
    String,
    Table,
    and_,
    case,
    column,
    exists,
    false,
    func,
    null,
    or_,
    select,
)
from sqlalchemy.orm import Session

from emotion_search.index.database.filters import FIELDS, NOISE, Texts
from emotion_search.index.database.schema import (
    AlertRow,
    Archive,
    Base,
    ClassifierRow,
    Clip,
    ClusteringRow,
    ClusterMember,
    Embedding,
    Prediction,
    Recording,
    UtcDateTime,
    WebhookRow,
)
from emotion_search.index.database.webhooks import EVENTS, TEST
from emotion_search.index.vectors.space import Method

NO_EMBEDDING = "have no embedding"
NO_MODEL = "name no model that serves, though there are clips"

_LARGEST = 1.7976931348623157e308
_ROUNDED = 1e-3  # play in a score
_LONGEST_S = 1e9
_PLAY_S = 1.0  # of a span beyond the end of its recording
_SCORE, _AFFECT = (-_ROUNDED, 1 + _ROUNDED), (-1 - _ROUNDED, 1 + _ROUNDED)

_RANGES: Mapping[str, tuple[float, float]] = {
    "recordings.sample_rate": (0, 1e7),  # 0 of an import, whose audio nobody has read
    "recordings.channels": (1, 65_535),
    "clips.channel": (0, 65_534),
    "embeddings.confidence": _SCORE,
    "embeddings.valence": _AFFECT,
    "embeddings.arousal": _AFFECT,
    "embeddings.dominance": _AFFECT,
    "predictions.probability": _SCORE,
    "classifiers.version": (1, 2**31 - 1),
    "cluster_members.cluster": (NOISE, 2**31 - 1),
    "spaces.gain": (-2, 2),
    "alert_firings.value": _SCORE,
    "locations.mtime_ns": (-(2**63), 2**63 - 1),
    "failures.mtime_ns": (-(2**63), 2**63 - 1),
}
"""The least and the most of a number; any other is not negative, and one that is not whole is
``_LONGEST_S`` at most."""
_CHOICES: Mapping[str, Sequence[str]] = {
    "spaces.method": list(Method),
    "jobs.status": ["queued", "running", "done", "failed"],
    "failures.kind": ["failed", "silent"],
    "alerts.measure": ["share", "level"],
    "alerts.window": ["recording", "day", "week", "month"],
    "alerts.state": ["waiting", "quiet", "raised", "failed"],
    "webhook_deliveries.event": [*EVENTS, TEST],
}
_NEVER_EMPTY = {
    *("labels.task", "labels.value", "predictions.task", "predictions.value", "classifiers.task"),
    *("recordings.source", "recordings.speaker", "recording_metadata.key", "locations.path"),
    *("clips.speaker", "clips.channel_name", "models.name", "clusterings.name", "webhooks.url"),
    *("alerts.name", "alerts.rule"),
}


_IN_RECORDING = select(Recording.id).where(
    Recording.id == Clip.recording_id, Recording.sample_rate > 0
)
_EMBEDDED = select(Embedding.clip_id).where(Embedding.clip_id == Clip.id).correlate(Clip)


def _lacks_the_model_of(known: Any, learned: Any, by: Any) -> ColumnElement[bool]:
    """Whether something is known of a clip that came of an embedding which is not there."""
    under = Embedding.model_id == learned.model_id
    there = exists().where(Embedding.clip_id == known.clip_id, under)
    return (
        select(known.clip_id)
        .join(learned, learned.id == by)
        .where(known.clip_id == Clip.id, ~there)
        .exists()
    )


_CONTRADICTED: Mapping[str, Mapping[str, ColumnElement[bool]]] = {
    "clips": {
        "end before they begin": Clip.end < Clip.start,
        "end after their recording does": _IN_RECORDING.where(
            Clip.end > Recording.duration + _PLAY_S
        ).exists(),
        "are of a channel that their recording has not": _IN_RECORDING.where(
            Clip.channel >= Recording.channels
        ).exists(),
        NO_EMBEDDING: or_(
            ~_EMBEDDED.exists(),
            _lacks_the_model_of(Prediction, ClassifierRow, Prediction.classifier_id),
            _lacks_the_model_of(ClusterMember, ClusteringRow, ClusterMember.clustering_id),
        ),
    },
    "archive": {NO_MODEL: and_(Archive.active_model_id.is_(None), select(Clip.id).exists())},
}
"""By table: what is wrong where a row denies others, or itself."""

_FILTERS: dict[str, Any] = {
    one.name: list if one.type == Texts or one.name == "metadata"
    else (int, float) if one.type in (float, float | None) else str
    for one in FIELDS
}  # fmt: skip
_FITS: dict[str, tuple[Any, Callable[[Any], bool]]] = {
    "webhooks": (WebhookRow.events, lambda events: {*events} <= {*EVENTS}),
    "alerts": (
        AlertRow.filters,
        lambda filters: all(isinstance(filters[one], _FILTERS.get(one, ())) for one in filters),
    ),
}
"""By table of few rows: a column of JSON, and whether its readers can use a value."""

_NUMBER = ("integer", "real")
_PARTS: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {
    ("classifiers", "provenance"): {"$.metrics.uar.value": _NUMBER, "$.data.clips": ("integer",)},
    ("clusterings", "summary"): {
        "$.cluster": ("integer",),
        "$.size": ("integer",),
        "$.share": _NUMBER,
        "$.cohesion": _NUMBER,
        "$.typical": ("array",),
    },
    ("jobs", "problem"): {
        "$.status": ("integer",),
        "$.kind": ("text", "null"),
        "$.detail": ("text",),
    },
}
"""By table and column: what readers find in its JSON, or in each item of a list, and of which types
SQLite has it to be."""


def wrong_values(session: Session, table: Table) -> Iterator[str]:
    """What is wrong with the values of a table, if anything, and in how many rows.

    SQLite takes values of any type into any column, as a changed bit may make of one.
    """
    wrong: dict[str, ColumnElement[bool]] = {}
    for one in table.columns:
        if session.get_bind().dialect.name == "sqlite":
            found: Any = column(one.name)
            other = case((found.is_not(None), _other(found, one)))
            none = null() if one.nullable else found.is_(None)
            wrong[f"have no {one.name} that can be read"] = or_(other, none)
        if (out := _out_of_range(one)) is not None:
            wrong[f"have a {one.name} that cannot be"] = out
    wrong |= _CONTRADICTED.get(table.name, {})
    for key in table.foreign_key_constraints:
        parent = key.referred_table.alias()
        pairs = [(one.parent, parent.c[one.column.name]) for one in key.elements]
        there = exists().where(and_(*(there == here for here, there in pairs)))
        lost = and_(*(here.is_not(None) for here, _ in pairs), ~there)
        wrong[f"belong to {key.referred_table.name} that are not there"] = lost
    if not wrong:
        return
    counts = session.execute(
        select(*(func.count().filter(one) for one in wrong.values())).select_from(table)
    ).one()
    for what, count in zip(wrong, counts, strict=True):
        if count:
            yield f"{count} rows {what}"
    if table.name in _FITS and not any(counts):
        stored, fits = _FITS[table.name]
        if count := sum(not fits(value) for value in session.scalars(select(stored))):
            yield f"{count} rows have {stored.name} that nothing can use"


def out_of_range(table: Table, names: Collection[str]) -> ColumnElement[bool]:
    """Whether some value of a row, of these columns, is none that its column can have."""
    found = (_out_of_range(table.c[name]) for name in names)
    return or_(false(), *(out for out in found if out is not None))


def _out_of_range(of: Column[Any]) -> ColumnElement[bool] | None:
    """Whether a value is none that its column can have; None where it may be any."""
    name = str(of)
    if name in _CHOICES:
        return of.not_in(_CHOICES[name])
    if name in _NEVER_EMPTY:
        return of == ""
    if not isinstance(of.type, Integer | Float):
        return None
    if isinstance(of.type, Integer) and name not in _RANGES:
        return of < 0
    return ~of.between(*_RANGES.get(name, (0, _LONGEST_S)))


def _other(value: Any, of: Column[Any]) -> ColumnElement[bool]:
    """Whether a value in SQLite is not of the type that its column has."""
    stored, kind = func.typeof(value), of.type
    if isinstance(kind, UtcDateTime):  # 31 February, say, is another day once it is read
        day = func.strftime("%Y-%m-%d %H:%M:%S", value, "+0 days")
        return or_(stored != "text", day.is_distinct_from(func.substr(value, 1, 19)))
    if isinstance(kind, JSON):
        return or_(
            stored != "text", case((func.json_valid(value), _other_json(value, of)), else_=True)
        )
    if isinstance(kind, Integer | Boolean):
        return stored != "integer"
    if isinstance(kind, Float):
        return or_(stored.not_in(["real", "integer"]), ~value.between(-_LARGEST, _LARGEST))
    return stored != ("text" if isinstance(kind, String) else "blob")


def _other_json(value: Any, of: Column[Any]) -> ColumnElement[bool]:
    """Whether JSON is not what the column is annotated with, ``Mapped[list[str]]`` or so."""
    (mapper,) = (one for one in Base.registry.mappers if one.local_table is of.table)
    (kind,) = get_args(mapper.class_.__annotations__[mapper.get_property_by_column(of).key])
    if kind == list[str]:
        inner = func.json_each(value).table_valued("type")
        return or_(func.json_type(value) != "array", exists().where(inner.c.type != "text"))
    is_list = list in {get_origin(one) for one in (kind, *get_args(kind))}
    other = func.json_type(value) != ("array" if is_list else "object")
    wanted = _PARTS.get((of.table.name, of.name))
    if wanted is None:
        return other
    if not is_list:
        return or_(other, _lacks(value, wanted))
    item = func.json_each(value).table_valued("type", "value")
    lacks = case((item.c.type != "object", True), else_=_lacks(item.c.value, wanted))
    return or_(other, exists().where(lacks))


def _lacks(value: Any, wanted: Mapping[str, tuple[str, ...]]) -> ColumnElement[bool]:
    """Whether an object of JSON has not what is wanted at each path."""
    return or_(
        *(
            func.coalesce(func.json_type(value, path), "").not_in(types)
            for path, types in wanted.items()
        )
    )

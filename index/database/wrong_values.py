"""Values that cannot be: missing, of a type that is not their column's, out of range, dangling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
    func,
    null,
    or_,
    select,
)
from sqlalchemy.orm import Session

from emotion_search.index.database.filters import NOISE
from emotion_search.index.database.schema import (
    AlertRow,
    Base,
    ClassifierRow,
    Clip,
    ClusterMember,
    DeliveryRow,
    Job,
    Prediction,
    Recording,
    SpaceRow,
    UtcDateTime,
)
from emotion_search.index.vectors.space import Method

_LARGEST = 1.7976931348623157e308
_ROUNDED = 1e-6  # play in a probability
_IMPOSSIBLE: dict[str, ColumnElement[bool]] = {
    "clips": or_(Clip.start < 0, Clip.end < Clip.start, Clip.end > _LARGEST, Clip.channel < 0),
    "recordings": or_(Recording.duration < 0, Recording.sample_rate < 0, Recording.channels < 0),
    "spaces": or_(SpaceRow.method.not_in(list(Method)), SpaceRow.clips < 0),
    "jobs": or_(Job.status.not_in(["queued", "running", "done", "failed"]), Job.attempts < 0),
    "classifiers": ClassifierRow.version < 1,
    "predictions": ~Prediction.probability.between(-_ROUNDED, 1 + _ROUNDED),
    "cluster_members": ClusterMember.cluster < NOISE,
    "alerts": or_(
        AlertRow.measure.not_in(["share", "level"]),
        AlertRow.window.not_in(["recording", "day", "week", "month"]),
        AlertRow.state.not_in(["waiting", "quiet", "raised", "failed"]),
    ),
    "webhook_deliveries": or_(
        DeliveryRow.attempts < 0,
        DeliveryRow.event.not_in(["job.ended", "alert.fired", "webhook.test"]),
    ),
}
"""By table: where a row says what cannot be."""

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
    wrong = {}
    if table.name in _IMPOSSIBLE:
        wrong["say what cannot be"] = _IMPOSSIBLE[table.name]
    if session.get_bind().dialect.name == "sqlite":
        for one in table.columns:
            found: Any = column(one.name)
            other = case((found.is_not(None), _other(found, one)))
            none = null() if one.nullable else found.is_(None)
            wrong[f"have no {one.name} that can be read"] = or_(other, none)
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

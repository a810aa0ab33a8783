"""Values that cannot be: missing, of a type that is not their column's, out of range, dangling."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple, get_args, get_origin

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ColumnElement,
    Float,
    Integer,
    LargeBinary,
    String,
    Table,
    and_,
    case,
    cast,
    column,
    exists,
    false,
    func,
    null,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Bundle, Session

from emotion_search.index.database.alerts import ALERT
from emotion_search.index.database.filters import FIELDS, ClipFilter, Texts
from emotion_search.index.database.schema import (
    EVENTS,
    AlertRow,
    Archive,
    Base,
    CalibrationRow,
    ClassifierRow,
    Clip,
    ClusteringRow,
    ClusterMember,
    Embedding,
    Model,
    Prediction,
    Recording,
    SpaceRow,
    UtcDateTime,
    WebhookRow,
)
from emotion_search.index.database.schema.columns import is_whole
from emotion_search.index.database.webhooks import URL
from emotion_search.index.errors import InvalidInputError

NO_EMBEDDING = "have no embedding"
BEHIND_CLIPS = "have a revision before that of a clip"
BEHIND_EMBEDDINGS = "have a revision before that of an embedding"
NO_CLIPS = "have no clips"
NO_SPACE = "name a space that is not there"
LOST_SPACE = "are percentiles of a space that is not there"
NO_MODEL = "name no model that serves, though there are clips"

IMPORTED = "import"
"""How a recording is cut whose embeddings alone were imported."""
_LARGEST = 1.7976931348623157e308
PLAY_S = 1.0
"""Of a span beyond the end of its recording, in seconds."""
_LONGEST_S = 1e9
_NAMED = 5  # rows that are named
_SPACES = "".join(
    map(chr, (*range(9, 14), *range(28, 33), 133, 160, 5760, *range(8192, 8203), 8232, 8233, 8239))
)
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


def _latest(of: Any, *where: ColumnElement[bool]) -> Any:
    """The highest revision; a text that stands for one is not compared with numbers."""
    return select(func.max(of)).where(of.between(0, 2**63 - 1), *where).scalar_subquery()


def _of_no_space(row: Any, *, or_removed: bool = False) -> ColumnElement[bool]:
    """Whether a row names a space that its model has not; version 0 is the plain one.

    Args:
        or_removed: it may name one that was removed; the last never is.
    """
    version, named = SpaceRow.version, row.space_version
    there = version >= named if or_removed else version == named
    here = select(version).where(SpaceRow.model_id == row.model_id, there)
    return and_(named > 0, ~here.correlate(row).exists())


LATEST_CLIP = _latest(Clip.revision)
"""The last revision of what is known of clips."""
LATEST_EMBEDDING = _latest(Embedding.revision, Embedding.model_id == Model.id)
"""The last revision of embeddings of a model."""

_CONTRADICTED: Mapping[str, Mapping[str, ColumnElement[bool]]] = {
    "clips": {
        "end before they begin": Clip.end < Clip.start,
        "end after their recording does": _IN_RECORDING.where(
            Clip.end > Recording.duration + PLAY_S
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
    "archive": {
        NO_MODEL: and_(Archive.active_model_id.is_(None), select(Clip.id).exists()),
        BEHIND_CLIPS: Archive.revision < LATEST_CLIP,
    },
    "models": {
        BEHIND_EMBEDDINGS: Model.revision < LATEST_EMBEDDING,
        NO_SPACE: and_(
            Model.space_version > 0,
            ~select(SpaceRow.version)
            .where(SpaceRow.model_id == Model.id, SpaceRow.version == Model.space_version)
            .exists(),
        ),
    },
    "recordings": {
        "have a cut that cannot be": and_(Recording.cut != IMPORTED, ~Recording.cut.contains(" ")),
        NO_CLIPS: ~exists().where(Clip.recording_id == Recording.id),
    },
    "classifiers": {"are of a space that is not there": _of_no_space(ClassifierRow)},
    "clusterings": {
        "are of a space that is not there": _of_no_space(ClusteringRow, or_removed=True)
    },
    "calibrations": {LOST_SPACE: _of_no_space(CalibrationRow)},
    "predictions": {
        "are of another task than their classifier": exists().where(
            ClassifierRow.id == Prediction.classifier_id, ClassifierRow.task != Prediction.task
        )
    },
    "cluster_members": {
        "are in a cluster that their clustering has not": exists().where(
            ClusteringRow.id == ClusterMember.clustering_id,
            ClusterMember.cluster >= ClusteringRow.k,
        )
    },
}
"""By table: what is wrong where a row denies others, or itself."""

_FILTERS: dict[str, Any] = {
    one.name: list if one.type == Texts or one.name == "metadata"
    else (int, float) if one.type in (float, float | None)
    else datetime if one.type == datetime | None else str
    for one in FIELDS
}  # fmt: skip


def _is_filter(given: dict[str, Any]) -> bool:
    """Whether a filter can be made of plain data."""
    try:
        read = {
            name: datetime.fromisoformat(value) if _FILTERS[name] is datetime else value
            for name, value in given.items()
        }
        ClipFilter.of(**{name: value for name, value in read.items() if name != "metadata"})
    except (KeyError, ValueError, TypeError, AttributeError, InvalidInputError):
        return False
    return all(isinstance(value, _FILTERS[name]) for name, value in read.items())


def _are_learned(of: Any) -> bool:
    """Whether the classes of a classifier are those of the clips that it was trained on."""
    classes, provenance = of
    return {*classes} == {*provenance["data"].get("classes", classes)}


_FITS: dict[str, dict[str, tuple[Any, Callable[[Any], Any]]]] = {
    "webhooks": {
        "events": (WebhookRow.events, lambda events: events and {*events} <= {*EVENTS}),
        "url": (WebhookRow.url, re.compile(URL).match),
    },
    "alerts": {
        "filters": (AlertRow.filters, _is_filter),
        "rule": (AlertRow.rule, re.compile(ALERT).match),
    },
    "classifiers": {
        "parameters": (type_coerce(ClassifierRow.parameters, LargeBinary), is_whole),
        "classes": (Bundle("_", ClassifierRow.classes, ClassifierRow.provenance), _are_learned),
    },
    "models": {"classes": (Model.classes, lambda names: len({*names}) == len(names))},
}
"""By table of few rows: columns, and whether their readers can use a value."""

_KNOWN_BY = {"classifiers": ["task", "version"], "clusterings": ["name"]}
"""By table: what commands ask for, where that is not the primary key."""

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


class Wrong(NamedTuple):
    """What is wrong with some rows of a table: how many, what, and the condition that they meet."""

    number: int
    what: str
    where: ColumnElement[bool]

    def __str__(self) -> str:
        return f"{self.number} rows {self.what}"


def wrong_values(session: Session, table: Table) -> Iterator[Wrong]:
    """What is wrong with the values of a table, if anything.

    SQLite takes values of any type into any column, as a changed bit may make of one.
    """
    wrong: dict[str, ColumnElement[bool]] = {}
    for one in table.columns:
        wrong |= wrong_in(session.get_bind().dialect.name, one)
    wrong |= _CONTRADICTED.get(table.name, {})
    if table is Prediction.__table__:
        wrong["have a value that is no class of their classifier"] = _of_no_class(session)
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
    for (what, where), count in zip(wrong.items(), counts, strict=True):
        if count:
            yield Wrong(count, what, where)
    if not any(counts):
        for name, (stored, fits) in _FITS.get(table.name, {}).items():
            rows = session.execute(select(table.c.id, stored))
            if ids := [row for row, value in rows if not fits(value)]:
                yield Wrong(len(ids), f"have {name} that nothing can use", table.c.id.in_(ids))


def _of_no_class(session: Session) -> ColumnElement[bool]:
    """Whether the classifier of a prediction predicts no such value; of those that can be read."""
    try:
        known = session.execute(select(ClassifierRow.id, ClassifierRow.classes)).all()
    except (SQLAlchemyError, ValueError, TypeError):
        return false()
    return or_(
        false(),
        *(
            and_(Prediction.classifier_id == classifier, Prediction.value.not_in(classes))
            for classifier, classes in known
        ),
    )


def keys_of(session: Session, table: Table, wrong: Wrong) -> str:
    """By what people know some of the rows that are wrong: ``clip_id 4, task 'mood'``."""
    names = _KNOWN_BY.get(table.name, [one.name for one in table.primary_key])
    rows: Any = select(*map(column, names)).select_from(table).where(wrong.where).limit(_NAMED + 1)
    try:
        keys = session.execute(rows).all()
    except SQLAlchemyError:  # text that is none
        return ""
    found = [", ".join(map("{} {!r}".format, names, key)) for key in keys]
    return "; ".join([*found[:_NAMED], *["…"] * (len(found) > _NAMED)])


@cache
def wrong_in(dialect: str, one: Column[Any]) -> dict[str, ColumnElement[bool]]:
    """What may be wrong with a value of a column alone, and the condition that it is, in SQL of
    ``dialect``; not to be changed."""
    wrong = {}
    if dialect == "sqlite":
        found: Any = column(one.name)
        other = case((found.is_not(None), _other(found, one)))
        none = null() if one.nullable else found.is_(None)
        wrong[f"have no {one.name} that can be read"] = or_(other, none)
    if (out := _out_of_range(one)) is not None:
        wrong[f"have a {one.name} that cannot be"] = out
    return wrong


def _out_of_range(of: Column[Any]) -> ColumnElement[bool] | None:
    """Whether a value is none that its column can have, by its ``info``; None where it may be any.
    Of other numbers none is negative, and one that is not whole is ``_LONGEST_S`` at most."""
    rule = of.info
    if "one_of" in rule:
        return of.not_in(rule["one_of"])
    if "letters" in rule:
        long = func.length(of) > rule["letters"] if rule["letters"] else false()
        return or_(func.trim(of, _SPACES) == "", long)
    if "digits" in rule:
        number, digits = rule["digits"]
        return or_(func.length(of) != number, func.trim(of, digits) != "")
    if not isinstance(of.type, Integer | Float):
        return None
    if isinstance(of.type, Integer) and "between" not in rule:
        return of < 0
    return ~of.between(*rule.get("between", (0, _LONGEST_S)))


def _other(value: Any, of: Column[Any]) -> ColumnElement[bool]:
    """Whether a value in SQLite is not of the type that its column has."""
    stored, kind = func.typeof(value), of.type
    if isinstance(kind, UtcDateTime):  # 31 February, say, is another day once it is read
        second = func.substr(value, 1, 19)  # the rest of it might be rounded up to another
        day = func.strftime("%Y-%m-%d %H:%M:%S", second, "+0 days")
        none = func.strftime("%s", value).is_(None)
        return or_(stored != "text", none, day.is_distinct_from(second))
    if isinstance(kind, JSON):
        return or_(
            stored != "text", case((func.json_valid(value), _other_json(value, of)), else_=True)
        )
    if isinstance(kind, Integer | Boolean):
        return stored != "integer"
    if isinstance(kind, Float):
        return or_(stored.not_in(["real", "integer"]), ~value.between(-_LARGEST, _LARGEST))
    if isinstance(kind, String):
        foreign = value.op("GLOB")("*[^\x01-\x7f]*")
        return or_(stored != "text", and_(foreign, ~func.is_utf8(cast(value, LargeBinary))))
    return stored != "blob"


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

"""Filters and paging: query parameters of lists, and fields of other requests."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    TypeAdapter,
    ValidationError,
    create_model,
    model_validator,
)

from emotion_search.engine.api.http.bodies import Asked
from emotion_search.engine.files.values import LONGEST, parse_pairs
from emotion_search.engine.trends.thresholds import LONGEST_ALERT
from emotion_search.index.database.alerts import ALERT
from emotion_search.index.database.filters import (
    EMOTION,
    FIELDS,
    MOST_PAIRS,
    MOST_VALUES,
    ClipFilter,
    FilterField,
    Texts,
    cluster_of,
)
from emotion_search.index.database.text import clean, storable
from emotion_search.index.errors import AbsentError, InvalidInputError

MOST_LISTED = 500
"""Most clips of a page."""


_ISO = TypeAdapter(datetime)
_NUMBER = re.compile(r"\s*[-+]?\d+(\.\d*)?\s*")


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is out of range") from error


def _read(given: Any) -> Any:
    if isinstance(given, datetime):
        return given
    if not isinstance(given, str) or _NUMBER.fullmatch(given):
        raise ValueError("give a moment as ISO 8601, such as 2026-05-01T12:00:00Z")
    try:
        return _ISO.validate_python(given)
    except ValidationError as error:
        raise ValueError(error.errors()[0]["msg"]) from error


Moment = Annotated[datetime, BeforeValidator(_read), AfterValidator(_in_utc)]
"""ISO 8601; without a zone it is taken as UTC."""


def _clean(text: str) -> str:
    if not storable(text):
        raise ValueError("contains characters that no archive can store")
    return clean("text", text)


def by(read: Callable[[str], object]) -> AfterValidator:
    """Text that ``read`` does not refuse."""

    def check(text: str) -> str:
        try:
            read(text)
        except InvalidInputError as error:
            raise ValueError(str(error)) from error
        return text

    return AfterValidator(check)


def like(pattern: str) -> Any:
    """A pattern for the document alone; refusals are in words."""
    return Field(json_schema_extra={"pattern": pattern})


_VISIBLE = r"[^=\x00-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
_CLEAN = AfterValidator(_clean)
Text = Annotated[str, _CLEAN, like(r"^[^\x00]*$")]
"""Text that a database can hold."""
VISIBLE = like(rf"^{_VISIBLE}[^\x00]*$")
"""Of text: it is not blank at its beginning."""
Pair = Annotated[
    str,
    _CLEAN,
    by(lambda text: parse_pairs([text], "pair")),
    like(rf"^{_VISIBLE}[^=\x00]{{0,199}}=[^\x00]*$"),
]
"""``key=value``."""
Cluster = Annotated[str, _CLEAN, by(cluster_of), like(r"^[^\x00]+:([0-9]{1,6}|noise)$")]
"""``NAME:3`` or ``NAME:noise``."""
Alert = Annotated[str, _CLEAN, Field(max_length=LONGEST_ALERT), like(ALERT)]
"""``angry>0.3``."""


class _Filters(Asked):
    """Which clips are meant: every field that is given must hold, any one of its values will do."""

    def wanted(self) -> ClipFilter:
        """The filter meant.

        Raises:
            InvalidInputError: see ``ClipFilter.of``.
        """
        given = {name: getattr(self, name) for name in Filters.model_fields}
        return ClipFilter.of(**{**given, "metadata": parse_pairs(given["metadata"])})


def _parameter(one: FilterField) -> tuple[Any, Any]:
    """Type and default of a field of filters, as pydantic creates models of them."""
    text, least, most = one.about
    if one.type == Texts:
        kind = list[Cluster] if one.name == "cluster" else list[Annotated[Text, VISIBLE]]
        return kind, Field(default_factory=list, max_length=MOST_VALUES, description=text)
    if one.name == "metadata":
        return list[Pair], Field(default_factory=list, max_length=MOST_PAIRS, description=text)
    if one.name == "task":
        return Text, Field(default=EMOTION, description=text)
    if one.type == datetime | None:
        return Moment | None, Field(default=None, description=text)
    default = None if one.type == float | None else 0.0
    return one.type, Field(default=default, ge=least, le=most, description=text)


if TYPE_CHECKING:
    Filters = _Filters
else:
    Filters = create_model(
        "Filters",
        __base__=_Filters,
        __module__=__name__,
        __doc__=_Filters.__doc__,
        **{one.name: _parameter(one) for one in FIELDS},
    )


class Paging(Asked):
    """Which page of a list is meant."""

    limit: int = Field(default=100, ge=1, le=MOST_LISTED, description="Most rows of the page.")
    cursor: int = Field(
        default=0, ge=0, lt=2**63, description="`next` of the page before; 0 for the first."
    )


class _Numbered(Protocol):
    @property
    def id(self) -> int: ...


Row = TypeVar("Row", bound=_Numbered)


def page_of(found: Sequence[Row], limit: int) -> tuple[Sequence[Row], int | None]:
    """A page of rows, and the id that the next goes on from, if more rows than fit were found."""
    page = found[:limit]
    return page, page[-1].id if len(found) > limit else None


class SortedQuery(Filters):
    """Parameters of a list of clips."""

    sort: Text | None = Field(
        default=None,
        description="`score` (that of the class scored highest), `recorded_at`, `duration`,"
        " `arousal`, `valence`, `dominance`, or a class of the model, for its own score, such as"
        " `angry`; without it, by id.",
    )
    order: Literal["asc", "desc"] = Field(
        default="desc", description="With `sort`; what is not known comes last in either."
    )
    limit: int = Field(default=100, ge=1, le=MOST_LISTED, description="Most clips of the page.")
    cursor: str | None = Field(
        default=None,
        pattern=r"^(\w{8},[-+.\w]{1,30},)?\d{1,19}$",
        description="`next` of the page before, with the same `sort` and `order`.",
    )

    @model_validator(mode="after")
    def _has_effect(self) -> SortedQuery:
        if self.sort is None and "order" in self.model_fields_set:
            raise ValueError("order goes with sort")
        return self

    def after_id(self) -> int:
        """The id that an unsorted page begins beyond.

        Raises:
            AbsentError: the cursor is none.
        """
        text = self.cursor or "0"
        if not text.isdecimal() or int(text) >= 2**63:
            raise AbsentError(f"cursor {text}: give the next of the page before")
        return int(text)


class RecordingQuery(Filters, Paging):
    """Parameters of a list of recordings."""

    file: Text = Field(default="", max_length=LONGEST, description="Text in their file names.")
    sort: Literal["id", "newest", "oldest", "longest", "shortest", "share"] = Field(
        default="id",
        description="In which order: `share` by the share of their clips' time that passes the"
        " filters, such as `emotion=angry`. Without a time of recording that of the upload counts.",
    )

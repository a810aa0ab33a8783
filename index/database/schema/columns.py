"""Column types of the tables, and the base class of all of them."""

# Annotations are no strings here: SQLAlchemy would evaluate each at every start.

import zlib
from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    Text,
    TypeDecorator,
)
from sqlalchemy.orm import DeclarativeBase, mapped_column

from emotion_search.index.errors import DatabaseError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

BigId = BigInteger().with_variant(Integer, "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """Aware datetimes in UTC, on SQLite (which forgets zones) as on Postgres."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a naive datetime reached the database: {value!r}")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class Sealed(TypeDecorator[bytes]):
    """Bytes with their CRC-32 at the end, which every read compares.

    Raises:
        DatabaseError: they are damaged.
    """

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        return None if value is None else value + zlib.crc32(value).to_bytes(4, "little")

    def process_result_value(self, value: Any, dialect: Dialect) -> bytes | None:
        if value is None or is_whole(bytes(value)):
            return None if value is None else bytes(value)[:-4]
        raise DatabaseError("the database is damaged; run: emotion-search check")


def is_whole(data: bytes) -> bool:
    """Whether bytes as ``Sealed`` stores them are as they were written."""
    return len(data) >= 4 and zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "little")


def belongs_to(column: str, *, primary_key: bool = False) -> Any:
    """A reference to a row with which this one goes."""
    return mapped_column(ForeignKey(column, ondelete="CASCADE"), primary_key=primary_key)


def as_details(kind: type[T], row: Any, **others: Any) -> T:
    """A dataclass of ``others``, and of those columns of a row that it has fields of.

    Raises:
        ValueError: a column holds something else than the field is annotated with.
    """
    values = {}
    for field in fields(kind):
        if field.name not in others:
            values[field.name] = value = getattr(row, field.name)
            named = str(field.type)
            plain = _PLAIN.get(named.removesuffix(" | None"))
            absent = value is None and named.endswith("None")
            if plain is not None and not absent and not isinstance(value, plain):
                raise ValueError(f"{value!r} for {field.name}")
    return kind(**values, **others)


_PLAIN: dict[str, Any] = {"str": str, "int": int, "float": (float, int), "datetime": datetime}
"""Types by what annotations call them."""


class Base(DeclarativeBase):
    """Declarative base of all tables; what is annotated alone is a column of the usual type."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text,
        float: Float,
        datetime: UtcDateTime,
        **dict.fromkeys((list[str], list[Any], list[dict[str, Any]], dict[str, Any]), JSON),
    }

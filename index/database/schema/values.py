"""Columns by the values that they may have, of which checks are made: see their ``info``."""

from typing import Annotated, Any

from sqlalchemy import String
from sqlalchemy.orm import mapped_column

ROUNDED = 1e-3
"""Play in a score."""
HASH_DIGITS = 64
"""Of a sha256 in hexadecimal."""

Score = Annotated[float, mapped_column(info={"between": (-ROUNDED, 1 + ROUNDED)})]
Affect = Annotated[float, mapped_column(info={"between": (-1 - ROUNDED, 1 + ROUNDED)})]
Named = Annotated[str, mapped_column(info={"letters": None})]  # not blank, of any length
Given = Annotated[str, mapped_column(info={"letters": 200})]  # as commands and the API take it
Hash = Annotated[
    str, mapped_column(String(HASH_DIGITS), info={"digits": (HASH_DIGITS, "0123456789abcdef")})
]
Uuid = Annotated[str, mapped_column(String(36), info={"digits": (36, "0123456789abcdef-")})]


def within(least: float, most: float, *kind: Any) -> Any:
    """A column of numbers from ``least`` to ``most``."""
    return mapped_column(*kind, info={"between": (least, most)})


def one_of(*values: str, **how: Any) -> Any:
    """A column of texts that are one of these."""
    return mapped_column(info={"one_of": values}, **how)

"""Tables of embeddings, row by row: ``.npy`` beside a table, Parquet, or an export's folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.files.npy import mapped
from emotion_search.engine.files.tables import parquet_file, parquet_rows, table_rows, valid_rows
from emotion_search.index.errors import InvalidInputError, UnusableError, reason

Vector = NDArray[np.float32]

_EMBEDDING = "embedding"
_ROWS = 1000  # of a Parquet file at a time


@dataclass(frozen=True)
class About:
    """What a source says of itself; None and empty where it does not."""

    model: str | None = None
    fingerprint: str | None = None
    classes: tuple[str, ...] = ()


def open_source(vectors: Path, table: Path | None = None) -> Source:
    """The source that these files are: ``X.npy`` and a table (CSV, JSON lines or Parquet),
    ``X.parquet`` with a column ``embedding``, or the folder of an export.

    Raises:
        InvalidInputError: it is none of these, or cannot be read.
    """
    if vectors.is_dir():
        if table is not None:
            raise InvalidInputError(f"{vectors} is a folder and brings its own table")
        about = _about_file(vectors / "about.json")
        return NpySource(vectors / "embeddings.npy", vectors / "clips.csv", about)
    if vectors.suffix.lower() == ".parquet":
        if table is not None:
            raise InvalidInputError(f"{vectors} is a table itself; give no other")
        return ParquetSource(vectors)
    if table is None and not vectors.exists():
        raise UnusableError(f"{vectors}: no such file or folder")
    if table is None and vectors.suffix.lower() != ".npy":
        raise InvalidInputError(
            f"{vectors} holds no embeddings: name the .npy that does, and then the table of its"
            " rows; or the folder of an export"
        )
    if table is None:
        raise InvalidInputError(
            f"{vectors} needs a table beside it: a CSV, .jsonl or .parquet, a row for each vector"
        )
    return NpySource(vectors, table, About())


class NpySource:
    """A ``.npy`` of shape (rows, dim) and the table of its rows, which can be gone through again.

    Attributes:
        name: for messages.
        folder: what paths are relative to.
        dimension: of the embeddings.
        about: what it says of itself.
    """

    def __init__(self, vectors: Path, table: Path, about: About) -> None:
        array = mapped(vectors)
        if array.ndim != 2 or array.dtype.kind not in "fiu" or not array.shape[1]:
            raise UnusableError(
                f"{vectors} is {array.dtype} of shape {array.shape}; it must be numbers of shape"
                " (rows, dimensions)"
            )
        if not table.exists():
            raise UnusableError(f"{table}: no such file")
        self.name, self.folder, self.about = str(vectors), table.absolute().parent, about
        self.dimension = int(array.shape[1])
        self._vectors, self._table, self._file = array, table, vectors

    def rows(self) -> Iterator[tuple[int, Mapping[str, Any], Vector]]:
        """Line or row number, cells by column, embedding float32 (dim,).

        Raises:
            InvalidInputError: a row cannot be read, or one side has more rows than the other.
        """
        vectors = np.asarray(self._vectors)  # mapped as before, without memmap's cost for each row
        number = 0
        table = valid_rows(self._table, table_rows(self._table, without=_EMBEDDING))
        for number, (line, cells) in enumerate(table, start=1):
            if number > len(vectors):
                raise UnusableError(f"{self._table} has more rows than {self._file}")
            yield line, cells, np.asarray(vectors[number - 1], dtype=np.float32)
        if number < len(vectors):
            raise UnusableError(f"{self._file} has more rows than {self._table}")


class ParquetSource:
    """As ``NpySource``, a Parquet file with lists of numbers in a column ``embedding``."""

    def __init__(self, path: Path) -> None:
        self.name, self.folder = str(path), path.absolute().parent
        self._path = path
        with parquet_file(path) as file:
            if _EMBEDDING not in file.schema_arrow.names:
                raise UnusableError(f"{path} has no column 'embedding'")
            about = (file.schema_arrow.metadata or {}).get(b"emotion_search")
        try:
            self.about = _about(json.loads(about)) if about else About()
        except ValueError as error:
            raise UnusableError(f"{path} says of itself what is no JSON: {error}") from error
        first = next(iter(parquet_rows(self._path)), None)
        if first is None:
            raise UnusableError(f"{path} has no rows")
        self.dimension = len(self._vector(*first))

    def rows(self) -> Iterator[tuple[int, Mapping[str, Any], Vector]]:
        """See ``NpySource``."""
        others = parquet_rows(self._path, without=_EMBEDDING)
        for (number, cells), vector in zip(others, self._vectors(), strict=True):
            if vector.shape != (self.dimension,):
                raise UnusableError(
                    f"{self._path}: row {number}: its embedding has shape {vector.shape}, the"
                    f" first one's is ({self.dimension},)"
                )
            yield number, cells, vector

    def _vectors(self) -> Iterator[Vector]:
        number = 0
        with parquet_file(self._path) as file:
            for batch in file.iter_batches(_ROWS, columns=[_EMBEDDING]):
                column = batch.column(0)
                flat = _flat(column, self.dimension)
                for row in column.to_pylist() if flat is None else flat:
                    number += 1
                    yield self._vector(number, {_EMBEDDING: row}) if flat is None else row

    def _vector(self, number: int, cells: Mapping[str, Any]) -> Vector:
        wrong = f"{self._path}: row {number}: its embedding is not a list of numbers"
        try:
            vector = np.array(cells[_EMBEDDING], dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise UnusableError(wrong) from error
        if vector.ndim != 1 or not len(vector):
            raise UnusableError(wrong)
        return vector


Source = NpySource | ParquetSource
"""Rows with embeddings."""


def _flat(column: Any, dimension: int) -> Vector | None:
    """A column of Arrow's, lists of so many floating-point numbers each, as an array (rows, dim);
    None where it is anything else."""
    from pyarrow import types

    kind = column.type
    lists = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    if not lists or not types.is_floating(kind.value_type) or column.null_count:
        return None
    flat = column.flatten()
    if flat.null_count or set(column.value_lengths().to_numpy()) != {dimension}:
        return None
    vectors: Vector = flat.to_numpy().astype(np.float32, copy=False).reshape(-1, dimension)
    return vectors


def _about_file(path: Path) -> About:
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnusableError(
            f"{path} cannot be read ({reason(error)}); give the .npy and its table by themselves"
        ) from error
    if isinstance(about, dict) and about.get("granularity", "utterance") != "utterance":
        raise UnusableError(f"{path.parent} holds frames; an archive holds clips")
    return _about(about)


def _about(about: Any) -> About:
    if not isinstance(about, dict):
        return About()
    classes = about.get("classes") or ()
    return About(
        about.get("model") if isinstance(about.get("model"), str) else None,
        about.get("fingerprint") if isinstance(about.get("fingerprint"), str) else None,
        tuple(map(str, classes)) if isinstance(classes, list) else (),
    )

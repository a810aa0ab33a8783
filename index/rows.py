"""Embeddings in a file that is mapped into memory, beside an index of codes.

Searches compare a hundred vectors each with the query; from here that takes a tenth of the time
that it takes from the database. What is not here is read there. A clip's embedding never changes,
so a row stays true for as long as the clip is there; when it is removed its row is made zero.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from index.errors import InvalidInputError
from index.vectors import Ids, Vectors


class StoredRows:
    """Rows of a file of float32 vectors, found by clip id.

    Args:
        path: the file; beside it lie the ids, ``.npy``.
        dimension: length of a row.

    Raises:
        InvalidInputError: the files are not there or do not fit each other.
    """

    def __init__(self, path: Path, dimension: int) -> None:
        try:
            ids = np.load(path.with_suffix(".npy"), allow_pickle=False)
            if path.stat().st_size != len(ids) * dimension * 4 or ids.dtype != np.int64:
                raise InvalidInputError(f"{path} does not hold the vectors that it should")
            self._rows: NDArray[np.float32] = np.memmap(
                path, dtype="<f4", mode="r", shape=(len(ids), dimension)
            )
        except (OSError, ValueError) as error:
            raise InvalidInputError(f"{path} cannot be read ({error})") from error
        self.path = path
        self._place = np.argsort(ids)
        self._ids = ids[self._place]

    def __len__(self) -> int:
        return len(self._ids)

    def sample(self, most: int) -> Ids:
        """Ids of some rows, always the same ones: int64, (n,)."""
        chosen = np.random.default_rng(0).permutation(len(self))[:most]
        return np.asarray(self._ids[chosen])

    def get(self, ids: Ids) -> tuple[NDArray[np.bool_], Vectors]:
        """Which of the ids are here, and their embeddings as stored: float32, (n, dim)."""
        where = np.searchsorted(self._ids, ids)
        known = where < len(self._ids)
        known[known] = self._ids[where[known]] == ids[known]
        rows = np.asarray(self._rows[self._place[where[known]]])
        erased = ~rows.any(axis=1)
        if erased.any():
            known[np.flatnonzero(known)[erased]] = False
            rows = rows[~erased]
        return known, rows

    def erase(self, ids: Ids) -> None:
        """Make the rows of these clips zero, on disk."""
        where = np.searchsorted(self._ids, ids)
        known = where < len(self._ids)
        known[known] = self._ids[where[known]] == ids[known]
        if known.any() and self.path.exists():
            writable = np.memmap(self.path, dtype="<f4", mode="r+", shape=self._rows.shape)
            writable[self._place[where[known]]] = 0
            writable.flush()

    def move(self, folder: Path, name: str) -> None:
        """Rename the files; what is mapped stays mapped."""
        target = folder / name
        self.path.with_suffix(".npy").replace(target.with_suffix(".npy"))
        self.path.replace(target)
        self.path = target


class RowWriter:
    """Writes such files, part by part.

    Args:
        path: the file to make.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = path.open("wb")
        self._ids: list[Ids] = []

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Append rows."""
        self._ids.append(ids)
        self._file.write(np.ascontiguousarray(vectors, dtype="<f4").tobytes())

    def close(self, dimension: int) -> StoredRows:
        """The rows written, which are on disk."""
        with self._path.with_suffix(".npy").open("wb") as file:
            np.save(file, np.concatenate(self._ids))
            file.flush()
            os.fsync(file.fileno())
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return StoredRows(self._path, dimension)

    def abandon(self) -> None:
        """Remove what was written."""
        self._file.close()
        self._path.unlink(missing_ok=True)
        self._path.with_suffix(".npy").unlink(missing_ok=True)

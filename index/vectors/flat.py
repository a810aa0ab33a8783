"""Flat index, exact: FAISS inner product over every L2-normalised vector."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import faiss
import numpy as np
from numpy.typing import NDArray

from emotion_search.index.errors import InvalidInputError
from emotion_search.index.vectors.arrays import TIE, Ids, Vectors, checked, find
from emotion_search.index.vectors.base import Candidates
from emotion_search.index.vectors.mapped_rows import StoredRows

_SPARE = 16  # candidates beyond the limit, so that most ties at the end are seen at once


class FlatIndex:
    """A ``VectorIndex`` that compares the query with every vector."""

    kind: ClassVar[str] = "flat"
    fewest: ClassVar[int] = 0
    most: ClassVar[int] = 20_000  # beyond, a search takes several milliseconds
    estimates: ClassVar[bool] = False
    rows: StoredRows | None = None
    recall: float | None = None
    _order: tuple[Ids, NDArray[np.intp]] | None = None  # the ids, ascending, and where they are

    def __init__(self, dimension: int) -> None:
        self._faiss = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))

    @classmethod
    def training_size(cls, count: int) -> int:
        """None: there is nothing to train."""
        return 0

    @classmethod
    def trained(cls, sample: Vectors, count: int) -> FlatIndex:
        """An empty index for vectors as long as those of the sample: float32, (n, dim)."""
        return cls(sample.shape[1])

    @classmethod
    def load(cls, path: Path, details: Mapping[str, Any]) -> FlatIndex:
        """The index that ``save`` wrote; it has no details.

        Raises:
            InvalidInputError: the file is not such an index.
        """
        try:
            read = faiss.read_index(str(path))
        except RuntimeError as error:
            raise InvalidInputError(f"{path} is not a readable FAISS index") from error
        if not isinstance(read, faiss.IndexIDMap2):
            raise InvalidInputError(f"{path} is a FAISS index of another kind")
        index = cls.__new__(cls)
        index._faiss = read
        return index

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        return int(self._faiss.d)

    @property
    def count(self) -> int:
        """How many vectors are in it."""
        return int(self._faiss.ntotal)

    @property
    def spread(self) -> float:
        """Standard deviation of an estimate: rounding in float32."""
        return TIE / 4

    @property
    def trained_on(self) -> int:
        """As many as there are: there is nothing to train."""
        return self.count

    def ids(self) -> Ids:
        """All ids, in storage order."""
        return np.asarray(faiss.vector_to_array(self._faiss.id_map), dtype=np.int64)

    def get(self, ids: Ids) -> tuple[NDArray[np.bool_], Vectors]:
        """See ``VectorIndex.get``."""
        if self._order is None:
            own = self.ids()
            order = np.argsort(own)
            self._order = own[order], order
        known_ids, order = self._order
        known, where = find(known_ids, ids)
        inner: Any = faiss.downcast_index(self._faiss.index)
        rows = faiss.rev_swig_ptr(inner.get_xb(), self.count * self.dimension)
        return known, rows.reshape(self.count, self.dimension)[order[where]]

    def estimate(self, vector: Vectors, clip: int) -> float | None:
        """See ``VectorIndex.estimate``."""
        known, own = self.get(np.array([clip]))
        return float(own[0] @ vector) if known[0] else None

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Add ``vectors`` (float32, (n, dim)); an id that is there already is replaced.

        Raises:
            InvalidInputError: wrong length, zero or not finite; nothing was added.
        """
        ids, unit = checked(ids, vectors, self.dimension)
        known = self.ids()
        if len(known) and ids.min() <= known.max():
            self.remove(ids)
        self._faiss.add_with_ids(unit, ids)
        self._order = None

    def remove(self, ids: Ids) -> None:
        """Drop these ids; unknown ones are passed over."""
        if len(ids):
            self._order = None
            self._faiss.remove_ids(faiss.IDSelectorBatch(np.ascontiguousarray(ids)))

    def candidates(self, query: Vectors, rank: int, *, allowed: Ids | None = None) -> Candidates:
        """The vectors most like ``query`` (float32, (dim,), L2-normalised), a few more than
        ``rank``; see ``Estimator.candidates``."""
        parameters = None
        if allowed is not None:
            selector = faiss.IDSelectorBatch(np.ascontiguousarray(allowed))
            parameters = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]
        wanted = min(rank + _SPARE, self.count)
        if wanted == 0:
            return Candidates(np.empty(0, np.int64), np.empty(0), 0, complete=True)
        similarities, found = self._faiss.search(query[None], wanted, params=parameters)
        there = found[0] >= 0
        complete = wanted == self.count or not there.all()
        estimates = similarities[0][there].astype(np.float64)
        better = int(np.count_nonzero(estimates > estimates[-1] + TIE)) if len(estimates) else 0
        return Candidates(found[0][there], estimates, better, complete)

    def measure(self, queries: Vectors, nearest: Ids, cosines: Vectors, least: float) -> None:
        """Nothing to learn: every vector is looked at."""

    def details(self) -> Mapping[str, Any]:
        """Nothing beyond the file."""
        return {}

    def save(self, path: Path) -> None:
        """Write the index to a file."""
        faiss.write_index(self._faiss, str(path))

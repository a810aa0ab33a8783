"""Flat index, exact: FAISS inner product over every L2-normalised vector."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import faiss
import numpy as np
from numpy.typing import NDArray

from emotion_search.index.vectors.arrays import TIE, Ids, Vectors, checked, find
from emotion_search.index.vectors.base import Candidates, FaissIndex, read_faiss

_SPARE = 16  # candidates beyond the limit, so that most ties at the end are seen at once


class FlatIndex(FaissIndex):
    """A ``VectorIndex`` that compares the query with every vector."""

    kind: ClassVar[str] = "flat"
    most: ClassVar[int] = 20_000  # beyond, a search takes several milliseconds
    estimates: ClassVar[bool] = False
    _order: tuple[Ids, NDArray[np.intp]] | None = None  # the ids, ascending, and where they are

    def __init__(self, dimension: int) -> None:
        self._faiss = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))

    @classmethod
    def trained(cls, sample: Vectors, count: int) -> FlatIndex:
        """An empty index for vectors as long as those of the sample: float32, (n, dim)."""
        return cls(sample.shape[1])

    @classmethod
    def load(cls, path: Path, details: Mapping[str, Any]) -> FlatIndex:
        """See ``VectorIndex.load``; it has no details."""
        index = cls.__new__(cls)
        index._faiss = read_faiss(path, faiss.IndexIDMap2)
        return index

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

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """See ``VectorIndex.add``."""
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

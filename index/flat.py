"""The exact index: FAISS inner product over every L2-normalised vector."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from index.errors import InvalidInputError
from index.vectors import Ids, Vectors, normalise

_SPARE = 16  # candidates beyond k, so that most ties at the end are seen without a second pass
_RANKED = 4096  # candidates whose vectors are looked at together
_DIGITS = 6  # of a similarity; beyond, float32 vectors say nothing
_TIE = 2e-6  # closer float32 similarities than this may be equal in so many digits


class FlatIndex:
    """A ``VectorIndex`` that compares the query with every vector.

    Not safe for use from several threads at once: the caller holds a lock.
    """

    def __init__(self, dimension: int) -> None:
        self._faiss = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))

    @classmethod
    def load(cls, path: Path) -> FlatIndex:
        """The index that ``save`` wrote.

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

    def ids(self) -> Ids:
        """All ids, in storage order."""
        return np.asarray(faiss.vector_to_array(self._faiss.id_map), dtype=np.int64)

    def vectors(self, ids: Ids) -> Vectors:
        """The vectors of ``ids``, all of which are there: float32, (n, dim), L2-normalised."""
        return np.asarray(self._faiss.reconstruct_batch(np.ascontiguousarray(ids)))

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Add ``vectors`` (float32, (n, dim)); an id that is there already is replaced.

        Raises:
            InvalidInputError: wrong length, zero or not finite; nothing was added.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.dimension:
            raise InvalidInputError(
                f"vectors of shape {vectors.shape} in an index of {self.dimension} dimensions"
            )
        unit = normalise(vectors)
        last = len(ids) - 1 - np.unique(ids[::-1], return_index=True)[1]  # of a repeated id
        last.sort()
        known = self.ids()
        if len(known) and ids.min() <= known.max():
            self.remove(ids)
        self._faiss.add_with_ids(np.ascontiguousarray(unit[last]), np.ascontiguousarray(ids[last]))

    def remove(self, ids: Ids) -> None:
        """Drop these ids; unknown ones are passed over."""
        if len(ids):
            self._faiss.remove_ids(faiss.IDSelectorBatch(np.ascontiguousarray(ids)))

    def search(
        self, query: Vectors, k: int, *, allowed: Ids | None = None
    ) -> tuple[Ids, NDArray[np.float64]]:
        """Ids and cosines of the k vectors most like ``query``, best first, ties by id.

        Raises:
            InvalidInputError: the query has another length, is zero or not finite.
        """
        if query.shape != (self.dimension,):
            raise InvalidInputError(
                f"a query of shape {query.shape} to an index of {self.dimension} dimensions"
            )
        unit = normalise(query)[None]
        parameters = None
        if allowed is not None:
            selector = faiss.IDSelectorBatch(np.ascontiguousarray(allowed))
            parameters = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]
        wanted = min(k + _SPARE, self.count if allowed is None else len(allowed))
        if k <= 0 or wanted == 0:
            return np.empty(0, np.int64), np.empty(0, np.float64)
        similarities, found = self._faiss.search(unit, wanted, params=parameters)
        ids = found[0][found[0] >= 0]
        if len(ids) > k and similarities[0, k - 1] - similarities[0, len(ids) - 1] < _TIE:
            # Equal vectors run on past what was fetched: take them all, then choose by id.
            edge = float(similarities[0, k - 1]) - _TIE
            _, _, ids = self._faiss.range_search(unit, edge, params=parameters)
        return self._ranked(unit[0], ids, k)

    def save(self, path: Path) -> None:
        """Write the index to a file."""
        faiss.write_index(self._faiss, str(path))

    def _ranked(self, unit: Vectors, ids: Ids, k: int) -> tuple[Ids, NDArray[np.float64]]:
        """The best k of ``ids`` by cosine in float64, rounded, so that ties are exact."""
        if len(ids) == 0:
            return np.empty(0, np.int64), np.empty(0, np.float64)
        wide = unit.astype(np.float64)
        parts = [  # a part at a time: very many vectors may be equal
            (self.vectors(ids[i : i + _RANKED]).astype(np.float64) * wide).sum(axis=1)
            for i in range(0, len(ids), _RANKED)
        ]
        cosines = np.round(np.clip(np.concatenate(parts), -1.0, 1.0), _DIGITS)
        order = np.lexsort((ids, -cosines))[:k]
        return ids[order], cosines[order]

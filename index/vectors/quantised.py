"""Quantised index, for large archives: one bit a dimension, in inverted lists.

RaBitQ (Gao and Long, SIGMOD 2024) turns a vector, less the centre of its list and randomly rotated,
into the signs of its coordinates and two numbers, from which its cosine to a query is estimated
without bias; FAISS compares 32 such codes at a time. 1024 dimensions take 136 bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cached_property
from math import ceil, isqrt
from pathlib import Path
from typing import Any, ClassVar

import faiss
import numpy as np
from numpy.typing import NDArray

from emotion_search.index.vectors.arrays import Ids, Vectors, checked
from emotion_search.index.vectors.base import Candidates, FaissIndex, read_faiss
from emotion_search.index.vectors.mapped_rows import one_thread

_TRAINED_A_LIST = 48  # vectors, for each list, that the centres of the lists are trained on
_RANKS = (1, 10, 20, 50, 100, 200, 500, 1000)  # for which it is measured how far searches look
_MORE, _FEWEST = 2, 8  # times as many lists, for other queries lie further off; at least
_LEAST_DEPTH, _LEAST = 1.5, 64  # candidates for a rank, and at least
_DEEPEST = 8  # candidates for each neighbour that are looked at when it is measured
_ITERATIONS = 10
_SHIFT = 0.01  # by which centres are moved: a vector that lies on its centre would have no code


class QuantisedIndex(FaissIndex):
    """A ``VectorIndex`` of one-bit codes, whose estimates have to be checked on true vectors.

    Args:
        sample: float32, (n, dim), L2-normalised vectors to train on.
        count: how many there are in all.
    """

    kind: ClassVar[str] = "quantised"
    fewest: ClassVar[int] = 256  # that lists can be trained on
    most: ClassVar[int] = sys.maxsize

    def __init__(self, sample: Vectors, *, count: int) -> None:
        dimension = sample.shape[1]
        lists = min(_lists_for(count), max(1, len(sample) // 4))
        self._trained_on = count
        self._spread = 1.0
        self._measured: dict[int, tuple[int, int]] = {}  # by rank: see ``probes_and_depth``
        made: Any = faiss.index_factory(
            dimension, f"IVF{lists},RaBitQfs", faiss.METRIC_INNER_PRODUCT
        )
        self._faiss = made
        self._faiss.cp.niter = _ITERATIONS
        self._faiss.cp.min_points_per_centroid = 1
        turned = self._rotated(sample)
        self._faiss.train(turned)
        self._shift_centres()

    @classmethod
    def training_size(cls, count: int) -> int:
        """A number of vectors for each list."""
        return _TRAINED_A_LIST * _lists_for(count)

    @classmethod
    def trained(cls, sample: Vectors, count: int) -> QuantisedIndex:
        """An empty index for ``count`` vectors, trained on these, float32 (n, dim), unit length."""
        return cls(sample, count=count)

    @classmethod
    def load(cls, path: Path, details: Mapping[str, Any]) -> QuantisedIndex:
        """See ``VectorIndex.load``."""
        index = cls.__new__(cls)
        index._faiss = read_faiss(path, faiss.IndexIVFRaBitQFastScan)
        index._trained_on = int(details["trained_on"])
        index._spread = float(details["spread"])
        index._measured = {int(rank): (int(n), int(m)) for rank, (n, m) in details["reach"].items()}
        index.recall = details["recall"]
        return index

    @property
    def lists(self) -> int:
        """How many inverted lists it has."""
        return int(self._faiss.nlist)

    @property
    def spread(self) -> float:
        """Standard deviation of an estimate from the true cosine, as measured."""
        return self._spread

    @property
    def trained_on(self) -> int:
        """How many vectors there were when it was made."""
        return self._trained_on

    def ids(self) -> Ids:
        """All ids, list by list."""
        return np.concatenate([self.ids_in(one) for one in range(self.lists)])

    def ids_in(self, one: int) -> Ids:
        """The ids in a list, counted from 0."""
        size = self._faiss.invlists.list_size(one)
        if size == 0:
            return np.empty(0, np.int64)
        return np.array(faiss.rev_swig_ptr(self._faiss.invlists.get_ids(one), size), np.int64)

    def estimate(self, vector: Vectors, clip: int) -> float | None:
        """See ``VectorIndex.estimate``."""
        selector = faiss.IDSelectorBatch(np.array([clip]))
        parameters = faiss.SearchParametersIVF(nprobe=1, sel=selector)  # type: ignore[call-arg]
        with one_thread():
            found, ids = self._faiss.search(self._rotated(vector[None]), 1, params=parameters)
        return float(found[0, 0]) if ids[0, 0] == clip else None

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """See ``VectorIndex.add``."""
        ids, unit = checked(ids, vectors, self.dimension)
        if self.count and ids.min() <= self._highest:
            self.remove(ids)
        self._faiss.add_with_ids(self._rotated(unit), ids)
        self._highest = max(self._highest, int(ids.max()))

    def remove(self, ids: Ids) -> None:
        """Drop these ids; unknown ones are passed over."""
        if not len(ids):
            return
        if self.rows is not None:
            self.rows.erase(ids)
        lists = faiss.downcast_InvertedLists(self._faiss.invlists)
        wanted = np.unique(ids)
        for one in range(self.lists):
            known = self.ids_in(one)
            place = np.searchsorted(wanted, known)
            place[place == len(wanted)] = 0
            gone = np.flatnonzero(wanted[place] == known)
            if len(gone):
                self._remove_from(lists, one, gone)

    def candidates(self, query: Vectors, rank: int, *, allowed: Ids | None = None) -> Candidates:
        """The vectors that seem most like ``query`` (float32, (dim,), L2-normalised), as many as
        ``rank`` asks for; see ``Estimator.candidates``.

        Where ids are ``allowed`` all lists are looked into.
        """
        turned = self._rotated(query[None])
        probes, depth = self.probes_and_depth(rank)
        if allowed is not None:
            probes = self.lists
        selector = None if allowed is None else _selector(allowed, self._highest)
        wanted = min(depth, self.count)
        while wanted:
            parameters = faiss.SearchParametersIVF(nprobe=probes, sel=selector)  # type: ignore[call-arg]
            with one_thread():
                similarities, found = self._faiss.search(turned, wanted, params=parameters)
            there = found[0] >= 0
            if there.all() or probes >= self.lists:
                complete = bool(probes >= self.lists and not there.all()) or wanted == self.count
                estimates = similarities[0][there].astype(np.float64)
                return Candidates(found[0][there], estimates, rank, complete)
            probes = min(4 * probes, self.lists)
        return Candidates(np.empty(0, np.int64), np.empty(0), rank, complete=True)

    def probes_and_depth(self, rank: int) -> tuple[int, int]:
        """How many lists to look into, and how many candidates to take, for the truly best ``rank``
        vectors to be among them but for one in a thousand."""
        for known, (probes, depth) in self._measured.items():
            if known >= rank:
                return probes, depth
        if not self._measured:  # not measured yet
            return self.lists, self.count
        last = max(self._measured)
        return self.lists, ceil(rank * self._measured[last][1] / last)

    def measure(self, queries: Vectors, nearest: Ids, cosines: Vectors, least: float) -> None:
        """Learn from true neighbours how well it estimates, how many lists to look into, and how
        many candidates to take; see ``VectorIndex.measure``."""
        turned = self._rotated(queries)
        ranked = self._faiss.quantizer.search(turned, self.lists)[1]
        place = np.empty_like(ranked)
        np.put_along_axis(place, ranked, np.arange(1, self.lists + 1)[None], axis=1)
        wanted = np.unique(nearest)
        home = np.zeros(len(wanted), np.int64)
        for one in range(self.lists):
            home[np.isin(wanted, self.ids_in(one))] = one
        places = np.take_along_axis(place, home[np.searchsorted(wanted, nearest)], axis=1)
        parameters = faiss.SearchParametersIVF(nprobe=self.lists)  # type: ignore[call-arg]
        deepest = min(self.count, _DEEPEST * nearest.shape[1])
        with one_thread():
            estimates, found = self._faiss.search(turned, deepest, params=parameters)
        depths = np.full(nearest.shape, deepest)
        errors = []
        for row, ids in enumerate(found):
            order = np.argsort(ids)
            at = np.searchsorted(ids[order], nearest[row]).clip(max=deepest - 1)
            there = ids[order[at]] == nearest[row]
            depths[row, there] = order[at[there]] + 1
            errors.append(estimates[row, order[at[there]]] - cosines[row, there])
        self._spread = float(np.sqrt(np.mean(np.square(np.concatenate(errors)))))
        self._measured = {}
        for rank in [rank for rank in _RANKS if rank <= nearest.shape[1]]:
            depth = int(_reaching(depths[:, :rank], least))
            probes = _MORE * int(_reaching(places[:, :rank], least))
            self._measured[rank] = (
                min(max(probes, _FEWEST), self.lists),
                max(depth, ceil(_LEAST_DEPTH * rank), _LEAST),
            )

    def details(self) -> Mapping[str, Any]:
        """What was measured of it."""
        return {
            "trained_on": self._trained_on,
            "lists": self.lists,
            "spread": self._spread,
            "reach": {str(rank): pair for rank, pair in self._measured.items()},
            "recall": self.recall,
        }

    def _remove_from(self, lists: Any, one: int, places: NDArray[np.intp]) -> None:
        """Empty places (ascending) of a list; its last vectors move into the gaps.

        FAISS's own ``remove_ids`` (1.15.1) takes seconds where there are a million vectors, and
        leaves the bits of those that moved where they were, to which it adds the bits of later
        vectors: their estimates would be far off.
        """
        size = lists.list_size(one)
        blocks = -(-size // lists.n_per_block)
        codes = faiss.rev_swig_ptr(lists.get_codes(one), blocks * lists.block_size)
        codes = codes.reshape(blocks, lists.block_size)
        ids = faiss.rev_swig_ptr(lists.get_ids(one), size)
        nothing = np.zeros(lists.packer.code_size, np.uint8)
        for place in places[::-1].tolist():
            size -= 1
            if place != size:
                lists.packer.pack_1(lists.packer.unpack_1(codes, size), place, codes)
                ids[place] = ids[size]
            lists.packer.pack_1(nothing, size, codes)
        lists.resize(one, size)
        self._faiss.ntotal -= len(places)

    def _rotated(self, vectors: Vectors) -> Vectors:
        """The vectors, (n, dim), under a random rotation, the same every time: RaBitQ's errors are
        small only where no direction is special."""
        for order, left, right in self._turns:
            grids = vectors[:, order].reshape(-1, len(left), len(right))
            vectors = np.asarray(left @ grids @ right, np.float32).reshape(len(vectors), -1)
        return np.ascontiguousarray(vectors)

    @cached_property
    def _turns(self) -> list[tuple[NDArray[np.intp], Vectors, Vectors]]:
        """Two rotations, one after the other, of shuffled coordinates laid out as a grid: of its
        columns, and of its rows. For 1024 dimensions that is a sixteenth of the work of a full
        matrix, and every coordinate still goes into every other."""
        tall = next(n for n in range(isqrt(self.dimension), 0, -1) if self.dimension % n == 0)
        random = np.random.default_rng(0)

        def rotation(size: int) -> Vectors:
            turn = np.linalg.qr(random.normal(size=(size, size)))[0]
            return np.asarray(turn, np.float32)

        return [
            (random.permutation(self.dimension), rotation(tall), rotation(self.dimension // tall))
            for _ in range(2)
        ]

    @cached_property
    def _highest(self) -> int:
        return int(self.ids().max(initial=-1))

    def _shift_centres(self) -> None:
        quantizer = faiss.downcast_index(self._faiss.quantizer)
        centres = quantizer.reconstruct_n(0, self.lists)
        shift = np.random.default_rng(1).normal(size=centres.shape).astype(np.float32)
        shift *= _SHIFT / np.linalg.norm(shift, axis=1, keepdims=True)
        quantizer.reset()
        quantizer.add(centres + shift)


def _reaching(values: NDArray[Any], share: float) -> float:
    """The value that this share of all do not exceed."""
    ordered = np.sort(values, axis=None)
    return float(ordered[min(len(ordered) - 1, ceil(share * len(ordered)))])


def _lists_for(count: int) -> int:
    """How many inverted lists suit so many vectors: about the root, a power of two."""
    return int(2 ** max(2, round(np.log2(max(count, 1)) / 2)))


def _selector(allowed: Ids, highest: int) -> faiss.IDSelector:
    """The ids that count, for FAISS: a bitmap, or a set where ids are few among many."""
    if len(allowed) * 512 < highest:
        return faiss.IDSelectorBatch(np.ascontiguousarray(allowed))
    marks = np.zeros(highest + 8, np.bool_)
    marks[allowed[allowed <= highest]] = True
    return faiss.IDSelectorBitmap(np.packbits(marks, bitorder="little"))  # type: ignore[call-arg, arg-type]

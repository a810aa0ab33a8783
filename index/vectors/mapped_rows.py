"""Memory-mapped embeddings, in the index's space, in a file beside an index of codes.

Searches compare a hundred vectors each with the query; from here that takes a tenth of the time
that it takes from the database. What is not here is read there. When a clip is removed, or its
vector changes in the space, its row is made zero.

A file under way is called ``making-…``, and whoever makes it holds the lock beside it: one whose
lock is free belongs to nobody.
"""

from __future__ import annotations

import contextlib
import logging
import os
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path
from zlib import crc32

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from emotion_search.index.disk.permissions import FILE, make_file
from emotion_search.index.disk.sync import publish, sync
from emotion_search.index.errors import InvalidInputError, reason
from emotion_search.index.vectors.arrays import Ids, Vectors, find

log = logging.getLogger(__name__)

_UNDER_WAY = "making-"
_READ = 4096  # rows at a time
_SHARE = 1000  # fewest rows that are another thread's to compare
_HELPERS = min(7, (os.cpu_count() or 1) - 1)
_helpers = ThreadPoolExecutor(max(1, _HELPERS), "products")  # threads begin when they are needed


class StoredRows:
    """Rows of a file of float32 vectors, found by clip id.

    Args:
        path: the file; beside it lie the ids with a checksum of each and its row, ``.npy``.
        dimension: length of a row.
        lock: held for as long as no saved index names the file; None where one does.

    Raises:
        InvalidInputError: the files are not there or do not fit each other.
    """

    def __init__(self, path: Path, dimension: int, lock: FileLock | None = None) -> None:
        try:
            table = np.load(path.with_suffix(".npy"), allow_pickle=False)
            if table.dtype != np.int64 or table.ndim != 2 or len(table) != 2:
                raise InvalidInputError(f"{path} has no ids beside it")
            ids, self._sums = table
            if path.stat().st_size != len(ids) * dimension * 4:
                raise InvalidInputError(f"{path} does not hold the vectors that it should")
            mapped = np.memmap(path, dtype="<f4", mode="r", shape=(len(ids), dimension))
            self._rows: NDArray[np.float32] = mapped.view(np.ndarray)  # whose rows are taken faster
        except (OSError, ValueError) as error:
            raise InvalidInputError(f"{path} cannot be read ({reason(error)})") from error
        self.path = path
        self._lock = lock
        self._place = np.argsort(ids)
        self._ids = ids[self._place]
        self._pending_erasures = np.empty(0, np.intp)  # rows that could not be made zero yet

    def __len__(self) -> int:
        return len(self._ids)

    def sample(self, most: int) -> Ids:
        """Ids of some rows, always the same ones: int64, (n,)."""
        chosen = np.random.default_rng(0).permutation(len(self))[:most]
        return np.asarray(self._ids[chosen])

    def get(self, ids: Ids) -> tuple[NDArray[np.bool_], Vectors]:
        """Which of the ids are here, and their embeddings in the space: float32, (n, dim)."""
        known, places = self._find(ids)
        rows = np.asarray(self._rows[places])
        if (rows[:, 0] == 0).any():
            erased = ~rows.any(axis=1)
            known[np.flatnonzero(known)[erased]] = False
            rows = rows[~erased]
        return known, rows

    def products(self, query: Vectors, ids: Ids) -> tuple[NDArray[np.bool_], Vectors]:
        """Which of the ids have a row that was not erased, and the products of these with ``query``
        (float32, (dim,)): float32, (n,)."""
        known, places = self._find(ids)
        if len(places) > len(self) // 2:  # most of them: in the order of the file
            products = _shared(partial(_products, self._rows, query), len(self))[places]
        else:
            products = _shared(partial(_products_of, self._rows, query, places), len(places))
        zero = np.flatnonzero(products == 0)
        erased = zero[~self._rows[places[zero]].any(axis=1)]
        known[np.flatnonzero(known)[erased]] = False
        return known, np.delete(products, erased) if len(erased) else products

    def damaged(self) -> Ids:
        """Ids beside which, or with whose rows, the checksum is wrong: int64, (n,). All is read."""
        found = []
        for begin in range(0, len(self), _READ):
            part = slice(begin, begin + _READ)
            rows = self._rows[self._place[part]]
            sums = _checksums(self._ids[part], rows)
            wrong = (sums != self._sums[self._place[part]]) & rows.any(axis=1)
            found.append(self._ids[part][wrong])
        return np.concatenate(found) if found else np.empty(0, np.int64)

    def erase(self, ids: Ids) -> None:
        """Make the rows of these clips zero, on disk. Where that fails (a home that cannot be
        written to) it is left to ``flush_erasures``, and searches go on."""
        self._pending_erasures = np.concatenate([self._pending_erasures, self._find(ids)[1]])
        try:
            self.flush_erasures()
        except OSError as error:
            log.warning("vectors in %s cannot be erased yet (%s)", self.path, error)

    def flush_erasures(self) -> None:
        """Make zero what is still to be made zero.

        Raises:
            OSError: it cannot be written.
        """
        if not len(self._pending_erasures):
            return
        try:
            writable = np.memmap(self.path, dtype="<f4", mode="r+", shape=self._rows.shape)
        except FileNotFoundError:  # another process published other files in its place
            return
        writable[self._pending_erasures] = 0
        writable.flush()
        self._pending_erasures = self._pending_erasures[:0]

    def publish(self, folder: Path) -> None:
        """Give the files a name for a saved index to know them by; what is mapped stays mapped.

        Raises:
            FileNotFoundError: they are gone, for another process published its own.
            OSError: they cannot be written.
        """
        if self._lock is None:
            self.path.stat()
            self.flush_erasures()
            return
        self.flush_erasures()
        target = folder / f"vectors-{uuid.uuid4().hex}.f32"
        self.path.with_suffix(".npy").replace(target.with_suffix(".npy"))
        publish(self.path, target)
        _release(self._lock)
        self.path, self._lock = target, None

    def drop(self) -> None:
        """Remove the files if no saved index knows them; what is mapped stays mapped."""
        if self._lock is not None:
            _remove(self.path)
            _release(self._lock)
            self._lock = None

    def _find(self, ids: Ids) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
        """Which of the ids are here, and the places of these in the file."""
        known, where = find(self._ids, ids)
        return known, self._place[where]


class RowWriter:
    """Writes such files, part by part. If the disk does not take them, a warning is logged, and
    there are no rows: searches then read the database.

    Args:
        folder: where to make them.

    Raises:
        OSError: the folder cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / f"{_UNDER_WAY}{uuid.uuid4().hex}.f32"
        lock = self._path.with_suffix(".lock")
        self._lock = FileLock(lock, timeout=0, mode=FILE, thread_local=False)
        self._lock.acquire()
        self._file = make_file(self._path).open("wb")
        self._ids: list[Ids] = []
        self._sums: list[Ids] = []

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Append rows."""
        if self._file.closed:
            return
        rows = np.ascontiguousarray(vectors, dtype="<f4")
        self._ids.append(ids)
        self._sums.append(_checksums(ids, rows))
        try:
            self._file.write(rows.tobytes())
        except OSError as error:
            self._give_up(error)

    def close(self, dimension: int) -> StoredRows | None:
        """The rows written, which are on disk; None if the disk did not take them."""
        if self._file.closed:
            return None
        try:
            table = make_file(self._path.with_suffix(".npy"))
            np.save(table, [np.concatenate(self._ids), np.concatenate(self._sums)])
            self._file.close()
            sync(table)
            sync(self._path)
        except OSError as error:
            self._give_up(error)
            return None
        return StoredRows(self._path, dimension, self._lock)

    def abandon(self) -> None:
        """Remove what was written."""
        with contextlib.suppress(OSError):  # what a full disk did not take need not be written
            self._file.close()
        _remove(self._path)
        _release(self._lock)

    def _give_up(self, error: OSError) -> None:
        log.warning("vectors cannot be written beside the index (%s); it goes without", error)
        self.abandon()


def remove_abandoned(folder: Path) -> None:
    """Remove files under way whose maker is gone."""
    for stem in {file.stem for file in folder.glob(f"{_UNDER_WAY}*")}:
        lock = FileLock(folder / f"{stem}.lock", timeout=0, thread_local=False)
        try:
            lock.acquire()
        except Timeout:
            continue
        _remove(folder / f"{stem}.f32")
        _release(lock)


def _checksums(ids: Ids, rows: Vectors) -> Ids:
    """A checksum of each id and its row: int64, (n,)."""
    sums = (crc32(row.tobytes(), crc32(one.tobytes())) for one, row in zip(ids, rows, strict=True))
    return np.fromiter(sums, np.int64, len(ids))


def _shared(products: Callable[[slice], Vectors], count: int) -> Vectors:
    """Products of so many, part by part, for which memory is what one thread waits for: by several
    threads, and by this one what none of them has begun."""
    number = max(1, min(_HELPERS + 1, count // _SHARE))
    bounds = [count * i // number for i in range(number + 1)]
    mine, *parts = (slice(*span) for span in pairwise(bounds))
    others = [(_helpers.submit(products, part), part) for part in parts]
    found = [products(mine)]
    found += [products(part) if one.cancel() else one.result() for one, part in others]
    return np.concatenate(found)


def _products(rows: Vectors, query: Vectors, part: slice) -> Vectors:
    """Products of a part of the rows with ``query``: on some processors quicker than BLAS."""
    import faiss

    rows, query = rows[part], np.ascontiguousarray(query, np.float32)
    products = np.empty(len(rows), np.float32)
    given = [faiss.swig_ptr(array) for array in (products, query, rows)]
    faiss.fvec_inner_products_ny(*given, rows.shape[1], len(rows))  # type: ignore[attr-defined]
    return products


def _products_of(rows: Vectors, query: Vectors, places: NDArray[np.intp], part: slice) -> Vectors:
    """Products of the rows in a part of some places with ``query``, without a copy of them."""
    import faiss

    places = np.ascontiguousarray(places[part], np.int64)
    query = np.ascontiguousarray(query, np.float32)
    products = np.empty(len(places), np.float32)
    given = [faiss.swig_ptr(array) for array in (products, query, rows, places)]
    with one_thread():
        faiss.fvec_inner_products_by_idx(*given, rows.shape[1], 1, len(places))  # type: ignore[attr-defined]
    return products


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Within, FAISS uses this thread alone: others that it would wait for cost a single query more
    than they bring, most of all where the cores have other queries to answer."""
    import faiss

    usual = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(usual)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.with_suffix(".npy").unlink(missing_ok=True)


def _release(lock: FileLock) -> None:
    """Release a lock that nobody asks for again."""
    lock.release()
    Path(lock.lock_file).unlink(missing_ok=True)

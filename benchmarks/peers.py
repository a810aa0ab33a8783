"""Search at size beside graphs (hnswlib, FAISS HNSW, usearch) and an embedded database (LanceDB).

    pip install hnswlib usearch lancedb
    python -m benchmarks.peers --clips 100000 --dimension 1024

Every side has the same vectors and answers the same queries on one thread, each in a process of its
own; those that are not installed are left out. A side looks as deep as it must for recall@10 to
reach 0.999 on queries that are not timed, or as deep as it can. *ours* is what a program calls,
with filters, consistency and the details of hits; the graphs answer ids. The filter is a source
that a twentieth of the clips have.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __name__ != "__main__":  # before numpy's BLAS counts the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from benchmarks.machine import describe
from benchmarks.search import resident, timed
from benchmarks.vectors import clustered, fill_shares
from emotion_search.index.vectors.arrays import Vectors, normalise

DEPTHS = (16, 32, 64, 128, 256, 512, 1024)
ENOUGH = 0.999
REMOVED = 1000
Answer = Callable[[Vectors, int, bool], Any]
"""Ids of the ten nearest to a query, at a depth, among all or among those of the source."""


def hnswlib_side(vectors: Vectors, some: np.ndarray) -> tuple[Answer, Callable[[], None]]:
    import hnswlib

    graph = hnswlib.Index("ip", vectors.shape[1])
    graph.init_index(len(vectors), ef_construction=100, M=16)
    graph.add_items(vectors, num_threads=2)
    graph.set_num_threads(1)
    passing = np.zeros(len(vectors), bool)
    passing[some] = True

    def answer(query: Vectors, depth: int, filtered: bool) -> Any:
        graph.set_ef(depth)
        condition = passing.__getitem__ if filtered else None
        return graph.knn_query(query[None], 10, num_threads=1, filter=condition)[0][0]

    return answer, lambda: [graph.mark_deleted(i) for i in range(REMOVED)] and None


def faiss_side(vectors: Vectors, some: np.ndarray) -> tuple[Answer, None]:
    import faiss

    faiss.omp_set_num_threads(2)
    graph = faiss.IndexHNSWFlat(vectors.shape[1], 16, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = 100
    graph.add(vectors)
    faiss.omp_set_num_threads(1)
    selector = faiss.IDSelectorBatch(some)

    def answer(query: Vectors, depth: int, filtered: bool) -> Any:
        how = faiss.SearchParametersHNSW(efSearch=depth, sel=selector if filtered else None)
        return graph.search(query[None], 10, params=how)[1][0]

    return answer, None  # a graph of FAISS's cannot remove


def usearch_side(vectors: Vectors, _: np.ndarray) -> tuple[Answer, Callable[[], None]]:
    from usearch.index import Index

    graph = Index(ndim=vectors.shape[1], metric="ip", dtype="f32", connectivity=16)
    graph.add(np.arange(len(vectors)), vectors, threads=2)

    def answer(query: Vectors, depth: int, filtered: bool) -> Any:
        graph.expansion_search = depth
        return None if filtered else graph.search(query, 10, threads=1).keys  # it has no filters

    return answer, lambda: graph.remove(np.arange(REMOVED)) and None


def lancedb_side(vectors: Vectors, some: np.ndarray) -> tuple[Answer, Callable[[], None]]:
    import lancedb
    import pyarrow as pa

    passing = np.zeros(len(vectors), bool)
    passing[some] = True
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    rows = {"id": np.arange(len(vectors)), "source": passing, "vector": column}
    table = lancedb.connect(tempfile.mkdtemp()).create_table("clips", pa.table(rows))
    table.create_index(metric="dot", vector_column_name="vector", index_type="IVF_RQ")

    def answer(query: Vectors, depth: int, filtered: bool) -> Any:
        asked = table.search(query).distance_type("dot").select(["id", "source", "_distance"])
        asked = asked.limit(10).nprobes(depth).refine_factor(10)
        asked = asked.where("source", prefilter=True) if filtered else asked
        return np.array([row["id"] for row in asked.to_list()])

    return answer, lambda: table.delete(f"id < {REMOVED}") and None


def our_side(vectors: Vectors, _: np.ndarray) -> tuple[Answer, Callable[[], None]]:
    from emotion_search.index.database.connection import Database
    from emotion_search.index.database.filters import ClipFilter
    from emotion_search.index.database.models import active_model, archive_uuid
    from emotion_search.index.database.recordings import remove_recording
    from emotion_search.index.lifecycle.keeper import IndexKeeper
    from emotion_search.index.lifecycle.saved import IndexCache
    from emotion_search.index.search import Example, Searcher, Target
    from emotion_search.index.vectors.topk import Wish

    work = Path(tempfile.mkdtemp())
    database = Database(f"sqlite:///{work / 'archive.db'}")
    database.create_or_require()
    fill_shares(database, iter([vectors]), dimension=vectors.shape[1])
    with database.read() as session:
        model, uuid = active_model(session), archive_uuid(session)
    assert model is not None
    cache = IndexCache(work / "index", archive=uuid, model=model.fingerprint)
    searcher = Searcher(database, model, IndexKeeper(database, model, cache, asked="quantised"))
    searcher.refresh()
    wanted = {False: ClipFilter(), True: ClipFilter(sources=("some",))}

    def answer(query: Vectors, _: int, filtered: bool) -> Any:
        asked = Target([Example(query[None])], Wish(10), wanted=wanted[filtered])
        return np.array([hit.clip.id - 1 for hit in searcher.search(asked)])

    def remove() -> None:
        with database.write() as session:
            for i in range(1, REMOVED + 1):
                remove_recording(session, i)
        searcher.refresh()

    return answer, remove


SIDES = {
    "ours": ("numpy", our_side),
    "hnswlib": ("hnswlib", hnswlib_side),
    "FAISS HNSW": ("faiss", faiss_side),
    "usearch": ("usearch", usearch_side),
    "LanceDB": ("lancedb", lancedb_side),
}


def measure(name: str, clips: int, dimension: int, queries: int) -> None:
    """Measure one side, and print its row."""
    vectors = np.concatenate(list(clustered(clips, dimension)))
    random = np.random.default_rng(7)  # as ``fill_shares`` draws the sources
    kinds = np.digitize(random.random(clips), [0.001, 0.051, 0.251, 0.751])
    some = np.flatnonzero(kinds == 1)
    random = np.random.default_rng(99)
    drawn = vectors[random.choice(clips, 3 * queries, replace=False)].reshape(3, queries, -1)
    asked = normalise(drawn[0] + 0.2 * (drawn[1] - drawn[2]))
    true = {False: _nearest(asked, vectors, np.arange(clips)), True: _nearest(asked, vectors, some)}
    before = resident()
    began = time.perf_counter()
    answer, remove = SIDES[name][1](vectors, some)
    built = time.perf_counter() - began
    memory = resident() - before
    row = f"{name:<12}{built:>8.1f}{memory:>8.0f}"
    for filtered in (False, True):
        if answer(asked[0], DEPTHS[0], filtered) is None:
            row += f"{'-':>9}{'-':>8}"
            continue
        took, recall = _timed_and_found(answer, asked, true[filtered], filtered)
        row += f"{took:>9.2f}{recall:>8.4f}"
    row += f"{timed(remove):>10.0f}" if remove else f"{'-':>10}"
    print(row, flush=True)


def _timed_and_found(
    answer: Answer, asked: Vectors, true: np.ndarray, filtered: bool
) -> tuple[float, float]:
    """Milliseconds of a query, p50, and recall@10, of the second half of the queries."""
    half = len(asked) // 2
    for depth in DEPTHS:
        found = [answer(query, depth, filtered) for query in asked[:half]]
        if _recall(found, true[:half]) >= ENOUGH:
            break
    found = [answer(query, depth, filtered) for query in asked[half:]]
    took = [timed(lambda q=q: answer(q, depth, filtered)) for q in asked[half:]]
    return float(np.median(took)), _recall(found, true[half:])


def _nearest(asked: Vectors, vectors: Vectors, among: np.ndarray) -> np.ndarray:
    products = asked @ vectors[among].T
    return among[np.argpartition(-products, 10, axis=1)[:, :10]]


def _recall(found: list[Any], true: np.ndarray) -> float:
    shares = [np.isin(ids, one).sum() / 10 for ids, one in zip(found, true, strict=True)]
    return float(np.mean(shares))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=1024)
    parser.add_argument("--queries", type=int, default=200)
    given = parser.parse_args()
    names = [name for name, (package, _) in SIDES.items() if importlib.util.find_spec(package)]
    print(describe("faiss-cpu", "hnswlib", "usearch", "lancedb"))
    print("             build s     MiB   p50 ms  recall   5 %, ms  recall   1,000 removed, ms")
    for name in names:
        context = multiprocessing.get_context("spawn")
        one = context.Process(target=measure, args=(name, *vars(given).values()))
        one.start()
        one.join()


if __name__ == "__main__":
    main()

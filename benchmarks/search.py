"""Search at size beside FAISS's exact index: speed, recall, filters, memory, start, adding.

    python -m benchmarks.search --clips 100000 --dimension 1024
    python -m benchmarks.search --clips 1000000 --dimension 1024 --work /var/tmp/million
    python -m benchmarks.search --clips 100000 --real ../shared/data/emodb

The archive (in ``--work``, kept for the next run; ``--database`` for Postgres) is filled from a
fixed seed, or from real speech repeated with perturbation. Queries are embeddings like the others,
but not of the archive. Both sides use ``--threads`` threads, answer one query at a time, and take
turns after twenty.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

if "--threads" not in sys.argv:  # before numpy's BLAS counts the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import faiss
import numpy as np

from benchmarks.machine import describe, peak
from benchmarks.vectors import add, clustered, emodb_embeddings, fill_shares, repeated
from emotion_search.index.database.connection import Database
from emotion_search.index.database.embeddings import embeddings_in_order, stream
from emotion_search.index.database.filters import ClipFilter, matching_ids
from emotion_search.index.database.models import active_model, archive_uuid
from emotion_search.index.lifecycle.keeper import IndexKeeper
from emotion_search.index.lifecycle.saved import IndexCache
from emotion_search.index.search import Example, Searcher, Target, _Finder
from emotion_search.index.vectors.arrays import Vectors, cosines
from emotion_search.index.vectors.topk import Wish

BLOCK = 20
"""Queries that one side answers before it is the other's turn."""


def resident() -> float:
    """Resident memory that is not of mapped files, MiB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 1024


def timed(call: Callable[[], object]) -> float:
    """Milliseconds that a call takes."""
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def target(query: Vectors, limit: int = 10, wanted: ClipFilter | None = None) -> Target:
    """A search by a vector, one hit a recording or more."""
    return Target([Example(query[None])], Wish(limit), wanted=wanted or ClipFilter())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=1024)
    parser.add_argument("--real", type=Path)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--database")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    faiss.omp_set_num_threads(given.threads)
    print(describe())
    with contextlib.ExitStack() as stack:
        work = given.work or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        measure(given, work)


def measure(given: argparse.Namespace, work: Path) -> None:
    work.mkdir(parents=True, exist_ok=True)
    real = emodb_embeddings(given.real) if given.real else None
    dimension = given.dimension if real is None else real.shape[1]

    database = Database(given.database or f"sqlite:///{work / 'archive.db'}")
    database.create_or_require()
    with database.read() as session:
        model = active_model(session)
    source = (
        clustered(given.clips, dimension) if real is None else repeated(real, given.clips, seed=0)
    )
    if model is None:
        took = timed(lambda: fill_shares(database, source, dimension=dimension))
        print(f"filled with {given.clips} clips in {took / 1e3:.0f} s")
        with database.read() as session:
            model = active_model(session)
    assert model is not None
    with database.read() as session:
        uuid = archive_uuid(session)
        start = time.perf_counter()
        count = sum(len(ids) for ids, _ in stream(session, model))
        print(f"bulk read: {count / (time.perf_counter() - start):,.0f} vectors/s")

    def searcher() -> Searcher:
        cache = IndexCache(work / "index", archive=uuid, model=model.fingerprint)
        return Searcher(database, model, IndexKeeper(database, model, cache, asked="quantised"))

    before = resident()
    one = searcher()
    took = timed(one.keeper.save)
    print(f"index ready in {took / 1e3:.1f} s, resident memory {resident() - before:+.0f} MiB")
    before = resident()
    fresh = searcher()
    took = timed(fresh.refresh)
    print(f"start from the saved index {took / 1e3:.2f} s, resident {resident() - before:+.0f} MiB")
    with database.read() as session, one.keeper.at(session) as current:
        details = {k: v for k, v in current.index.details().items() if k != "probes"}
        print(f"{current.index.kind}: {details} {current.index.details()['probes']}")

    # Queries like the archive's clips but not of it.
    with database.read() as session:
        random = np.random.default_rng(99)
        ids = np.sort(random.choice(count, 3 * given.queries, replace=False) + 1)
        some = embeddings_in_order(session, model, ids)
        half = len(some) // 3
        queries = some[:half] + 0.2 * (some[half : 2 * half] - some[2 * half :])
        flat = faiss.IndexFlatIP(dimension)
        known = []
        for part, vectors in stream(session, model):
            flat.add(vectors)
            known.append(part)
    order = np.concatenate(known)
    unit = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    unit = unit.astype(np.float32)
    true, _ = flat.search(unit, 10)

    times: dict[str, list[float]] = {"flat": [], "index": [], "archive": []}
    found = 0
    with database.read() as session, one.keeper.at(session) as current:
        for begin in range(0, len(unit), BLOCK):
            for query in unit[begin : begin + BLOCK]:
                times["flat"].append(timed(lambda q=query: flat.search(q[None], 10)))
            for i, query in enumerate(unit[begin : begin + BLOCK], start=begin):
                start = time.perf_counter()
                finder = _Finder(session, current.space, target(query))
                _, similar = finder.by_index(current.index)
                times["index"].append((time.perf_counter() - start) * 1e3)
                found += int((similar >= true[i, -1] - 2e-6).sum())
    for query in unit:
        times["archive"].append(timed(lambda q=query: one.search(target(q))))
    middle = {name: float(np.median(some)) for name, some in times.items()}
    print(
        f"top 10 of {count}: flat {middle['flat']:.2f} ms, index {middle['index']:.2f} ms"
        f" ({middle['flat'] / middle['index']:.0f}x; p95 {np.percentile(times['index'], 95):.2f}),"
        f" recall@10 {found / (10 * len(unit)):.4f};"
        f" with hits' details {middle['archive']:.2f} ms"
    )
    index = one.keeper._current.index  # type: ignore[union-attr]
    if index.estimates:
        every = index._faiss
        turned = unit @ index._rotation
        parameters = faiss.SearchParametersIVF(nprobe=index.lists)  # type: ignore[call-arg]
        all_lists = [
            timed(lambda q=q: every.search(q[None], 96, params=parameters)) for q in turned[:50]
        ]
        print(f"codes of all lists alone: {np.median(all_lists):.2f} ms")

    print("filter        matches  unfiltered  filtered  by hand  recall@10")
    for name, wanted in {
        "0.0001 source": ClipFilter(sources=("rare",)),
        "0.01 source": ClipFilter(sources=("some",)),
        "0.5 source": ClipFilter(sources=("half",)),
        "0.0001 label": ClipFilter(labels=("rare",)),
        "0.01 label": ClipFilter(labels=("some",)),
        "0.5 label": ClipFilter(labels=("half",)),
        "0.01 time": _hours(count, 0.01),
        "0.5 time": _hours(count, 0.5),
    }.items():
        filtered, by_hand, right, wrong = [], [], 0, 0
        with database.read() as session, one.keeper.at(session) as current:
            for query in unit[:30]:
                finder = _Finder(session, current.space, target(query, wanted=wanted))
                start = time.perf_counter()
                ids, similar = finder.by_index(current.index)
                filtered.append((time.perf_counter() - start) * 1e3)
                start = time.perf_counter()
                allowed = matching_ids(session, wanted)
                rows = np.searchsorted(order, allowed)
                inside = flat.reconstruct_batch(rows)
                products = inside @ query
                best = np.argpartition(-products, min(10, len(products) - 1))[:10]
                by_hand.append((time.perf_counter() - start) * 1e3)
                exact = np.sort(cosines(query, inside[best]))[::-1]
                right += int((similar >= exact[-1] - 2e-6).sum())
                wrong += len(similar) != min(10, len(allowed)) or not np.isin(ids, allowed).all()
        print(
            f"{name:<14}{len(allowed):>7}{middle['index']:>10.2f}{np.median(filtered):>10.2f}"
            f"{np.median(by_hand):>9.2f}{right / 300:>10.4f}" + ("  WRONG" if wrong else "")
        )

    # Adding: a thousand clips more, seen by the next search.
    with database.read() as session:
        most = int(matching_ids(session, ClipFilter()).max())
    extra = random.normal(size=(1000, dimension)).astype(np.float32)
    with database.write() as session:
        for i, vector in enumerate(extra, start=most + 1):
            add(session, model, vector, f"{i}.wav", source="added")
    took = timed(lambda: one.search(target(extra[500], 1)))
    hit = one.search(target(extra[500], 1))[0]
    print(f"1000 clips added, seen by the next search in {took:.0f} ms: {hit.similarity:.4f}")
    remove(database)
    took = timed(lambda: one.search(target(extra[500], 1)))
    print(
        f"and gone again in {took:.0f} ms; peak {peak():.0f} MiB of which the flat peer has"
        f" {count * dimension * 4 / 2**20:.0f}"
    )


def _hours(count: int, share: float) -> ClipFilter:
    from datetime import UTC, datetime, timedelta

    start = datetime(2026, 1, 1, tzinfo=UTC)
    return ClipFilter(
        after=start + timedelta(minutes=count * 0.3),
        before=start + timedelta(minutes=count * (0.3 + share)),
    )


def remove(database: Database) -> None:
    """Remove them again."""
    from emotion_search.index.database.filters import recordings_of
    from emotion_search.index.database.recordings import remove_recording

    with database.read() as session:
        ids = recordings_of(session, ClipFilter(sources=("added",)))
    with database.write() as session:
        for i in ids:
            remove_recording(session, i)


if __name__ == "__main__":
    main()

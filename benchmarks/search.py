"""Search at size beside FAISS's exact index: speed, recall, filters, memory, start, adding.

    python -m benchmarks.search --clips 100000 --dimension 1024
    python -m benchmarks.search --clips 1000000 --dimension 1024 --work /var/tmp/million
    python -m benchmarks.search --clips 100000 --real ../shared/data/emodb
    python -m benchmarks.search --clips 1000000 --work … --engine milvus+http://127.0.0.1:19530

The archive (in ``--work``, kept for the next run; ``--database`` for Postgres) is filled from a
fixed seed, or from real speech repeated with perturbation. Queries are embeddings like the others,
but not of the archive, or, with ``--outside``, of another corpus. *search* is what a program calls,
with the details of ten hits, one a recording. Both sides use ``--threads`` threads, answer one
query at a time, and take turns after twenty, which were asked once before they are timed (what they
need is in memory then); the flat peer knows beforehand which clips pass. With ``--engine``, one
names candidates: it is sent what it has not yet, and nothing is added or labelled.
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
from typing import Any

if "--threads" not in sys.argv:  # before numpy's BLAS counts the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import faiss
import numpy as np

from benchmarks.machine import describe, peak
from benchmarks.vectors import add, clustered, emodb_embeddings, fill_shares, repeated
from emotion_search.index.database.connection import Database
from emotion_search.index.database.embeddings import embeddings_in_order, stream
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.labels import set_labels
from emotion_search.index.database.matching import matching_ids
from emotion_search.index.database.models import active_model, archive_uuid
from emotion_search.index.lifecycle.keeper import IndexKeeper
from emotion_search.index.lifecycle.saved import IndexCache
from emotion_search.index.lifecycle.shipping import Shipping
from emotion_search.index.search import Example, Searcher, Target
from emotion_search.index.vectors.arrays import Vectors
from emotion_search.index.vectors.kinds import IndexKind
from emotion_search.index.vectors.milvus import Milvus
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


def target(query: Vectors, limit: int = 10, **how: Any) -> Target:
    """A search by a vector, one hit a recording."""
    return Target([Example(query[None])], Wish(limit, per_recording=1), **how)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=1024)
    parser.add_argument("--real", type=Path)
    parser.add_argument("--outside", type=Path, help="queries of another corpus, .npy")
    parser.add_argument("--work", type=Path)
    parser.add_argument("--database")
    parser.add_argument("--engine", help="as EMOTION_SEARCH_INDEX")
    parser.add_argument("--home", type=Path, help="of the index, if not --work")
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
        home = given.home or work
        cache = IndexCache(home / "index", archive=uuid, model=model.fingerprint)
        shipping = Shipping(database, model, Milvus(given.engine), uuid) if given.engine else None
        asked: IndexKind = "engine" if shipping else "quantised"
        keeper = IndexKeeper(database, model, cache, asked=asked, shipping=shipping)
        return Searcher(database, model, keeper)

    before = resident()
    one = searcher()
    took = timed(one.keeper.save)
    print(f"index ready in {took / 1e3:.1f} s, resident memory {resident() - before:+.0f} MiB")
    before = resident()
    fresh = searcher()
    took = timed(fresh.refresh)
    print(f"start from the saved index {took / 1e3:.2f} s, resident {resident() - before:+.0f} MiB")
    with one.open() as snapshot:
        index = snapshot._loaded.index
    print(f"{index.kind}: {dict(index.details())}")

    # Queries like the archive's clips but not of it, or those of another corpus.
    with database.read() as session:
        random = np.random.default_rng(99)
        ids = np.sort(random.choice(count, 3 * given.queries, replace=False) + 1)
        some = embeddings_in_order(session, model, ids)
        half = len(some) // 3
        queries = some[:half] + 0.2 * (some[half : 2 * half] - some[2 * half :])
        if given.outside:
            queries = np.load(given.outside)[: given.queries]
        flat = faiss.IndexFlatIP(dimension)
        order = []
        for part, vectors in stream(session, model):
            flat.add(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
            order.append(part)
    place = np.argsort(np.concatenate(order))
    unit = (queries / np.linalg.norm(queries, axis=1, keepdims=True)).astype(np.float32)

    print("search            clips  p50 ms  p95 ms  flat, p50 ms  recall@10")
    for name, wanted in _filters(count).items():
        with database.read() as session:
            matching = matching_ids(session, wanted)
        chosen = faiss.SearchParameters(sel=faiss.IDSelectorBatch(place[matching - 1]))
        ours, theirs, right, hits = [], [], 0, 0
        for begin in range(0, len(unit), BLOCK):
            block = unit[begin : begin + BLOCK]
            best = []
            for query in block:
                theirs.append(timed(lambda q=query, p=chosen: flat.search(q[None], 10, params=p)))
                best.append(flat.search(query[None], 10, params=chosen)[0][0])
            for query, true in zip(block, best, strict=True):
                found = one.search(target(query, wanted=wanted))
                right += sum(hit.similarity >= true[-1] - 2e-6 for hit in found)
                hits += min(10, len(matching))
                assert len(found) == min(10, len(matching))
            again = [target(query, wanted=wanted) for query in block]
            ours += [timed(lambda asked=asked: one.search(asked)) for asked in again]
        print(
            f"{name:<15}{len(matching):>8}{np.median(ours):>8.2f}{np.percentile(ours, 95):>8.2f}"
            f"{np.median(theirs):>14.2f}{right / hits:>11.4f}"
        )
    exact = [timed(lambda q=q: one.search(target(q, exact=True))) for q in unit[:20]]
    alone = [timed(lambda q=q: flat.search(q[None], 10)) for q in unit[:20]]
    print(f"exact: {np.median(exact):.1f} ms, FAISS flat {np.median(alone):.1f} ms")
    noise = random.normal(size=(20, dimension)).astype(np.float32)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    right = sum(
        hit.similarity >= flat.search(query[None], 10)[0][0, -1] - 2e-6
        for query in noise
        for hit in one.search(target(query))
    )
    took = np.median([timed(lambda q=q: one.search(target(q))) for q in noise])
    print(f"queries like no clip (noise): {took:.1f} ms, recall@10 {right / 200:.4f}")
    if given.engine:
        return

    usual = np.median([timed(lambda q=q: one.search(target(q))) for q in unit[:50]])
    changed = []
    for i, query in enumerate(unit[:50], start=1):
        with database.write() as session:
            set_labels(session, [(i, "mood", str(i))])
        changed.append(timed(lambda q=query: one.search(target(q))))
    print(
        f"after a label of one clip was changed: {np.median(changed):.2f} ms, else {usual:.2f} ms"
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


def _filters(count: int) -> dict[str, ClipFilter]:
    """Filters that ever more clips pass."""
    shares = {"0.1 %": "rare", "5 %": "some", "20 %": "fifth", "50 %": "half"}
    return (
        {"all": ClipFilter()}
        | {f"source {share}": ClipFilter(sources=(name,)) for share, name in shares.items()}
        | {f"label {share}": ClipFilter(labels=(name,)) for share, name in shares.items()}
        | {f"time {share} %": _hours(count, share / 100) for share in (1, 50)}
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
    from emotion_search.index.database.recording_details import recordings_to_forget
    from emotion_search.index.database.recordings import remove_recording

    with database.read() as session:
        ids = recordings_to_forget(session, ClipFilter(sources=("added",)))
    with database.write() as session:
        for i in ids:
            remove_recording(session, i)


if __name__ == "__main__":
    main()

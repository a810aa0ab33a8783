"""Writers and readers in processes of their own on one database: nothing lost, doubled or stale.

    python -m benchmarks.many_processes --seconds 60
    python -m benchmarks.many_processes --seconds 60 --database postgresql+psycopg://…

Writers add recordings and remove some of theirs again. Readers, two with the exact index and two
with that of codes, search all the while: no hit may have been removed before the search
began, no clip may come twice, and no clip that was there all along may be missing that is more
alike than the last hit. The two of a kind share the folder of their saved index, and now and then
save it, or make it anew: what is in force at the end has to be whole, and nothing else there.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import select

from benchmarks.vectors import add
from emotion_search.index.database.connection import Database
from emotion_search.index.database.embeddings import stream
from emotion_search.index.database.models import ModelInfo, activate_model, archive_uuid
from emotion_search.index.database.recordings import remove_recording
from emotion_search.index.database.schema import Clip, Tombstone
from emotion_search.index.lifecycle.keeper import IndexKeeper
from emotion_search.index.lifecycle.saved import IndexCache
from emotion_search.index.search import Example, Searcher, Target
from emotion_search.index.vectors.arrays import Vectors, normalise
from emotion_search.index.vectors.kinds import IndexKind
from emotion_search.index.vectors.space import Space
from emotion_search.index.vectors.topk import Wish

DIMENSION = 16
FIRST = 400  # clips that are there from the beginning
KINDS: tuple[IndexKind, ...] = ("flat", "quantised")
REBUILT, SAVED = 0.01, 0.1  # share of searches after which a reader makes the index anew, or saves


def write(url: str, number: int, seconds: float, ready: Any, reports: Any) -> None:
    """Add and remove until the time is up; reports how many of each."""
    database = Database(url)
    model = opened(database)
    random = np.random.default_rng(number)
    own: list[int] = []
    added = removed = 0
    ready.wait()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with database.write() as session:
            for _ in range(int(random.integers(1, 4))):
                added += 1
                own.append(add(session, model, random_vector(random), f"{number}-{added}"))
        if len(own) > 20:
            with database.write() as session:
                for _ in range(int(random.integers(1, 6))):
                    remove_recording(session, own.pop(int(random.integers(len(own)))))
                    removed += 1
        time.sleep(float(random.uniform(0, 0.01)))
    database.close()
    reports.put(("writer", number, added, removed))


def read(
    url: str, folder: Path, asked: IndexKind, number: int, seconds: float, ready: Any, reports: Any
) -> None:
    """Search until the time is up; reports how often, and what was wrong."""
    database = Database(url)
    model = opened(database)
    with database.read() as session:
        cache = IndexCache(folder, archive=archive_uuid(session), model=model.fingerprint)
    searcher = Searcher(database, model, IndexKeeper(database, model, cache, asked=asked))
    searches, wrong = 0, []
    searcher.refresh()
    random = np.random.default_rng(number)
    ready.wait()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        query = normalise(random_vector(random))
        before = stored(database, model)
        hits = searcher.search(Target([Example(query[None])], Wish(10)))
        after = stored(database, model)
        searches += 1
        wrong += mistakes(query, before, after, [(h.clip.id, h.similarity) for h in hits])
        chance = random.uniform()
        if chance < REBUILT:
            searcher.keeper.rebuild()
        elif chance < SAVED:
            searcher.keeper.save()
    searcher.keeper.save()
    searcher.keeper.close()
    database.close()
    reports.put(("reader", asked, searches, wrong))


def mistakes(
    query: Vectors,
    before: dict[int, Vectors],
    after: dict[int, Vectors],
    hits: list[tuple[int, float]],
) -> list[str]:
    """What is wrong with hits, given the clips that were there before and after the search."""
    found = [clip for clip, _ in hits]
    last = max(before)  # ids go up: one that is not above was removed before the search began
    wrong = [f"stale {clip}" for clip in found if clip not in before and clip <= last]
    wrong += [f"doubled {clip}" for clip in set(found) if found.count(clip) > 1]
    if len(hits) < 10:
        wrong.append(f"only {len(hits)}")
    stayed = [clip for clip in before if clip in after and clip not in found]
    if stayed and hits:
        alike = np.stack([before[clip] for clip in stayed]) @ query
        wrong += [
            f"lost {clip}"
            for clip, cosine in zip(stayed, alike, strict=True)
            if cosine > hits[-1][1] + 1e-5
        ]
    return wrong


def faults(database: Database, folder: Path, kind: IndexKind) -> list[str]:
    """What is wrong with the index that readers left in a folder, given the database."""
    model = opened(database)
    with database.read() as session:
        cache = IndexCache(folder, archive=archive_uuid(session), model=model.fingerprint)
        gone = select(Tombstone.clip_id).where(Tombstone.model_id == model.id)
        loaded = cache.load(model, Space().fingerprint)
        if loaded is None:
            return ["nothing that can be loaded"]
        index, revision = loaded.index, loaded.revision
        erased = np.array(session.scalars(gone.where(Tombstone.revision <= revision)).all())
    wrong = [] if index.kind == kind else [f"an index of the kind {index.kind}"]
    if np.isin(erased, index.ids()).any() or (index.rows and index.rows.get(erased)[0].any()):
        wrong.append("holds what was removed")
    (current,) = folder.rglob("current.json")
    record = json.loads(current.read_text())
    columns = Path(record["file"]).with_suffix(".npz").name
    named = {current.name, ".lock", record["file"], columns}
    if record["rows"]:
        named |= {record["rows"], Path(record["rows"]).with_suffix(".npy").name}
    there = {file.name for file in folder.rglob("*") if file.is_file()}
    return wrong + [f"left {name}" for name in there - named]


def stored(database: Database, model: ModelInfo) -> dict[int, Vectors]:
    """Every clip and its vector, as the database has them now."""
    with database.read() as session:
        return {
            int(i): v
            for ids, vectors in stream(session, model)
            for i, v in zip(ids, normalise(vectors), strict=True)
        }


def opened(database: Database) -> ModelInfo:
    """The model of the archive, made where it is not there."""
    with database.write() as session:
        return activate_model(
            session, name="m", fingerprint="f" * 64, dimension=DIMENSION, classes=()
        )


def random_vector(random: np.random.Generator) -> Vectors:
    """A vector, float32 (``DIMENSION``,)."""
    return random.normal(size=DIMENSION).astype(np.float32)


def run(url: str, folder: Path, seconds: float) -> list[tuple]:
    """What two writers and four readers report after so many seconds, what is wrong with the saved
    indexes then, and the final comparison."""
    database = Database(url)
    database.create_or_require()
    model = opened(database)
    random = np.random.default_rng(0)
    with database.write() as session:
        for i in range(FIRST):
            add(session, model, random_vector(random), f"first-{i}")
    spawn = multiprocessing.get_context("spawn")
    reports = spawn.Queue()
    ready = spawn.Barrier(6, timeout=120)
    processes = [
        spawn.Process(target=write, args=(url, n, seconds, ready, reports)) for n in (1, 2)
    ]
    processes += [
        spawn.Process(target=read, args=(url, folder / kind, kind, n, seconds, ready, reports))
        for kind in KINDS
        for n in (1, 2)
    ]
    for process in processes:
        process.start()
    results = [reports.get(timeout=seconds + 120) for _ in processes]
    for process in processes:
        process.join()
    with database.read() as session:
        clips = len(session.scalars(select(Clip.id)).all())
    results += [("saved", kind, faults(database, folder / kind, kind)) for kind in KINDS]
    database.close()
    kept = FIRST + sum(line[2] - line[3] for line in results if line[0] == "writer")
    results.append(("clips", clips, kept))
    return sorted(results, key=str)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--database")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for line in run(given.database or f"sqlite:///{folder / 'a.db'}", folder, given.seconds):
            print(*line)


if __name__ == "__main__":
    main()

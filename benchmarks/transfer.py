"""Export, import and the trend of an archive of many clips: time and memory.

    python -m benchmarks.transfer --clips 100000
    python -m benchmarks.transfer --clips 100000 --dimension 1024 --classes 0 --steps import rows
    python -m benchmarks.transfer --clips 100000 --dimension 1024 --database postgresql+psycopg://…

Random embeddings (256 dimensions, eight classes, 20 clips a recording, two years) are taken in by
``import``, which makes the index as well, then exported and summed up by week. Each step runs in a
process of its own. ``rows`` is the peer of ``import``: the vectors alone, by ``executemany`` into a
bare SQLite table.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.machine import describe, measured, peak

STEPS = ("rows", "import", "trend", "export.npy", "export.parquet", "export.csv")
CLASSES = ("angry", "disgusted", "fearful", "happy", "neutral", "other", "sad", "surprised")


def make(folder: Path, clips: int, dimension: int, per_recording: int, scored: bool) -> None:
    """``x.npy`` and ``rows.csv`` of that many clips."""
    random = np.random.default_rng(0)
    out = np.lib.format.open_memmap(folder / "x.npy", "w+", np.float32, (clips, dimension))
    head = [
        "path",
        "start",
        "end",
        "source",
        "recorded_at",
        *(f"score:{c}" for c in CLASSES if scored),
    ]
    start = np.datetime64("2024-01-01")
    with (folder / "rows.csv").open("w") as table:
        table.write(",".join(head) + "\n")
        for begin in range(0, clips, 10_000):
            size = min(10_000, clips - begin)
            out[begin : begin + size] = random.normal(size=(size, dimension))
            scores = random.dirichlet(np.full(8, 0.3), size)
            for i, row in enumerate(scores, start=begin):
                call, number = divmod(i, per_recording)
                day = start + call * 730 // (clips // per_recording + 1)
                cells = [f"c{call}.wav", 5 * number, 5 * number + 5, f"desk{call % 7}", day]
                cells += [f"{s:.5f}" for s in row if scored]
                table.write(",".join(map(str, cells)) + "\n")


def rows(folder: Path) -> None:
    """The vectors into a bare SQLite table."""
    vectors = np.load(folder / "x.npy", mmap_mode="r")
    with sqlite3.connect(folder / "bare.db") as bare:
        bare.execute("CREATE TABLE bare (id INTEGER PRIMARY KEY, vector BLOB)")
        bare.executemany("INSERT INTO bare (vector) VALUES (?)", ((v.tobytes(),) for v in vectors))


def step(name: str, folder: Path, database: str | None) -> None:
    """One command in this process; prints seconds and peak memory as JSON."""
    from emotion_search.engine.library.library import Library
    from emotion_search.engine.settings import load_settings

    settings = load_settings(home=folder / "home", database_url=database, tune_at=0)
    with Library.open(settings, create=True) as library:
        began = time.perf_counter()
        if name == "rows":
            rows(folder)
        elif name == "import":
            library.import_embeddings(folder / "x.npy", folder / "rows.csv", model="random")
        elif name == "trend":
            assert len(library.trend_over("week").buckets) > 100
        else:
            library.export(folder / name, kind=name.removeprefix("export."), overwrite=True)
        seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "peak": peak()}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--dimension", type=int, default=256)
    parser.add_argument("--per-recording", type=int, default=20)
    parser.add_argument("--classes", type=int, choices=[0, len(CLASSES)], default=len(CLASSES))
    parser.add_argument("--steps", nargs="*", choices=STEPS, default=STEPS)
    parser.add_argument("--database", help="of a Postgres, new for each number of clips")
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        step(options.step[0], Path(options.step[1]), options.database)
        return
    print(describe("numpy", "sqlalchemy", "pyarrow"))
    print("\nclips     step              seconds   clips a second   peak MiB")
    for clips in options.clips:
        with tempfile.TemporaryDirectory() as work:
            folder = Path(work)
            make(folder, clips, options.dimension, options.per_recording, bool(options.classes))
            database = ("--database", options.database) if options.database else ()
            for name in options.steps:
                command = ("-m", "benchmarks.transfer", "--step", name, str(folder), *database)
                result = json.loads(measured(*command)[2])
                print(
                    f"{clips:<9} {name:<16} {result['seconds']:>8.1f}"
                    f" {clips / result['seconds']:>16,.0f} {result['peak']:>10.0f}"
                )


if __name__ == "__main__":
    main()

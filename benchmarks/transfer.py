"""Export, import and the trend of an archive of many clips: time and memory.

    python -m benchmarks.transfer --clips 100000

Random embeddings (256 dimensions, eight classes, 20 clips a recording, two years) are taken in by
``import``, then exported and summed up by week. Each step runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.machine import describe, measured, peak

CLASSES = ("angry", "disgusted", "fearful", "happy", "neutral", "other", "sad", "surprised")


def make(folder: Path, clips: int) -> None:
    """``x.npy`` and ``rows.csv`` of that many clips."""
    random = np.random.default_rng(0)
    out = np.lib.format.open_memmap(folder / "x.npy", "w+", np.float32, (clips, 256))
    head = ["path", "start", "end", "source", "recorded_at", *(f"score:{c}" for c in CLASSES)]
    start = np.datetime64("2024-01-01")
    with (folder / "rows.csv").open("w") as table:
        table.write(",".join(head) + "\n")
        for begin in range(0, clips, 10_000):
            size = min(10_000, clips - begin)
            out[begin : begin + size] = random.normal(size=(size, 256))
            scores = random.dirichlet(np.full(8, 0.3), size)
            for i, row in enumerate(scores, start=begin):
                call, number = divmod(i, 20)
                day = start + call * 730 // (clips // 20 + 1)
                cells = [f"c{call}.wav", 5 * number, 5 * number + 5, f"desk{call % 7}", day]
                table.write(
                    ",".join(map(str, cells)) + "," + ",".join(f"{s:.5f}" for s in row) + "\n"
                )


def step(name: str, folder: Path) -> None:
    """One command in this process; prints seconds and peak memory as JSON."""
    from emotion_search.engine.library.library import Library
    from emotion_search.engine.settings import load_settings

    with Library.open(load_settings(home=folder / "home", tune_at=0), create=True) as library:
        began = time.perf_counter()
        if name == "import":
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
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        step(options.step[0], Path(options.step[1]))
        return
    print(describe("numpy", "sqlalchemy", "pyarrow"))
    print("\nclips     step              seconds   clips a second   peak MiB")
    for clips in options.clips:
        with tempfile.TemporaryDirectory() as work:
            folder = Path(work)
            make(folder, clips)
            for name in ("import", "trend", "export.npy", "export.parquet", "export.csv"):
                command = ("-m", "benchmarks.transfer", "--step", name, str(folder))
                result = json.loads(measured(*command)[2])
                print(
                    f"{clips:<9} {name:<16} {result['seconds']:>8.1f}"
                    f" {clips / result['seconds']:>16,.0f} {result['peak']:>10.0f}"
                )


if __name__ == "__main__":
    main()

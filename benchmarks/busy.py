"""Ingest on a machine that others use too, and beside the bare embedder, for both kinds of model.

    python -m benchmarks.busy --audio ../shared/data/emodb

Taken in turn: the bare embedder, an ingest, one beside a process that never rests, one beside such
a process a core. Bars: ingest at least 0.95 of the bare embedder; seconds beside one at most 1.5
times those of the quiet machine, beside one a core at most 3 times. Emotion2vec has random weights
of the base architecture. The machine must be quiet otherwise: `load` says how far it was.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.ingest import run, short_files
from benchmarks.machine import describe
from emotion_search.engine.machine.threads import cores
from tests.checkpoints import BASE, make_checkpoint


@contextlib.contextmanager
def busy(processes: int) -> Iterator[None]:
    """Within, so many processes never rest."""
    running = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)
    ]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--clips", type=int, nargs=2, default=(1000, 200), help="of either model")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(describe("torch", "numpy", "av"))
    cases = {"bare": ("bare", 0), "ingest": ("ingest", 0), "beside one": ("ingest", 1)}
    cases[f"beside {cores()}"] = ("ingest", cores())
    with tempfile.TemporaryDirectory() as place:
        checkpoint = make_checkpoint(Path(place, "base"), conf=BASE)
        for model, number in zip(("voice", str(checkpoint)), options.clips, strict=True):
            folder = Path(place, str(number))
            short_files(options.audio, folder, number)
            print(f"\n{Path(model).name}, {number} clips, seconds; load {os.getloadavg()[0]:.1f}")
            print("".join(f"{name:>12}" for name in cases))
            found: dict[str, list[float]] = {name: [] for name in cases}
            for _ in range(options.rounds):
                for name, (role, others) in cases.items():
                    with busy(others):
                        found[name].append(run(role, folder, model)[0])
                print("".join(f"{times[-1]:>12.1f}" for times in found.values()), flush=True)
            bare, quiet, *beside = (statistics.median(times) for times in found.values())
            ratios = [f"ingest by bare, throughput {bare / quiet:.2f}"]
            for name, seconds in zip(list(cases)[2:], beside, strict=True):
                ratios.append(f"{name} by quiet, seconds {seconds / quiet:.2f}")
            print("; ".join(ratios))


if __name__ == "__main__":
    main()

"""The built-in models: throughput on one core, and the first answer of a cold search by a file.

python -m benchmarks.builtin_speed --manifest ../shared/data/emodb/labels.csv
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

import numpy as np
import torch

from benchmarks.machine import describe, measured
from emotion_search.engine.audio.file import SAMPLE_RATE, decode
from emotion_search.engine.embedders.base import Embedder
from emotion_search.engine.embedders.registry import load_embedder
from emotion_search.engine.settings import Settings

MODELS = ("voice", "acoustic")


def throughput(embedder: Embedder, clips: list[np.ndarray], rounds: int) -> float:
    """Seconds of audio a second of processor time, the best of some rounds."""
    embedder.embed(clips[:2])
    found = []
    for _ in range(rounds):
        began = time.process_time()
        embedder.embed(clips)
        found.append(sum(map(len, clips)) / SAMPLE_RATE / (time.process_time() - began))
    return max(found)


def cold_search(model: str, manifest: Path, example: Path, runs: int) -> tuple[float, bool]:
    """Seconds of ``search FILE`` in a new process, the median; and whether it imports FunASR."""
    with tempfile.TemporaryDirectory() as home:
        program, place = ("-m", "emotion_search.cli"), ("--home", home)
        ingest = (*program, "ingest", "--manifest", str(manifest), "--model", model, *place)
        measured(*ingest, quiet=True)
        copy = Path(home) / "unknown.wav"  # other bytes than any the archive has
        import soundfile

        soundfile.write(copy, decode(example)[1600:], SAMPLE_RATE)
        search = (*program, "search", str(copy), *place)
        seconds = [measured(*search, quiet=True)[0] for _ in range(runs)]
        traced = [sys.executable, "-X", "importtime", *search]
        imports = subprocess.run(traced, check=True, capture_output=True, text=True)
        return statistics.median(seconds), "| funasr" in imports.stderr


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with options.manifest.open() as file:
        paths = [options.manifest.parent / row["path"] for row in csv.DictReader(file)]
    speech = np.concatenate([decode(path) for path in paths])
    print(describe("torch", "numpy"))
    print(
        f"one thread, decoded speech, processor time\n{'':<20}"
        + "".join(f"{name:>16}" for name in MODELS)
    )
    embedders = [load_embedder(name, Settings(device="cpu")) for name in MODELS]
    for seconds in (1, 3, 8, 15, 60):
        size = seconds * SAMPLE_RATE
        clips = [speech[i * size : (i + 1) * size] for i in range(max(1, 120 // seconds))]
        rates = [throughput(embedder, clips, options.rounds) for embedder in embedders]
        print(
            f"clips of {seconds:>2} s      " + "".join(f"{rate:>6.0f}x realtime" for rate in rates)
        )
    del os.environ["OMP_NUM_THREADS"]
    for name in MODELS:
        median, funasr = cold_search(name, options.manifest, paths[0], options.rounds)
        print(
            f"{name}: cold search by a file {median:.2f} s (median, wall); imports funasr: {funasr}"
        )


if __name__ == "__main__":
    main()

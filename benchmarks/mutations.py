"""Damaged audio files of every format: each is read or refused, nothing crashes, nothing hangs.

python -m benchmarks.mutations --files 5000
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from benchmarks.machine import describe
from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.audio.workers import Decoders
from emotion_search.index.errors import AudioError
from tests.formats import ENCODED, WRITTEN, write_as


def mutated(data: bytes, random: np.random.Generator) -> bytes:
    """The bytes with one to three injuries: flips, noise, cuts, doublings, zeros."""
    out = bytearray(data)
    for _ in range(int(random.integers(1, 4))):
        at = int(random.integers(len(out) if random.random() < 0.5 else min(len(out), 200)))
        size = int(random.integers(1, 64))
        kind = int(random.integers(6))
        if kind == 0:
            out[at] ^= 1 << int(random.integers(8))
        elif kind == 1:
            out[at : at + size] = random.bytes(len(out[at : at + size]))
        elif kind == 2:
            del out[at : at + size]
        elif kind == 3:
            out[at:at] = out[max(0, at - size) : at]
        elif kind == 4:
            out[at : at + size] = bytes(len(out[at : at + size]))
        else:
            del out[max(1, int(random.integers(len(out)))) :]
        if not out:
            out = bytearray(b"\0")
    return bytes(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    random = np.random.default_rng(options.seed)
    found: dict[str, Counter[str]] = {}
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        voice = 0.5 * speak("anger", speaker=0, seed=0, seconds=0.7)
        whole = {
            ending: write_as(Path(folder, "whole"), voice, ending).read_bytes()
            for ending in [*WRITTEN, *ENCODED]
        }
        decoders = Decoders(timeout=10.0)
        for i in range(options.files):
            ending = list(whole)[i % len(whole)]
            path = Path(folder, f"damaged.{ending}")
            path.write_bytes(mutated(whole[ending], random))
            began = time.perf_counter()
            try:
                for _ in decoders.read(path, [None]):
                    pass
                outcome = "read"
            except AudioError as error:
                text = str(error)
                outcome = "refused"
                if "kills its decoder" in text:
                    outcome = "CRASHED"
                    print(f"{ending}: {text}", file=sys.stderr)
                if "given up" in text:
                    outcome = "HUNG"
            slowest = max(slowest, time.perf_counter() - began)
            found.setdefault(ending, Counter())[outcome] += 1
        decoders.close()
    print(describe("soundfile", "av"))
    print(f"{options.files} damaged files, seed {options.seed}; slowest {slowest:.2f} s\n")
    kinds = ("read", "refused", "CRASHED", "HUNG")
    print(f"{'format':<12}" + "".join(f"{kind:>9}" for kind in kinds))
    for ending, counts in found.items():
        print(f"{ending:<12}" + "".join(f"{counts[kind]:>9}" for kind in kinds))
    total: Counter[str] = sum(found.values(), Counter())
    print(f"{'all':<12}" + "".join(f"{total[kind]:>9}" for kind in kinds))


if __name__ == "__main__":
    main()

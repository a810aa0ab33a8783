"""Load time and peak memory beside FunASR's, and memory over the length of a recording.

    python -m benchmarks.embedding_memory

Every row is a process of its own. Loading: the large architecture with random weights, then one
clip of 1 s; `idle` is a process that has only imported torch and numpy. Lengths: frames of a
recording by `emotion-search embed`, on a small checkpoint so that ten hours take minutes.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.machine import describe, measured
from emotion_search.engine.audio.synthetic_voices import speak

OURS = """
import sys, numpy
from pathlib import Path
from emotion_search.engine.embedders.emotion2vec.model import Emotion2vec
model = Emotion2vec(Path(sys.argv[1]), name="x", device="cpu")
model.embed([numpy.ones(16000, numpy.float32)])
"""
THEIRS = """
import sys, numpy
from funasr import AutoModel
model = AutoModel(model=sys.argv[1], disable_update=True, disable_pbar=True, device="cpu")
model.generate(numpy.ones(16000, numpy.float32), granularity="utterance", extract_embedding=True)
"""
IDLE = "import torch, numpy"
MAKE = """
import sys
from pathlib import Path
from tests.checkpoints import LARGE, make_checkpoint
make_checkpoint(Path(sys.argv[1]), conf=LARGE if sys.argv[2] == "large" else None)
"""


def recording(path: Path, seconds: int) -> Path:
    """A FLAC of synthetic speech."""
    speech = np.concatenate([speak("anger", speaker=s, seed=s) for s in range(30)])
    with soundfile.SoundFile(path, "w", 16_000, 1) as file:
        for _ in range(0, seconds, 60):
            file.write(speech[: min(60, seconds) * 16_000])
    return path


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    print(describe("funasr", "torch"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        large, small = str(folder / "large"), str(folder / "small")
        for checkpoint, size in ((large, "large"), (small, "small")):
            # Not here: a child's peak begins at its parent's.
            measured("-c", MAKE, checkpoint, size, quiet=True)
        weights = (folder / "large" / "model.pt").stat().st_size / 2**20
        print(f"\nloading, weights of {weights:.0f} MiB     seconds   peak MiB")
        for title, code in (("idle", IDLE), ("ours", OURS), ("FunASR", THEIRS)):
            seconds, peak, _ = measured("-c", code, large, quiet=True)
            print(f"{title:<32} {seconds:>8.1f} {peak / 2**20:>10.0f}")
        print("\nlength of the recording           seconds   peak MiB")
        for title, length in (("10 s", 10), ("10 min", 600), ("1 h", 3600), ("10 h", 36_000)):
            file = recording(folder / "x.flac", length)
            out = folder / f"out-{length}"
            command = ("-m", "emotion_search.cli", "embed", str(file), "--output-dir", str(out))
            options = ("--model", small, "--granularity", "frame", "--home", str(folder / "home"))
            seconds, peak, _ = measured(*command, *options, quiet=True)
            frames = np.load(out / "x.npy", mmap_mode="r").shape[0]
            print(f"{title:<32} {seconds:>8.1f} {peak / 2**20:>10.0f}   {frames} frames")


if __name__ == "__main__":
    main()

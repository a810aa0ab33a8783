"""How far the embedding of a long recording in windows is from that of the whole.

    python -m benchmarks.embedding_windows --audio ../shared/data/emodb

Files are chained to recordings of a minute. `utterance` is what `emotion-search embed` writes: the
mean over windows of 15 s; `frames` the mean of its frames, whose windows overlap. Random weights of
the base architecture: the figures are indicative only. `--model FOLDER` takes real ones.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.machine import describe
from emotion_search.engine.audio.file import SAMPLE_RATE, decode
from emotion_search.engine.audio.windows import FixedWindows, cut
from emotion_search.engine.embedders.emotion2vec.model import Emotion2vec
from emotion_search.engine.files.scan import find_audio
from emotion_search.engine.inference.frames import stream_frames
from tests.checkpoints import BASE, make_checkpoint

LENGTH = 60 * SAMPLE_RATE


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--recordings", type=int, default=3)
    options = parser.parse_args()
    print(describe("torch"))
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = options.model or make_checkpoint(Path(folder), conf=BASE)
        model = Emotion2vec(checkpoint, name="x", device="cpu")
        files = [Path(file.path) for file in find_audio([str(options.audio)]).files]
        speech = np.concatenate([decode(file) for file in files])
        print(f"{'recording':<12} {'utterance':>10} {'frames':>10}   cosine to the whole")
        for number in range(options.recordings):
            recording = speech[number * LENGTH : (number + 1) * LENGTH]
            whole = model.embed([recording]).vectors[0]
            parts = [w.samples for w in cut([recording], FixedWindows(15.0))]
            mean = np.average(model.embed(parts).vectors, axis=0, weights=[len(p) for p in parts])
            frames = np.concatenate([p.vectors for p in stream_frames([recording], model)])
            print(
                f"{number:<12} {cosine(mean, whole):>10.5f}"
                f" {cosine(frames.mean(axis=0), whole):>10.5f}"
            )


if __name__ == "__main__":
    main()

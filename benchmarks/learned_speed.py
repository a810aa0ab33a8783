"""How long cluster, map, train, classify and suggest take on many embeddings, in what memory.

    python -m benchmarks.learned_speed --clips 100000 --dimension 256

The embeddings are made up: twenty blobs by two hundred speakers, every tenth clip labelled by its
blob's emotion, one in ten of those wrongly. Each step is a run of the program; memory is the
run's peak.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.machine import describe, measured
from benchmarks.vectors import fill
from emotion_search.index.database.connection import Database
from emotion_search.index.database.models import activate_model

BATCH = 5000
SPEAKERS, BLOBS, EMOTIONS = 200, 20, ("anger", "happiness", "neutral", "sadness")


def make(home: Path, clips: int, dimension: int) -> None:
    """An archive of made-up embeddings."""
    rng = np.random.default_rng(0)
    blobs = rng.normal(size=(BLOBS, dimension))
    voices = 0.5 * rng.normal(size=(SPEAKERS, dimension))
    database = Database(f"sqlite:///{home / 'archive.db'}")
    database.create_or_require()
    with database.write() as session:
        model = activate_model(
            session, name="made", fingerprint="f" * 64, dimension=dimension, classes=EMOTIONS
        )
    for begin in range(0, clips, BATCH):
        n = min(BATCH, clips - begin)
        blob, who = rng.integers(BLOBS, size=n), rng.integers(SPEAKERS, size=n)
        vectors = blobs[blob] + voices[who] + rng.normal(size=(n, dimension))
        scores = rng.dirichlet(np.ones(len(EMOTIONS)), size=n)
        labels: list[str | None] = [None] * n
        for row in range(9, n, 10):
            labels[row] = EMOTIONS[(blob[row] + (rng.random() < 0.1)) % 4]
        with database.write() as session:
            fill(
                session,
                model,
                vectors,
                begin + 1,
                scores=scores,
                sources=[f"source {one % 3}" for one in blob],
                speakers=[f"speaker {one}" for one in who],
                labels=labels,
            )
    database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=256)
    parser.add_argument("--only", action="append", help="steps whose name contains this")
    options = parser.parse_args()
    print(describe("scikit-learn", "numpy", "faiss-cpu"))
    print(f"{options.clips} embeddings of {options.dimension} dimensions in SQLite\n")
    with tempfile.TemporaryDirectory() as folder:
        place = ("--home", folder)
        make(Path(folder), options.clips, options.dimension)
        steps = {
            "status (to compare)": ("status",),
            "cluster, k by silhouette": ("cluster", "--name", "a", "--json"),
            "cluster -k 20": ("cluster", "--name", "b", "-k", "20", "--json"),
            "cluster --method hdbscan": ("cluster", "--name", "c", "--method", "hdbscan", "--json"),
            "map --method pca, 5000 points": ("map", "--html", f"{folder}/map.html"),
            "map --method pca, 50000 points": ("map", "--json", "--limit", "50000"),
            "train": ("train", "--task", "emotion", "--json"),
            "classify": ("classify", "--task", "emotion"),
            "suggest": ("suggest", "--task", "emotion", "--json"),
        }
        for name, arguments in steps.items():
            if options.only and not any(part in name for part in options.only):
                continue
            seconds, peak, out = measured("-m", "emotion_search.cli", *arguments, *place)
            summary = ""
            if arguments[0] in ("cluster", "train"):
                record = json.loads(out)
                summary = f"k = {record['k']}" if "k" in record else ""
                if "provenance" in record:
                    labelled = record["provenance"]
                    summary = ", ".join(
                        f"{m} {v['value']:.3f}" for m, v in labelled["compared"].items()
                    )
                    found = labelled["calibration"]
                    summary += f"; {found['kind']}: {found['kinds'][found['kind']]}"
            print(f"{name:<32}{seconds:>8.1f} s{peak / 1e6:>8.0f} MB   {summary}", flush=True)


if __name__ == "__main__":
    main()

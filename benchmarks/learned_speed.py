"""How long cluster, map, train, classify and suggest take on many embeddings, in what memory.

    python benchmarks/learned_speed.py --clips 100000 --dimension 256

The embeddings are made up: twenty blobs by two hundred speakers, every tenth clip labelled by its
blob's emotion, one in ten of those wrongly. Each step is a run of the program; memory is the
run's peak.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from sqlalchemy import insert

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import describe  # noqa: E402
from emotion_search.index.database.connection import Database  # noqa: E402
from emotion_search.index.database.labels import set_labels  # noqa: E402
from emotion_search.index.database.models import activate_model, next_revision  # noqa: E402
from emotion_search.index.database.schema import Clip, Embedding, Recording  # noqa: E402

BATCH = 5000
SPEAKERS, BLOBS, EMOTIONS = 200, 20, ("anger", "happiness", "neutral", "sadness")


def fill(home: Path, clips: int, dimension: int) -> None:
    """An archive of made-up embeddings."""
    from datetime import UTC, datetime

    rng = np.random.default_rng(0)
    blobs = rng.normal(size=(BLOBS, dimension))
    voices = 0.5 * rng.normal(size=(SPEAKERS, dimension))
    database = Database(f"sqlite:///{home / 'archive.db'}")
    database.create_or_require()
    for begin in range(0, clips, BATCH):
        n = min(BATCH, clips - begin)
        blob, who = rng.integers(BLOBS, size=n), rng.integers(SPEAKERS, size=n)
        vectors = blobs[blob] + voices[who] + rng.normal(size=(n, dimension))
        ids = range(begin + 1, begin + n + 1)
        with database.write() as session:
            model = activate_model(
                session, name="made", fingerprint="f" * 64, dimension=dimension, classes=EMOTIONS
            )
            revision = next_revision(session, model.id)
            session.execute(
                insert(Recording),
                [
                    {
                        "id": i,
                        "sha256": f"{i:064x}",
                        "name": f"{i}.wav",
                        "source": f"source {blob[i - begin - 1] % 3}",
                        "speaker": f"speaker {who[i - begin - 1]}",
                        "duration": 3.0,
                        "sample_rate": 16_000,
                        "channels": 1,
                        "ingested_at": datetime.now(UTC),
                    }
                    for i in ids
                ],
            )
            session.execute(
                insert(Clip),
                [{"id": i, "recording_id": i, "start": 0.0, "end": 3.0} for i in ids],
            )
            scores = rng.dirichlet(np.ones(len(EMOTIONS)), size=n).astype("<f4")
            session.execute(
                insert(Embedding),
                [
                    {
                        "clip_id": i,
                        "model_id": model.id,
                        "revision": revision,
                        "vector": vectors[i - begin - 1].astype("<f4").tobytes(),
                        "scores": scores[i - begin - 1].tobytes(),
                    }
                    for i in ids
                ],
            )
            labelled = [
                (i, "emotion", EMOTIONS[(blob[i - begin - 1] + (rng.random() < 0.1)) % 4])
                for i in ids
                if i % 10 == 0
            ]
            set_labels(session, labelled)
    database.close()


def run(*arguments: str) -> tuple[float, int, str]:
    """Wall seconds, peak resident bytes and output of one run of the program."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen([sys.executable, str(ROOT / "cli.py"), *arguments], stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{' '.join(arguments)} failed")
        out.seek(0)
        return time.perf_counter() - began, usage.ru_maxrss * 1024, out.read()


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
        fill(Path(folder), options.clips, options.dimension)
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
            seconds, peak, out = run(*arguments, *place)
            summary = ""
            if arguments[0] in ("cluster", "train"):
                record = json.loads(out)
                summary = f"k = {record['k']}" if "k" in record else ""
                if "provenance" in record:
                    labelled = record["provenance"]
                    summary = ", ".join(
                        f"{m} {v['value']:.3f}" for m, v in labelled["compared"].items()
                    )
                    error = labelled["calibration"]
                    summary += f"; {error['kind']}: off by {error['error']:.3f}"
                    summary += f", bare {error['bare_error']:.3f}"
            print(f"{name:<32}{seconds:>8.1f} s{peak / 1e6:>8.0f} MB   {summary}", flush=True)


if __name__ == "__main__":
    main()

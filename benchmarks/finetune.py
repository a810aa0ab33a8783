"""Fine-tuning on labels by some speakers, judged on others: UAR of the base, a new head, layers.

    python -m benchmarks.finetune --manifest ../shared/data/emodb/labels.csv --column text

Every fold keeps some speakers for the test; of the rest some are stopped by. Figures are pooled
over folds, each clip judged by a model not tuned on its speaker; the intervals are
95 %, bootstrapped over speakers. What the base was trained on is for you to know.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np

from benchmarks.machine import describe
from emotion_search.engine.audio.workers import Decoders
from emotion_search.engine.embedders.registry import absolute, load_embedder
from emotion_search.engine.finetune.examples import Example, decode_examples, examples_of_manifest
from emotion_search.engine.finetune.run import finetune
from emotion_search.engine.finetune.tune import Plan
from emotion_search.engine.quality.measure import measure
from emotion_search.engine.settings import Settings

ROUNDS = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--column", default="label", help="of the manifest: what to learn")
    parser.add_argument("--base", default="acoustic")
    parser.add_argument("--without", nargs="*", default=[], help="speakers to leave out wholly")
    parser.add_argument("--layers", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=Plan.epochs)
    parser.add_argument("--rate", type=float)
    given = parser.parse_args()
    print(describe("torch", "numpy"))
    with tempfile.TemporaryDirectory() as folder, closing(Decoders(60)) as decoders:
        run(given, Path(folder), decoders)


def run(given: argparse.Namespace, folder: Path, decoders: Decoders) -> None:
    """Prints a row for each number of layers."""
    examples = read(given, folder)
    speakers = sorted({one.group for one in examples})
    settings = Settings(home=folder, device="cpu")
    names, labels = np.unique([one.label for one in examples], return_inverse=True)
    groups = np.array([one.group for one in examples])
    print(
        f"{given.base}: {len(examples)} clips, {len(speakers)} speakers, {given.folds} folds,"
        f" {len(names)} classes (chance {1 / len(names):.3f})"
    )
    for layers in given.layers:
        predicted = np.empty(len(examples), dtype=np.int64)
        began = time.perf_counter()
        for fold in range(given.folds):
            test = tuple(speakers[fold :: given.folds])
            plan = Plan(layers=layers, test=test, epochs=given.epochs, rate=given.rate)
            done = finetune(
                lambda: examples,
                absolute(given.base),
                folder / f"{layers}-{fold}",
                plan,
                settings,
                decoders,
                source="a benchmark",
                command="python -m benchmarks.finetune",
            )
            model = load_embedder(str(done.model), settings)
            rows = np.flatnonzero(np.isin(groups, test)).tolist()
            for clip in decode_examples([examples[row] for row in rows], decoders):
                predicted[rows[clip.id]] = model.embed([clip.samples]).scores[0].argmax()
            if layers == given.layers[0] and done.judged["test"].own is not None:
                print(f"base's own scores, fold {fold}: UAR {done.judged['test'].own:.3f}")
        uar = measure(labels, predicted, groups, len(names), rounds=ROUNDS).uar
        name = "head alone" if not layers else f"head and top {layers}"
        found = f"UAR {uar.value:.3f} [{uar.low:.3f}, {uar.high:.3f}]"
        print(f"{name:<16} {found}   {(time.perf_counter() - began) / 60:.1f} min", flush=True)


def read(given: argparse.Namespace, folder: Path) -> list[Example]:
    """The clips of the manifest, labelled by a column of it."""
    with given.manifest.open(newline="", encoding="utf-8-sig") as file:
        rows = [row for row in csv.DictReader(file) if row["speaker"] not in given.without]
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["path", "label", "speaker"])
        for row in rows:
            path = given.manifest.resolve().parent / row["path"]
            out.writerow([path, row[given.column], row["speaker"]])
    return examples_of_manifest(folder / "labels.csv", "emotion")


if __name__ == "__main__":
    main()

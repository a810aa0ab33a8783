"""Query by example with the built-in model beside eGeMAPS, on labelled speech.

    pip install opensmile        # development only; its licence is not commercial
    python -m benchmarks.retrieval_quality --manifest ../shared/data/emodb/labels.csv \\
        --fold emodb_03,emodb_08=f1.safetensors --fold emodb_09,emodb_10=f2.safetensors …

Every clip asks for others of its label among clips of other speakers. eGeMAPSv02 functionals are
z-scored over the corpus. ``--fold SPEAKERS=WEIGHTS`` names weights trained without some speakers:
those speakers' queries are then answered by them, gallery included. ``--weights NAME=FILE`` adds a
row for weights not trained on the corpus.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.machine import describe
from emotion_search.engine.audio.file import decode
from emotion_search.engine.embedders.acoustic.model import Acoustic
from emotion_search.engine.quality.labelled import LabelledVectors
from emotion_search.engine.quality.retrieval import Gallery, Judged, judge
from emotion_search.engine.quality.summary import over_classes, over_queries

Vectors = np.ndarray


def egemaps(clips: list[np.ndarray]) -> Vectors:
    """eGeMAPSv02 functionals, (n, 88), z-scored over these clips."""
    import opensmile

    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    rows = np.stack([smile.process_signal(clip, 16_000).to_numpy()[0] for clip in clips])
    return ((rows - rows.mean(axis=0)) / (rows.std(axis=0) + 1e-9)).astype(np.float32)


def centred(vectors: Vectors) -> Vectors:
    """L2-normalised, less their mean: what ``tune`` does without labels."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return (unit - unit.mean(axis=0)).astype(np.float32)


def by_folds(
    folds: list[tuple[list[str], Path]],
    embed: Callable[[Path], Vectors],
    data: Callable[[Vectors], LabelledVectors],
    speakers: np.ndarray,
) -> Judged:
    """Each speaker's queries judged under weights not trained on the speaker."""
    parts = []
    for names, path in folds:
        queries = np.flatnonzero(np.isin(speakers, names))
        parts.append(judge(data(embed(path)), Gallery.SPEAKER, queries))
    return Judged(
        np.concatenate([part.queries for part in parts]),
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.chance for part in parts]),
        sum(part.unanswerable for part in parts),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--fold", action="append", default=[], metavar="SPEAKERS=WEIGHTS")
    parser.add_argument("--weights", action="append", default=[], metavar="NAME=WEIGHTS")
    options = parser.parse_args()
    with options.manifest.open() as file:
        rows = list(csv.DictReader(file))
    clips = [decode(options.manifest.parent / row["path"]) for row in rows]
    labels, speakers = (np.array([row[name] for row in rows]) for name in ("label", "speaker"))
    names = np.array([row["path"] for row in rows])

    def data(vectors: Vectors) -> LabelledVectors:
        return LabelledVectors(vectors, labels, speakers, names, "")

    def embed(path: Path) -> Vectors:
        return Acoustic(path).embed(clips).vectors

    print(describe("torch", "numpy", "opensmile"))
    print(f"{options.manifest}: {len(rows)} clips, {len(set(speakers))} speakers, other-speaker")
    print("galleries; intervals are 95 %, bootstrapped over speakers\n")
    print(f"{'':<34}{'mAP':<24}{'P@10':>6}{'macro mAP':>12}{'macro P@10':>12}{'x chance':>10}")
    peer = judge(data(egemaps(clips)), Gallery.SPEAKER)
    found = {"eGeMAPSv02, z-scored": peer}
    for pair in options.weights:
        name, _, path = pair.rpartition("=")
        found[name] = judge(data(embed(Path(path))), Gallery.SPEAKER)
        found[f"{name}, centred"] = judge(data(centred(embed(Path(path)))), Gallery.SPEAKER)
    folds = [(pair.split("=")[0].split(","), Path(pair.split("=")[1])) for pair in options.fold]
    if folds:
        found["acoustic, speakers left out"] = by_folds(folds, embed, data, speakers)
    above = (peer.values[:, 0] - peer.chance[:, 0]).mean()
    for name, judged in found.items():
        asked = judged.queries
        micro = over_queries(judged.values, speakers[asked], rounds=1000, seed=0)
        macro = over_classes(judged.values, labels[asked], speakers[asked], rounds=0, seed=0)
        quality = f"{micro[0].value:.3f} [{micro[0].low:.3f}, {micro[0].high:.3f}]"
        ratio = (judged.values[:, 0] - judged.chance[:, 0]).mean() / above
        print(
            f"{name:<34}{quality:<24}{micro[2].value:>6.3f}{macro[0].value:>12.3f}"
            f"{macro[2].value:>12.3f}{ratio:>10.2f}"
        )
    print(
        f"\nchance: mAP {peer.chance[:, 0].mean():.3f}; x chance: mAP above chance beside eGeMAPS"
    )


if __name__ == "__main__":
    main()

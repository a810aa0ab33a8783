"""Query by example and class scores of the built-in models beside eGeMAPS, on labelled speech.

    pip install opensmile        # development only; its licence is not commercial
    python -m benchmarks.retrieval_quality --manifest labels.csv --model voice --model acoustic
    python -m benchmarks.retrieval_quality --manifest ../shared/data/emodb/labels.csv \\
        --fold emodb_03,emodb_08=f1.voice.safetensors --fold emodb_09,emodb_10=f2.voice.safetensors

Every clip asks for others of its label among clips of other speakers. eGeMAPSv02 functionals are
z-scored over the corpus. ``centred`` is less the mean of the corpus, ``baselines`` less the mean of
the speaker, shrunk by five clips towards the corpus's. Triplets: a clip, one of its label by
somebody else saying something else, and one of another label, which shares nothing with it, or what
is said (column ``text``), or who says it, or both; right if the first is nearer. ``--model`` adds
rows for a model or a file of weights. ``--fold SPEAKERS=WEIGHTS`` names weights trained without
some speakers: those speakers' queries are then answered by them, gallery included. Class scores are
looked at on clips whose label is one of the eight classes.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.machine import describe
from emotion_search.engine.audio.file import decode
from emotion_search.engine.embedders.base import Embedder
from emotion_search.engine.embedders.registry import load_embedder
from emotion_search.engine.quality.labelled import LabelledVectors
from emotion_search.engine.quality.retrieval import Gallery, Judged, judge
from emotion_search.engine.quality.summary import over_classes, over_queries
from emotion_search.engine.settings import Settings
from emotion_search.engine.training.objective import CLASSES, class_of
from emotion_search.index.vectors.baselines import GROUP_PRIOR

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


def baselines(vectors: Vectors, speakers: np.ndarray) -> Vectors:
    """Centred, less the mean of the speaker, shrunk by a prior of five clips."""
    less = centred(vectors)
    for speaker in np.unique(speakers):
        mine = less[speakers == speaker]
        less[speakers == speaker] -= mine.sum(axis=0) / (len(mine) + GROUP_PRIOR)
    return less


def triplets(vectors: Vectors, labels: np.ndarray, speakers: np.ndarray, texts: np.ndarray) -> str:
    """Shares of triplets that are right, by what the distractor shares with the anchor."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    random, similar = np.random.default_rng(0), unit @ unit.T
    right: dict[str, list[bool]] = {"nothing": [], "text": [], "speaker": [], "both": []}
    for i in range(len(unit)):
        alike, mine, same_text = labels == labels[i], speakers == speakers[i], texts == texts[i]
        (positives,) = np.nonzero(alike & ~mine & ~same_text)
        shared = (~mine & ~same_text, ~mine & same_text, mine & ~same_text, mine & same_text)
        for kind, which in zip(right, shared, strict=True):
            (others,) = np.nonzero(which & ~alike)
            if len(positives) and len(others):
                pairs = (
                    similar[i, random.choice(positives, 6)],
                    similar[i, random.choice(others, 6)],
                )
                right[kind] += (pairs[0] > pairs[1]).tolist()
    return "  ".join(f"{kind} {100 * np.mean(hits):.0f} %" for kind, hits in right.items() if hits)


def judged_scores(scores: Vectors, labels: np.ndarray) -> str:
    """UAR among the classes that there are and among all, and expected calibration error."""
    meant = np.array([class_of(label) for label in labels])
    known = np.array([CLASSES[one] != "other" for one in meant])
    meant, scores = meant[known], scores[known]
    own = np.unique(meant)
    predicted, among = scores.argmax(axis=1), own[scores[:, own].argmax(axis=1)]
    sure, right = scores.max(axis=1), predicted == meant
    bins = np.minimum((sure * 10).astype(int), 9)
    gap = sum(abs((right[bins == b]).sum() - sure[bins == b].sum()) for b in range(10)) / len(meant)
    uar = [np.mean([(of[meant == one] == one).mean() for one in own]) for of in (among, predicted)]
    return f"UAR own classes {uar[0]:.3f}  eight {uar[1]:.3f}  calibration error {gap:.3f}"


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
    parser.add_argument("--model", action="append", default=[], metavar="NAME")
    options = parser.parse_args()
    with options.manifest.open() as file:
        rows = list(csv.DictReader(file))
    clips = [decode(options.manifest.parent / row["path"]) for row in rows]
    labels, speakers = (np.array([row[name] for row in rows]) for name in ("label", "speaker"))
    names = np.array([row["path"] for row in rows])
    texts = np.array([row.get("text") or row["path"] for row in rows])

    def data(vectors: Vectors) -> LabelledVectors:
        return LabelledVectors(vectors, labels, speakers, names, "")

    def embed(path: Path) -> Vectors:
        return load_embedder(str(path), Settings(device="cpu")).embed(clips).vectors

    print(describe("torch", "numpy", "opensmile"))
    print(f"{options.manifest}: {len(rows)} clips, {len(set(speakers))} speakers, other-speaker")
    print("galleries; intervals are 95 %, bootstrapped over speakers\n")
    print(f"{'':<34}{'mAP':<24}{'P@10':>6}{'macro mAP':>12}{'macro P@10':>12}{'x chance':>10}")
    peer = judge(data(egemaps(clips)), Gallery.SPEAKER)
    found = {"eGeMAPSv02, z-scored": peer}
    lines = []
    for name in options.model:
        embedder: Embedder = load_embedder(name, Settings(device="cpu"))
        vectors = embedder.embed(clips).vectors
        spaces = {"centred": centred(vectors), "baselines": baselines(vectors, speakers)}
        found[name] = judge(data(vectors), Gallery.SPEAKER)
        for space, moved in spaces.items():
            found[f"{name}, {space}"] = judge(data(moved), Gallery.SPEAKER)
            shares = triplets(moved, labels, speakers, texts)
            lines.append(f"{name}, {space}: triplets right, the distractor sharing {shares}")
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        for how, centre in {"as they are": None, "adapted": unit.mean(axis=0)}.items():
            scores = judged_scores(embedder.scores(vectors, centre), labels)
            lines.append(f"{name}, scores {how}: {scores}")
    folds = [(pair.split("=")[0].split(","), Path(pair.split("=")[1])) for pair in options.fold]
    if folds:
        found["speakers left out"] = by_folds(folds, embed, data, speakers)
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
    print(*lines, sep="\n")


if __name__ == "__main__":
    main()

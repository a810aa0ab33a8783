"""Classifiers and clusters on labelled real speech, beside eGeMAPS on the same folds.

    pip install opensmile        # development only; its licence is not commercial
    python -m benchmarks.learned_quality --manifest ../shared/data/emodb/labels.csv

Each clip is classified by a classifier not trained on its speaker; UAR with 95 % intervals
bootstrapped over speakers. eGeMAPSv02 functionals go through the same classifiers and splits. The
weights of the model ``acoustic`` were trained on EMO-DB with all its speakers, so there its row
shows what those weights remember; the rows *statistics* are the part of its vector that is not
trained on labels (the last 64 dimensions: principal components of plain statistics).
``--fold SPEAKERS=WEIGHTS`` names weights trained without some speakers, which then
are classified by their embeddings. Clusters are judged by adjusted mutual information with emotion
and with speaker, 0 for clusters that have nothing to do with it.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from sklearn.metrics import adjusted_mutual_info_score as shared

from benchmarks.machine import describe
from benchmarks.retrieval_quality import egemaps
from emotion_search.engine.audio.file import decode
from emotion_search.engine.classify.compare import compare, held_out_scores, splits_of
from emotion_search.engine.classify.examples import Examples, examples_of
from emotion_search.engine.classify.methods import METHODS
from emotion_search.engine.clusters.density import fit_dense
from emotion_search.engine.clusters.kmeans import assign, choose_k, fit_centres
from emotion_search.engine.embedders.acoustic.model import Acoustic
from emotion_search.engine.quality.measure import Measured, measure
from emotion_search.index.database.labelled_clips import LabelledClips
from emotion_search.index.vectors.arrays import normalise

STATISTICS = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--fold", action="append", default=[], metavar="SPEAKERS=WEIGHTS")
    options = parser.parse_args()
    with options.manifest.open() as file:
        rows = list(csv.DictReader(file))
    audio = [decode(options.manifest.parent / row["path"]) for row in rows]
    labels, speakers = (np.array([row[name] for row in rows]) for name in ("label", "speaker"))
    number = np.arange(len(rows))
    clips = LabelledClips(number, labels, speakers, number)
    trained = Acoustic().embed(audio).vectors
    statistics = normalise(trained[:, -STATISTICS:])
    peer = egemaps(audio)
    print(describe("scikit-learn", "numpy", "faiss-cpu", "opensmile"))
    print(f"{options.manifest}: {len(rows)} clips, {len(set(speakers))} speakers\n")
    vectors = {
        "eGeMAPSv02, z-scored": peer,
        "acoustic, statistics alone": statistics,
        "acoustic, trained on these speakers": normalise(trained),
    }
    print(f"{'each speaker left out':<36}{'method':<22}{'UAR':<24}macro F1")
    for name, features in vectors.items():
        examples = examples_of(clips, features)
        for one in compare(examples, splits_of(examples.classes, examples.groups), rounds=1000):
            show(name, one.name, one.measured)
    if options.fold:
        for method in METHODS:
            show(
                "acoustic, speakers left out", method, by_folds(options.fold, audio, clips, method)
            )
    print(f"\n{'clusters, AMI with':<36}{'method':<22}{'k':>4}{'emotion':>10}{'speaker':>10}")
    for name, features in vectors.items():
        unit = normalise(features)
        tried = choose_k(unit, range(2, 17))
        best = max(tried, key=lambda k: tried[k])
        for k in dict.fromkeys((best, len(set(labels)))):
            found = assign(unit, fit_centres(unit, k))[0]
            how = "k-means, k chosen" if k == best else "k-means, k of emotions"
            print(
                f"{name:<36}{how:<22}{k:>4}{shared(labels, found):>10.3f}"
                f"{shared(speakers, found):>10.3f}"
            )
        dense = fit_dense(unit, least=10)
        found = dense.assign(unit)
        print(
            f"{name:<36}{'HDBSCAN':<22}{dense.k:>4}{shared(labels, found):>10.3f}"
            f"{shared(speakers, found):>10.3f}   ({(found < 0).mean():.0%} noise)"
        )


def show(name: str, method: str, it: Measured) -> None:
    """A line of the table."""
    uar = f"{it.uar.value:.3f} [{it.uar.low:.3f}, {it.uar.high:.3f}]"
    print(f"{name:<36}{method:<22}{uar:<24}{it.f1.value:.3f}")


def by_folds(
    folds: list[str], audio: list[np.ndarray], clips: LabelledClips, method: str
) -> Measured:
    """Each speaker's clips classified from embeddings by weights not trained on the speaker."""
    given = np.full(len(audio), -1)
    for fold in folds:
        names, _, path = fold.partition("=")
        features = normalise(Acoustic(Path(path)).embed(audio).vectors)
        examples: Examples = examples_of(clips, features)
        left_out = np.flatnonzero(np.isin(clips.speakers, names.split(",")))
        rest = np.flatnonzero(~np.isin(clips.speakers, names.split(",")))
        scores = held_out_scores(examples, [(rest, left_out)], method)
        given[left_out] = scores[left_out].argmax(axis=1)
    assert (given >= 0).all(), "the folds do not name every speaker"
    return measure(examples.classes, given, examples.groups, len(examples.names))


if __name__ == "__main__":
    main()

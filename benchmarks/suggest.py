"""What labels are worth that `suggest` asks for, beside random ones and the most doubtful.

    OMP_NUM_THREADS=1 python -m benchmarks.suggest --home ARCHIVE [--home ARCHIVE …]

In a copy of a labelled archive, a third of the speakers is set aside; of the others' clips some
are labelled, thirty at a time, a classifier is trained on them, and those set aside are classified.
Unweighted average recall over all classes, those that had too few labels included: mean of some
splits, and how far it is above random labels with the standard error of the mean difference.
`random` draws labels at random (the mean of three draws a split), `margin` takes the clips whose
two likeliest classes are nearest to each other after a first random thirty, and `suggest` does
what the command does.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sqlalchemy import text

from benchmarks.machine import describe
from emotion_search.engine.classify.apply import load_classifier
from emotion_search.engine.classify.suggest import suggest
from emotion_search.engine.classify.train import train
from emotion_search.index.database.connection import Database
from emotion_search.index.database.embeddings import vectors_by_id
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.labelled_clips import LabelledClips, labelled_clips
from emotion_search.index.database.labels import set_labels
from emotion_search.index.database.models import ModelInfo, active_model
from emotion_search.index.errors import InvalidInputError, NotFoundError

TASK = "asked for"
BATCH, BUDGETS = 30, (30, 60, 90, 120, 180)
DRAWS = {"random": 3, "margin": 1, "suggest": 1}
"""How often each strategy is tried on a split; `random` is the mean of three."""


class Labelling:
    """An archive whose labels are handed out as they are asked for, by speakers of the pool."""

    def __init__(self, database: Database, model: ModelInfo, clips: LabelledClips) -> None:
        self.database, self.model, self.clips = database, model, clips
        with database.read() as session:
            parts = [v for _, v in vectors_by_id(session, model, clips.ids)]
        self.vectors = np.concatenate(parts)

    def curve(self, strategy: str, seed: int) -> np.ndarray:
        """UAR on the speakers that a split sets aside, after each of the budgets: (budgets,)."""
        found = [list(self._curve(strategy, seed, draw)) for draw in range(DRAWS[strategy])]
        return np.mean(found, axis=0)

    def _curve(self, strategy: str, seed: int, draw: int) -> Iterator[float]:
        names = np.random.default_rng(seed).permutation(np.unique(self.clips.speakers))
        random = np.random.default_rng([seed, draw])
        aside = np.isin(self.clips.speakers, names[: max(2, round(len(names) / 3))])
        with self.database.write() as session:
            for table in ("predictions", "classifiers"):
                session.execute(text(f"DELETE FROM {table}"))
            session.execute(text("DELETE FROM labels WHERE task = :task"), {"task": TASK})
        free = np.flatnonzero(~aside)
        for labelled in range(BATCH, BUDGETS[-1] + 1, BATCH):
            rows = self.asked(strategy, free, random, seed)
            free = np.setdiff1d(free, rows)
            with self.database.write() as session:
                set_labels(
                    session,
                    [(int(self.clips.ids[i]), TASK, str(self.clips.labels[i])) for i in rows],
                )
            if strategy != "random" or labelled in BUDGETS:
                self.train()
            if labelled in BUDGETS:
                yield self.recall(np.flatnonzero(aside))

    def asked(
        self, strategy: str, free: np.ndarray, random: np.random.Generator, seed: int
    ) -> np.ndarray:
        """Rows of the next clips to label."""
        if strategy == "suggest":
            wanted = ClipFilter(speakers=tuple(np.unique(self.clips.speakers[free]).tolist()))
            found = suggest(
                self.database, self.model, task=TASK, limit=BATCH, wanted=wanted, seed=seed
            )
            return np.flatnonzero(np.isin(self.clips.ids, [one.clip.id for one in found]))
        drawn = random.permutation(free)[:BATCH]
        if strategy == "random":
            return drawn
        try:
            chances = np.sort(self.decide(free)[1], axis=1)
        except NotFoundError:  # no classifier yet
            return drawn
        return free[np.argsort(chances[:, -1] - chances[:, -2], kind="stable")[:BATCH]]

    def train(self) -> None:
        """A classifier on the labels so far."""
        try:
            train(self.database, self.model, task=TASK, method="linear discriminant", rounds=0)
        except InvalidInputError as error:
            print(f"not trained: {error}")

    def decide(self, rows: np.ndarray) -> tuple[list[str], np.ndarray]:
        """Values and probabilities of clips by the latest classifier."""
        with self.database.read() as session:
            ready = load_classifier(session, self.model, TASK)
            given, chances = ready.decide(session, self.clips.ids[rows], self.vectors[rows])
        return [ready.info.classes[c] for c in given], chances

    def recall(self, rows: np.ndarray) -> float:
        """UAR over all classes of the archive."""
        try:
            right = np.array(self.decide(rows)[0]) == self.clips.labels[rows]
        except NotFoundError:
            return 0.0
        labels = self.clips.labels[rows]
        return float(np.mean([right[labels == one].mean() for one in np.unique(labels)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, action="append", required=True)
    parser.add_argument("--splits", type=int, default=10)
    options = parser.parse_args()
    print(describe("scikit-learn", "numpy"))
    for home in options.home:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(home / "archive.db", folder)
            database = Database(f"sqlite:///{folder}/archive.db")
            database.create_or_require()
            with database.read() as session:
                model = active_model(session)
                assert model is not None
                clips = labelled_clips(session, model, "emotion")
            labelling = Labelling(database, model, clips)
            print(
                f"\n{home.name}: {len(clips.ids)} clips, {len(np.unique(clips.speakers))} speakers,"
                f" {len(np.unique(clips.labels))} classes; {options.splits} splits"
            )
            print("labels  " + "".join(f"{one:>15}" for one in BUDGETS))
            found = {
                one: np.stack([labelling.curve(one, seed) for seed in range(options.splits)])
                for one in DRAWS
            }
            database.close()
        for name, curves in found.items():
            more = curves - found["random"]
            error = more.std(axis=0, ddof=1) / np.sqrt(len(more))
            print(f"{name:<8}" + "".join(f"{one:>15.3f}" for one in curves.mean(axis=0)))
            if name != "random":
                pairs = zip(more.mean(axis=0), error, strict=True)
                print(" " * 8 + "".join(f"{f'{a:+.3f} ± {b:.3f}':>15}" for a, b in pairs))


if __name__ == "__main__":
    main()

"""Training a classifier on the labels of a task, from stored embeddings."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from emotion_search.engine.classify.compare import (
    Checked,
    Compared,
    best_of,
    check_probabilities,
    compare,
    splits_of,
)
from emotion_search.engine.classify.examples import MOST, Examples, LeftOut, choose, examples_of
from emotion_search.engine.classify.fitted import to_bytes
from emotion_search.engine.classify.heldout import HeldOut
from emotion_search.engine.classify.methods import METHODS
from emotion_search.engine.machine.progress import Progress, unwatched
from emotion_search.engine.machine.threads import alone
from emotion_search.index.database.classifiers import (
    ClassifierInfo,
    add_classifier,
    list_classifiers,
)
from emotion_search.index.database.connection import Database
from emotion_search.index.database.embeddings import vectors_by_id
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.spaces import unsupervised_space
from emotion_search.index.errors import InvalidInputError


@dataclass(frozen=True, eq=False)
class Trained:
    """What came of training a classifier.

    Attributes:
        classifier: as it is stored.
        examples: what it was trained on.
        compared: every method, on the same splits.
        best: the one that was taken.
        checked: its probabilities.
        folds: how often each method was fitted to be judged.
        left_out: classes that were not learned.
    """

    classifier: ClassifierInfo
    examples: Examples
    compared: tuple[Compared, ...]
    best: Compared
    checked: Checked
    folds: int
    left_out: dict[str, LeftOut]


@alone
def train(
    database: Database,
    model: ModelInfo,
    *,
    task: str,
    table: Path | None = None,
    without: Collection[str] = (),
    method: str | None = None,
    most: int = MOST,
    rounds: int = 1000,
    seed: int = 0,
    progress: Progress = unwatched,
) -> Trained:
    """Compare classifiers on speakers they were not trained on; calibrate, fit and store the best.

    Features are the stored embeddings in the space that serves, so that the classifier sees what
    search sees; but where that space was learned from labels they are the plain embeddings,
    because a space that has seen the labels of held-out clips makes every figure on
    them look better than it is.

    Args:
        task: whose labels; or those of ``table``, a CSV of clips (or paths) and labels.
        without: classes to leave out.
        method: take this one; None for the best.
        most: clips to train on; of more, a random sample.
        rounds: bootstrap samples for the intervals.
        progress: called with how many fits on held-out speakers are done, and of how many.

    Raises:
        InvalidInputError: an unknown method or task, or fewer than two classes that can be learned.
    """
    if method is not None and method not in METHODS:
        raise InvalidInputError(f"method {method}: choose {', '.join(METHODS)}")
    with database.read() as session:
        chosen = choose(session, model, task, table=table, without=without, most=most)
        clips = chosen.clips
        space = unsupervised_space(session, model)
        vectors = np.concatenate([v for _, v in vectors_by_id(session, model, clips.ids)])
        features = space.turn(session, clips.ids, vectors)
    examples = examples_of(clips, features)
    splits = splits_of(examples.classes, examples.groups, seed=seed)
    tried = tuple(METHODS) if method is None else (method,)
    compared = compare(examples, splits, methods=tried, rounds=rounds, seed=seed, progress=progress)
    best = best_of(compared)
    checked = check_probabilities(examples, splits, best.scores)
    held_out = HeldOut(examples.ids, best.scores.argmax(axis=1), checked.chances)
    fitted = METHODS[best.name].fit(examples.features, examples.classes, seed)[best.setting]
    provenance: dict[str, Any] = {
        "model": model.name,
        "fingerprint": model.fingerprint,
        "space": {"version": space.version, "method": space.map.method.value},
        "labels": str(table) if table is not None else "archive",
        "data": {
            "sha256": examples.digest,
            "clips": len(examples.ids),
            "available": chosen.available,
            "groups": len(np.unique(examples.groups)),
            "by": examples.by,
            "classes": dict(
                zip(examples.names, np.bincount(examples.classes).tolist(), strict=True)
            ),
            "left_out": {name: asdict(one) for name, one in chosen.left_out.items()},
        },
        "folds": len(splits),
        "seed": seed,
        "setting": METHODS[best.name].settings[best.setting],
        "compared": {one.name: asdict(one.measured.uar) for one in compared},
        "metrics": asdict(best.measured),
        "calibration": {
            "kind": checked.kind,
            "kinds": {kind: asdict(one) for kind, one in checked.kinds.items()},
            "bins": [asdict(one) for one in checked.bins],
        },
        "versions": {name: version(name) for name in ("emotion-search", "scikit-learn", "numpy")},
    }
    with database.write() as session:
        number = add_classifier(
            session,
            model,
            task=task,
            method=best.name,
            classes=examples.names,
            space_version=space.version,
            provenance=provenance,
            parameters=to_bytes(fitted, {**checked.curves.arrays(), **held_out.arrays()}),
        )
        info = next(one for one in list_classifiers(session, task) if one.id == number)
    return Trained(info, examples, tuple(compared), best, checked, len(splits), chosen.left_out)

"""Classifying the clips of an archive by a stored classifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.classify.calibrate import Curves, curves_of
from emotion_search.engine.classify.fitted import Fitted, from_bytes
from emotion_search.engine.classify.heldout import HeldOut, held_out_of
from emotion_search.index.database.classifiers import ClassifierInfo, get_classifier
from emotion_search.index.database.connection import Database, Session
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.predictions import (
    count_predictions,
    count_unclassified,
    next_unclassified,
    put_predictions,
    standing_classifiers,
)
from emotion_search.index.database.spaces import ArchiveSpace, get_space
from emotion_search.index.errors import DatabaseError
from emotion_search.index.vectors.arrays import Ids, Vectors


@dataclass(frozen=True, eq=False)
class Ready:
    """A stored classifier, ready for use on embeddings as they are stored."""

    info: ClassifierInfo
    fitted: Fitted
    curves: Curves
    held_out: HeldOut
    space: ArchiveSpace

    def decide(
        self, session: Session, ids: Ids, vectors: Vectors
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The class given to each of the clips ``ids`` with ``vectors`` (float32 (n, dim)), (n,),
        and the probabilities of all classes, (n, classes).

        The decision weighs every class the same; the probabilities go by how frequent the classes
        were among the examples. So a clip may be given a rare class at a probability below half.
        Of an example it is the prediction made without its speaker.
        """
        scores = self.fitted.scores(self.space.turn(session, ids, vectors))
        given, chances = scores.argmax(axis=1), self.curves.probabilities(scores)
        self.held_out.put(ids, given, chances)
        return given, chances


@dataclass(frozen=True)
class Classified:
    """What a run did.

    Attributes:
        classifier: which one.
        done: clips classified by this run; in a dry run, that would be.
        counts: clips by value, of all that the classifier has classified by now.
    """

    classifier: ClassifierInfo
    done: int
    counts: dict[str, int]


def load_classifier(
    session: Session, model: ModelInfo, task: str, version: int | None = None
) -> Ready:
    """A classifier of the archive, ready for use.

    Raises:
        NotFoundError: there is none.
        ModelMismatchError: it knows the embeddings of another model.
        DatabaseError: it cannot be read.
    """
    info, data = get_classifier(session, model, task, version)
    fitted, calibration = from_bytes(data)
    try:
        curves, held_out = curves_of(calibration), held_out_of(calibration)
    except KeyError as error:
        raise DatabaseError(
            f"classifier {task} {info.version} is of an earlier program and says too little of its"
            f" examples; train it again with: emotion-search train --task {task}"
        ) from error
    space = get_space(session, model, info.space_version)
    return Ready(info, fitted, curves, held_out, space)


def classify(
    database: Database,
    model: ModelInfo,
    *,
    task: str,
    version: int | None = None,
    wanted: ClipFilter | None = None,
    dry_run: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Classified:
    """Write the predictions of the task's latest classifier for clips that it has not classified.

    Predictions of older classifiers are replaced, and those of other models'; those of a newer
    one are not, which may be trained and run meanwhile. Labels that people gave are left alone.
    Each batch is a transaction of its own: killed at any time, the same call goes on where it
    stopped.

    Args:
        version: of the classifier, whose predictions then replace those of newer ones too; None for
            the latest.
        wanted: which clips; None for all.
        dry_run: write nothing.
        progress: called after each batch with clips done and clips in all.

    Raises:
        NotFoundError, ModelMismatchError: see ``load_classifier``.
    """
    chosen = wanted or ClipFilter()
    with database.read() as session:
        ready = load_classifier(session, model, task, version)
        standing = standing_classifiers(session, model, ready.info, named=version is not None)
        total = count_unclassified(session, model, ready.info, chosen, standing)
        if dry_run:
            return Classified(ready.info, total, count_predictions(session, ready.info))
    done = after = 0
    while True:
        with database.read() as session:
            standing = standing_classifiers(session, model, ready.info, named=version is not None)
            ids, vectors = next_unclassified(
                session, model, ready.info, chosen, standing, after_id=after
            )
            if not len(ids):
                break
            given, chances = ready.decide(session, ids, vectors)
        values = [ready.info.classes[c] for c in given]
        with database.write() as session:
            standing = standing_classifiers(session, model, ready.info, named=version is not None)
            done += put_predictions(
                session, ready.info, ids, values, chances[np.arange(len(ids)), given], standing
            )
        after = int(ids[-1])
        progress(done, total)
    with database.read() as session:
        return Classified(ready.info, done, count_predictions(session, ready.info))

"""Verifying an index: the clips that it lacks or has too many, and its recall on a sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sqlalchemy.orm import Session

from emotion_search.index.database.embeddings import embeddings_in_order, sample_clips, stream
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.lifecycle.build import LEAST_RECALL, Neighbours, recall_of
from emotion_search.index.lifecycle.catch_up import LoadedIndex
from emotion_search.index.vectors.arrays import Ids


@dataclass(frozen=True)
class Verdict:
    """What a comparison of index and database came to.

    Attributes:
        clips: embedded clips in the database.
        missing: of these, how many the index has not.
        surplus: clips in the index that the database has not.
        differing: clips of which the index knows something else than the database.
        sample: clips whose true neighbours were searched for.
        recall: share of the true ten nearest that searches find.
        damage: what is wrong with the files of the saved index; None for nothing.
    """

    clips: int
    missing: int
    surplus: int
    differing: int
    sample: int
    recall: float
    damage: str | None = None

    @property
    def is_sound(self) -> bool:
        """Whether the index may serve."""
        wrong = self.missing or self.surplus or self.differing or self.damage is not None
        return not wrong and self.recall >= LEAST_RECALL


def verify(
    session: Session, model: ModelInfo, loaded: LoadedIndex, *, sample: int = 100
) -> Verdict:
    """The verdict on an index, in the session's snapshot; reads every embedding once."""
    known, neighbours = neighbours_of(session, model, loaded, sample)
    indexed = loaded.index.ids()
    alone = len(known) < 2
    return Verdict(
        clips=len(known),
        missing=int((~np.isin(known, indexed)).sum()),
        surplus=len(indexed) - int(np.isin(indexed, known).sum()),
        differing=loaded.columns.differences(session),
        sample=len(neighbours.own),
        recall=1.0 if alone else recall_of(session, loaded, neighbours),
    )


def neighbours_of(
    session: Session, model: ModelInfo, loaded: LoadedIndex, sample: int
) -> tuple[Ids, Neighbours]:
    """Ids of all embedded clips, and the true ten nearest of a sample of them."""
    own, _ = sample_clips(session, model, most=sample, seed=1)
    vectors = embeddings_in_order(session, model, own)
    neighbours = Neighbours(own, loaded.space.turn(session, own, vectors), most=10)
    stored = []
    for ids, vectors in stream(session, model):
        stored.append(ids)
        neighbours.meet(ids, loaded.space.turn(session, ids, vectors))
    return np.concatenate(stored) if stored else np.empty(0, np.int64), neighbours

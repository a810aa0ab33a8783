"""Filters on what classifiers predict and on clusters of saved clusterings."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from emotion_search.index.database.schema import ClusteringRow, ClusterMember, Prediction
from emotion_search.index.errors import InvalidInputError

NOISE = -1
"""The cluster of clips that are in none."""


def cluster_of(text: str) -> tuple[str, int]:
    """The clustering and the cluster that ``NAME:3`` or ``NAME:noise`` names.

    Raises:
        InvalidInputError: it is of another form.
    """
    name, colon, number = text.rpartition(":")
    if colon and name and number == "noise":
        return name, NOISE
    if not colon or not name or not number.isdecimal() or len(number) > 6:
        raise InvalidInputError(f"cluster {text!r}: name it as NAME:3, or NAME:noise")
    return name, int(number)


def check(min_probability: float, clusters: Sequence[str]) -> None:
    """Refuse what cannot be meant.

    Raises:
        InvalidInputError: a probability out of range, a cluster of another form.
    """
    if not 0 <= min_probability <= 1:
        raise InvalidInputError(f"a probability is 0 to 1, not {min_probability:g}")
    for text in clusters:
        cluster_of(text)


def conditions(
    task: str, predicted: Sequence[str], min_probability: float, clusters: Sequence[str]
) -> list[tuple[InstrumentedAttribute[int], tuple[ColumnElement[bool], ...]]]:
    """What must hold of a clip: that a row of another table, which names the clip by this column,
    meets these conditions."""
    found: list[tuple[InstrumentedAttribute[int], tuple[ColumnElement[bool], ...]]] = []
    if predicted or min_probability > 0:
        asked = [
            Prediction.task == task,
            Prediction.probability >= min_probability,
        ]
        if predicted:
            asked.append(Prediction.value.in_(predicted))
        found.append((Prediction.clip_id, tuple(asked)))
    if clusters:
        meant = [
            and_(
                ClusterMember.clustering_id
                == select(ClusteringRow.id).where(ClusteringRow.name == name).scalar_subquery(),
                ClusterMember.cluster == number,
            )
            for name, number in map(cluster_of, clusters)
        ]
        found.append((ClusterMember.clip_id, (or_(*meant),)))
    return found

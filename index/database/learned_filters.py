"""Filtering by what was learned: what classifiers predict, and clusters of saved clusterings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from emotion_search.index.database.schema import ClusteringRow, ClusterMember, Prediction
from emotion_search.index.errors import InvalidInputError

if TYPE_CHECKING:
    from emotion_search.index.database.filters import ClipFilter

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
    wanted: ClipFilter,
) -> list[tuple[InstrumentedAttribute[int], tuple[ColumnElement[bool], ...]]]:
    """What a clip must satisfy to pass the filter's fields of this kind: that a row of another
    table, which names it by this column, meets these conditions."""
    found: list[tuple[InstrumentedAttribute[int], tuple[ColumnElement[bool], ...]]] = []
    if wanted.predicted or wanted.min_probability > 0:
        said = [
            Prediction.task == wanted.task,
            Prediction.probability >= wanted.min_probability,
        ]
        if wanted.predicted:
            said.append(Prediction.value.in_(wanted.predicted))
        found.append((Prediction.clip_id, tuple(said)))
    if wanted.clusters:
        meant = [
            and_(
                ClusterMember.clustering_id
                == select(ClusteringRow.id).where(ClusteringRow.name == name).scalar_subquery(),
                ClusterMember.cluster == number,
            )
            for name, number in map(cluster_of, wanted.clusters)
        ]
        found.append((ClusterMember.clip_id, (or_(*meant),)))
    return found

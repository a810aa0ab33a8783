"""Saved clusterings, and the clips in each cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from emotion_search.index.database.bulk import known_clips
from emotion_search.index.database.changes import note_changed
from emotion_search.index.database.column_rows import fetch_columns, numbers
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.nearest import nearest
from emotion_search.index.database.schema import (
    Clip,
    ClusteringRow,
    ClusterMember,
    Model,
    as_details,
)
from emotion_search.index.errors import ConflictError, NotFoundError
from emotion_search.index.vectors.arrays import Ids

_ROWS = 10_000


@dataclass(frozen=True)
class ClusteringInfo:
    """A clustering of clips.

    Attributes:
        name: by which it is known.
        method: ``kmeans`` or ``hdbscan``.
        k: number of clusters, noise not counted.
        model: name of the model whose embeddings were clustered.
        space_version: of the space they were taken in.
        parameters: how it was made; plain data.
        summary: what each cluster holds; plain data, by cluster.
        clips: members that are still in the archive.
    """

    id: int
    name: str
    method: str
    k: int
    model: str
    space_version: int
    parameters: Mapping[str, Any]
    summary: Sequence[Mapping[str, Any]]
    created_at: datetime
    clips: int


def add_clustering(
    session: Session,
    model: ModelInfo,
    *,
    name: str,
    method: str,
    k: int,
    space_version: int,
    parameters: Mapping[str, Any],
    summary: Sequence[Mapping[str, Any]],
    ids: Ids,
    clusters: NDArray[np.int32],
    replace: bool,
) -> None:
    """Store a clustering with the cluster of each clip in ``ids`` (-1 for none); clips that are
    gone meanwhile are passed over.

    Raises:
        ConflictError: the name is taken, and ``replace`` is not set.
    """
    if not replace:
        require_free(session, name)
    elif (old := _id_of(session, name)) is not None:
        _delete(session, old)
    row = ClusteringRow(
        name=name,
        model_id=model.id,
        method=method,
        k=k,
        space_version=space_version,
        parameters=dict(parameters),
        summary=[dict(one) for one in summary],
        created_at=datetime.now(UTC),
    )
    session.add(row)
    session.flush()
    there = np.fromiter(
        session.scalars(select(Clip.id).execution_options(yield_per=_ROWS)), dtype=np.int64
    )
    kept = np.isin(ids, there)
    ids, clusters = ids[kept], clusters[kept]
    for begin in range(0, len(ids), _ROWS):
        some = slice(begin, begin + _ROWS)
        session.execute(
            insert(ClusterMember),
            [
                {"clip_id": clip, "clustering_id": row.id, "cluster": cluster}
                for clip, cluster in zip(ids[some].tolist(), clusters[some].tolist(), strict=True)
            ],
        )
    of_it = select(ClusterMember.clip_id).where(ClusterMember.clustering_id == row.id)
    note_changed(session, Clip.id.in_(of_it))


def require_free(session: Session, name: str) -> None:
    """Refuse a name that a clustering has.

    Raises:
        ConflictError: it is taken.
    """
    if _id_of(session, name) is not None:
        raise ConflictError(
            f"there is a clustering {name} already; choose another name, or replace it (--replace)"
        )


def list_clusterings(session: Session, name: str | None = None) -> list[ClusteringInfo]:
    """All clusterings, or that of a name, by name."""
    counts = (
        select(ClusterMember.clustering_id, func.count().label("n"))
        .group_by(ClusterMember.clustering_id)
        .subquery()
    )
    query = (
        select(ClusteringRow, Model.name, func.coalesce(counts.c.n, 0))
        .join(Model, Model.id == ClusteringRow.model_id)
        .outerjoin(counts, counts.c.clustering_id == ClusteringRow.id)
        .order_by(ClusteringRow.name)
    )
    if name is not None:
        query = query.where(ClusteringRow.name == name)
    return [
        as_details(ClusteringInfo, row, model=model, clips=clips)
        for row, model, clips in session.execute(query)
    ]


def get_clustering(session: Session, name: str) -> ClusteringInfo:
    """The clustering of a name; typical clips that were erased since are no longer named.

    Raises:
        NotFoundError: there is none.
    """
    found = list_clusterings(session, name)
    if not found:
        raise _unknown(session, name)
    there = known_clips(
        session, sorted({clip for one in found[0].summary for clip in one["typical"]})
    )
    summary = [
        {**one, "typical": [clip for clip in one["typical"] if clip in there]}
        for one in found[0].summary
    ]
    return replace(found[0], summary=summary)


def members(session: Session, name: str) -> tuple[Ids, NDArray[np.int32]]:
    """Ids of a clustering's clips, ascending, and the cluster of each, -1 for none.

    Raises:
        NotFoundError: there is no clustering of this name.
    """
    query = select(ClusterMember.clip_id, ClusterMember.cluster)
    query = query.where(ClusterMember.clustering_id == _known(session, name))
    clips, clusters = fetch_columns(
        session, query, ClusterMember.clip_id, None, numbers("i8"), numbers("i4")
    )
    order = np.argsort(clips)
    return clips[order], clusters[order]


def delete_clustering(session: Session, name: str) -> None:
    """Delete a clustering.

    Raises:
        NotFoundError: there is none of this name.
    """
    _delete(session, _known(session, name))


def _id_of(session: Session, name: str) -> int | None:
    return session.scalar(select(ClusteringRow.id).where(ClusteringRow.name == name))


def _known(session: Session, name: str) -> int:
    if (found := _id_of(session, name)) is None:
        raise _unknown(session, name)
    return found


def _delete(session: Session, clustering: int) -> None:
    members = ClusterMember.clustering_id == clustering
    note_changed(session, Clip.id.in_(select(ClusterMember.clip_id).where(members)))
    session.execute(delete(ClusterMember).where(members))
    session.execute(delete(ClusteringRow).where(ClusteringRow.id == clustering))


def _unknown(session: Session, name: str) -> NotFoundError:
    known = session.scalars(select(ClusteringRow.name))
    return NotFoundError(
        f"no clustering {name} in this archive{nearest(name, known)}; list them with:"
        " emotion-search cluster --list"
    )

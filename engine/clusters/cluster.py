"""Clustering the clips of an archive, and saving what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.clusters.density import DIMENSIONS, fit_dense
from emotion_search.engine.clusters.describe import Described, describe
from emotion_search.engine.clusters.kmeans import assign, choose_k, fit_centres
from emotion_search.engine.files.values import check_text
from emotion_search.engine.machine.threads import alone
from emotion_search.index.database.clip_columns import attributes_of
from emotion_search.index.database.clusterings import add_clustering, require_free
from emotion_search.index.database.connection import Database, Session
from emotion_search.index.database.embeddings import draw, embedded_ids, vectors_by_id
from emotion_search.index.database.filters import EMOTION, NOISE, ClipFilter, clustering_name
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.spaces import ArchiveSpace, unsupervised_space
from emotion_search.index.errors import InvalidInputError, UnusableError
from emotion_search.index.vectors.arrays import Ids, Vectors

How = Literal["kmeans", "hdbscan"]
METHODS: tuple[How, ...] = get_args(How)

FEWEST = 10
"""Fewest clips that are clustered."""

SAMPLE = 20_000
"""Most clips that k-means learns centres from; the others are assigned to them."""

DENSE_SAMPLE = 8000
"""Most clips that HDBSCAN sees; the others are assigned by their nearest of these."""

_TRIED = range(2, 17)  # numbers of clusters that are tried where none is given


@dataclass(frozen=True)
class Clustered:
    """What came of a clustering.

    Attributes:
        name: under which it is saved.
        method, k: how, and how many clusters; noise does not count.
        clips: how many were clustered, of which ``sampled`` decided where the clusters are.
        silhouettes: by number of clusters, where they were tried.
        clusters: the largest first, noise last.
    """

    name: str
    method: How
    k: int
    clips: int
    sampled: int
    silhouettes: dict[int, float]
    clusters: tuple[Described, ...]


@alone
def cluster(
    database: Database,
    model: ModelInfo,
    *,
    name: str,
    method: How = "kmeans",
    k: int | None = None,
    least: int | None = None,
    task: str = EMOTION,
    wanted: ClipFilter | None = None,
    replace: bool = False,
    seed: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> Clustered:
    """Cluster clips in the space that serves, describe each cluster, and save them.

    Where that space was learned from labels, the plain one is taken: clusters in it would repeat
    the labels that it was fitted to.

    Memory is that of a sample of vectors and some bytes a clip; vectors are read in batches.

    Args:
        k: number of clusters for k-means; None for that of the best silhouette, 2 to 16.
        least: clips that make a cluster for HDBSCAN; None for one in a hundred, 10 at least.
        task: whose labels and predictions describe the clusters.
        wanted: which clips; None for all.
        replace: in place of a clustering of this name.
        progress: called with what is done next.

    Raises:
        InvalidInputError: too few clips, a name that is taken or cannot be one, an option that
            does not go with the method.
    """
    name = clustering_name(check_text("--name", name))
    if method == "hdbscan" and k is not None:
        raise InvalidInputError("HDBSCAN finds how many clusters there are: leave -k out")
    if method == "kmeans" and least is not None:
        raise InvalidInputError("--least goes with --method hdbscan")
    with database.read() as session:
        if not replace:
            require_free(session, name)
        space = unsupervised_space(session, model)
        ids = embedded_ids(session, model, wanted or ClipFilter())
        if len(ids) < max(FEWEST, k or 0):
            raise UnusableError(
                f"clustering needs {max(FEWEST, k or 0)} clips at least; {len(ids)} match"
            )
        progress("reading a sample")
        drawn = draw(ids, SAMPLE if method == "kmeans" else DENSE_SAMPLE, seed=seed)
        sample = np.concatenate([v for _, v in _turned(session, model, space, drawn)])
        if (sample == sample[0]).all():
            raise UnusableError("all embeddings are equal: there is nothing to cluster")
        parameters: dict[str, Any] = {"seed": seed, "task": task, "sampled": len(drawn)}
        progress("finding clusters")
        silhouettes: dict[int, float] = {}
        assigned: Callable[[Vectors], NDArray[np.int32]]
        if method == "kmeans":
            if k is None:
                silhouettes = choose_k(sample, _TRIED, seed=seed)
                k = max(silhouettes, key=lambda one: silhouettes[one])
                parameters["silhouettes"] = {str(n): s for n, s in silhouettes.items()}
            centres = fit_centres(sample, k, seed=seed)
            assigned = lambda vectors: assign(vectors, centres)[0]  # noqa: E731
        else:
            least = least or max(10, len(drawn) // 100)
            dense = fit_dense(sample, least=least, seed=seed)
            parameters |= {"least": least, "dimensions": min(DIMENSIONS, sample.shape[1])}
            k, assigned = dense.k, dense.assign
            if not k:
                raise UnusableError(
                    f"no {least} clips lie densely together: all is noise. Try a smaller --least,"
                    " or --method kmeans"
                )
        progress("assigning all clips")
        sums = np.zeros((k + 1, model.dimension))  # the last row is that of noise, -1
        parts: list[NDArray[np.int32]] = []
        for _, vectors in _turned(session, model, space, ids):
            parts.append(assigned(vectors))
            for one in np.unique(parts[-1]):
                sums[one] += vectors[parts[-1] == one].sum(axis=0, dtype=np.float64)
        order, clusters = _largest_first(np.concatenate(parts))
        k = len(order)
        progress("describing them")
        batches = _turned(session, model, space, ids)
        cosines = _to_centres(batches, clusters, sums[[*order, NOISE]])
        known = attributes_of(session, model, ids, task=task)
        described = describe(known, clusters, k, cosines)
    progress("saving")
    with database.write() as session:
        add_clustering(
            session,
            model,
            name=name,
            method=method,
            k=k,
            space_version=space.version,
            parameters=parameters,
            summary=[asdict(one) for one in described],
            ids=ids,
            clusters=clusters,
            replace=replace,
        )
    return Clustered(name, method, k, len(ids), len(drawn), silhouettes, tuple(described))


def _turned(
    session: Session, model: ModelInfo, space: ArchiveSpace, ids: Ids
) -> Iterator[tuple[Ids, Vectors]]:
    for some, vectors in vectors_by_id(session, model, ids):
        yield some, space.turn(session, some, vectors)


def _to_centres(
    batches: Iterator[tuple[Ids, Vectors]], clusters: NDArray[np.int32], sums: NDArray[np.float64]
) -> NDArray[np.float32]:
    """The cosine of each vector to the centre of its cluster, (n,), by the clusters' ``sums``."""
    lengths = np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
    centres = (sums / lengths).astype(np.float32)
    cosines = np.empty(len(clusters), np.float32)
    begin = 0
    for some, vectors in batches:
        part = slice(begin, begin + len(some))
        cosines[part] = np.einsum("nd,nd->n", vectors, centres[clusters[part]])
        begin += len(some)
    return cosines


def _largest_first(clusters: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The clusters that have members, by size, and the new number of each clip's cluster."""
    names, sizes = np.unique(clusters[clusters != NOISE], return_counts=True)
    order = names[np.argsort(-sizes, kind="stable")].astype(np.int64)
    numbers = np.full(int(clusters.max()) + 2, NOISE, np.int32)  # the last is that of noise, -1
    numbers[order] = np.arange(len(order))
    return order, numbers[clusters]

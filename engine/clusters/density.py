"""Clusters as dense regions with noise between them: HDBSCAN on a sample, then all clips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_search.index.database.filters import NOISE
from emotion_search.index.vectors.arrays import Vectors

DIMENSIONS = 20
"""Principal components that density is looked at in; in many more, all clips are equally far."""


@dataclass(frozen=True, eq=False)
class Dense:
    """Dense regions of a sample, to which other clips can be assigned.

    Attributes:
        mean, axes: of the principal components, float32 (dim,) and (dim, d).
        points: float32 (n, d), the sample.
        clusters: int32 (n,), of each; -1 for noise.
        radius: float32 (k,), how far from a member of each cluster others still belong to it.
    """

    mean: Vectors
    axes: Vectors
    points: Vectors
    clusters: NDArray[np.int32]
    radius: Vectors

    @property
    def k(self) -> int:
        """How many clusters there are."""
        return len(self.radius)

    def assign(self, vectors: Vectors) -> NDArray[np.int32]:
        """The cluster of each vector (float32 (n, dim)), int32 (n,): that of the nearest clip of
        the sample; -1 if that is noise, or farther away than the cluster's radius."""
        import faiss

        index = faiss.IndexFlatL2(self.points.shape[1])
        index.add(self.points)
        reduced = np.ascontiguousarray((vectors - self.mean) @ self.axes, dtype=np.float32)
        squared, rows = index.search(reduced, 1)
        found = self.clusters[rows[:, 0]].copy()
        if self.k:
            radius = np.where(found == NOISE, np.inf, self.radius[np.maximum(found, 0)])
            found[np.sqrt(np.maximum(squared[:, 0], 0)) > radius] = NOISE
        return found


def fit_dense(vectors: Vectors, *, least: int, seed: int = 0) -> Dense:
    """Dense regions of vectors (float32 (n, dim)): HDBSCAN (Campello, Moulavi and
    Sander, PAKDD 2013) in their first principal components.

    Args:
        least: clips that make a cluster.
    """
    from sklearn.cluster import HDBSCAN
    from sklearn.decomposition import PCA
    from sklearn.neighbors import NearestNeighbors

    components = min(DIMENSIONS, vectors.shape[1], len(vectors) - 1)
    pca = PCA(components, svd_solver="randomized", random_state=seed).fit(vectors)
    mean, axes = pca.mean_.astype(np.float32), pca.components_.T.astype(np.float32)
    points = np.ascontiguousarray((vectors - mean) @ axes)
    neighbours = min(least, 10, len(points) - 1)
    found = HDBSCAN(min_cluster_size=least, min_samples=neighbours, copy=True)
    clusters = found.fit_predict(points).astype(np.int32)  # -1 is its noise too
    k = int(clusters.max()) + 1
    radius = np.zeros(k, np.float32)
    if k:
        near = NearestNeighbors(n_neighbors=neighbours + 1).fit(points)
        core = near.kneighbors(points)[0][:, -1]
        radius = np.array([core[clusters == number].max() for number in range(k)], np.float32)
    return Dense(mean, axes, points, clusters, radius)

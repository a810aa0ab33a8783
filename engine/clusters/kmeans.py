"""k-means by cosine, and how many clusters there are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emotion_search.index.database.embeddings import draw
from emotion_search.index.errors import UnusableError
from emotion_search.index.vectors.arrays import Vectors, normalise

JUDGED = 2000
"""Vectors that a silhouette is taken over."""

_ROUNDS = 25
_RESTARTS = 3


def fit_centres(vectors: Vectors, k: int, *, seed: int = 0) -> Vectors:
    """The centres of k clusters, float32 (k, dim), L2-normalised: spherical k-means (Dhillon and
    Modha, Machine Learning 42, 2001) by FAISS, the best of some starts.

    Args:
        vectors: float32 (n, dim), L2-normalised, n at least k.

    Raises:
        InvalidInputError: there are fewer than k vectors.
    """
    import faiss

    if len(vectors) < k:
        raise UnusableError(f"{k} clusters need as many clips; there are {len(vectors)}")
    if k == len(vectors):
        return vectors
    found = faiss.Kmeans(
        vectors.shape[1],
        k,
        niter=_ROUNDS,
        nredo=_RESTARTS,
        spherical=True,
        seed=seed,
        min_points_per_centroid=1,
        max_points_per_centroid=max(256, -(-len(vectors) // k)),
    )
    found.train(np.ascontiguousarray(vectors))
    return normalise(np.asarray(found.centroids, dtype=np.float32))


def assign(vectors: Vectors, centres: Vectors) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The nearest centre of each vector, int32 (n,), and its cosine to it, (n,)."""
    cosines = vectors @ centres.T
    nearest = cosines.argmax(axis=1)
    return nearest.astype(np.int32), cosines[np.arange(len(vectors)), nearest]


def choose_k(vectors: Vectors, ks: range, *, seed: int = 0) -> dict[int, float]:
    """Mean silhouette by number of clusters (Rousseeuw, J. Comput. Appl. Math. 20, 1987), with
    cosine distances over at most 2000 of the vectors; higher is better, -1 to 1."""
    from sklearn.metrics import silhouette_score

    rows = draw(np.arange(len(vectors)), JUDGED, seed=seed)
    found: dict[int, float] = {}
    for k in ks:
        if k >= len(rows):
            break
        clusters = assign(vectors[rows], fit_centres(vectors, k, seed=seed))[0]
        if len(np.unique(clusters)) < 2:
            continue
        found[k] = float(silhouette_score(vectors[rows], clusters, metric="cosine"))
    return found

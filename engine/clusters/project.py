"""Clips as points in a plane: PCA or UMAP of embeddings, over a sample where there are many."""

from __future__ import annotations

import io
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.machine.progress import Progress, adding_up, share, unwatched
from emotion_search.engine.machine.threads import alone
from emotion_search.index.database.clip_columns import Attribute, Attributes, attributes_of
from emotion_search.index.database.clusterings import members
from emotion_search.index.database.connection import Database, Session
from emotion_search.index.database.embeddings import draw, embedded_ids, vectors_by_id
from emotion_search.index.database.filters import EMOTION, NOISE, ClipFilter
from emotion_search.index.database.models import ModelInfo, revision_and_space
from emotion_search.index.database.spaces import active_space
from emotion_search.index.errors import AbsentError, InvalidInputError, UnusableError
from emotion_search.index.vectors.arrays import Ids, Vectors

How = Literal["pca", "umap"]
METHODS: tuple[How, ...] = get_args(How)

MOST = 50_000
"""Most points of a map."""

FEWEST = 3
"""Fewest points of a map."""

_REMEMBERED = 8  # maps kept
_UMAP_FROM = 15  # UMAP's neighbours
_READING = 0.2  # of the progress of a map by UMAP


@dataclass(frozen=True, eq=False)
class Map:
    """Clips in a plane.

    Attributes:
        ids: int64 (n,), ascending.
        xy: float32 (n, 2).
        known: what is known of each.
        cluster: of a saved clustering, as ``3`` or ``noise``; None if none was asked for.
        method: how it was made.
        explained: share of the variance that each axis has, of PCA.
        clips: how many there were to show; beyond the points asked for, a random sample is shown.
        revision, space_version: of the archive when it was read.
    """

    ids: Ids
    xy: Vectors
    known: Attributes
    cluster: Attribute | None
    method: How
    explained: tuple[float, float] | None
    clips: int
    revision: int
    space_version: int

    def records(self) -> Iterator[dict[str, Any]]:
        """The points as plain data, by ascending clip."""
        columns = {
            name: getattr(self.known, name)
            for name in ("label", "predicted", "emotion", "source", "speaker")
        }
        for row, (clip, (x, y)) in enumerate(zip(self.ids.tolist(), self.xy.tolist(), strict=True)):
            yield {
                "clip": clip,
                "x": x,
                "y": y,
                **{name: column.of(row) for name, column in columns.items()},
                "cluster": self.cluster.of(row) if self.cluster else None,
            }


_Placed = tuple[Ids, Vectors, tuple[float, float] | None, int]
"""``ids``, ``xy``, ``explained`` and ``clips`` of a map."""


class Maps:
    """The maps of an archive; those made last are remembered until clips or space change.

    Safe for use from several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._placed: OrderedDict[object, _Placed] = OrderedDict()

    def make(
        self,
        database: Database,
        model: ModelInfo,
        *,
        method: How = "pca",
        limit: int = 2000,
        task: str = EMOTION,
        clustering: str | None = None,
        wanted: ClipFilter | None = None,
        progress: Progress = unwatched,
    ) -> Map:
        """The map of the clips that pass the filter, at most ``limit`` of them, drawn at random.

        The same archive gives the same map. Labels, predictions and clusters are always fresh.
        ``progress`` is called with how many of their embeddings are read; of UMAP, with what share
        of the whole is done.

        Raises:
            InvalidInputError: too few clips, or too many points; UMAP is not installed.
            NotFoundError: there is no clustering of this name.
        """
        if not FEWEST <= limit <= MOST:
            raise InvalidInputError(f"a map has {FEWEST} to {MOST} points, not {limit}")
        if method == "umap" and find_spec("umap") is None:
            raise UnusableError("UMAP needs its package: pip install umap-learn")
        chosen = wanted or ClipFilter()
        with database.read() as session:
            revision, version = revision_and_space(session, model.id)
            key = (model.fingerprint, revision, version, method, limit)
            named = None if clustering is None else members(session, clustering)
            placed = None
            if chosen.is_empty:  # what passes a filter changes with labels too
                with self._lock:
                    placed = self._placed.get(key)
            if placed is None:
                placed = _place(session, model, method, limit, chosen, progress)
                if chosen.is_empty:
                    with self._lock:
                        self._placed[key] = placed
                        while len(self._placed) > _REMEMBERED:
                            self._placed.popitem(last=False)
            ids, xy, explained, clips = placed
            known = attributes_of(session, model, ids, task=task)
            cluster = None if named is None else _clusters(*named, ids)
        return Map(ids, xy, known, cluster, method, explained, clips, revision, version)


def _place(
    session: Session,
    model: ModelInfo,
    method: How,
    limit: int,
    wanted: ClipFilter,
    progress: Progress,
) -> _Placed:
    space = active_space(session, model)
    ids = embedded_ids(session, model, wanted)
    if len(ids) < FEWEST:
        raise AbsentError(f"a map needs {FEWEST} clips at least; {len(ids)} match")
    drawn = draw(ids, limit)
    reading = progress if method == "pca" else share(progress, 0, _READING)
    turned, read = [], adding_up(reading, len(drawn))
    for some, stored in vectors_by_id(session, model, drawn):
        turned.append(space.turn(session, some, stored))
        read(len(some))
    vectors = np.concatenate(turned)
    if method == "pca":
        xy, explained = pca(vectors)
        return drawn, xy, explained, len(ids)
    return drawn, umap(vectors, share(progress, _READING, 1)), None, len(ids)


@alone
def pca(vectors: Vectors) -> tuple[Vectors, tuple[float, float]]:
    """The first two principal components, float32 (n, 2), and the share of variance each has.

    Raises:
        InvalidInputError: all vectors are equal, or have one dimension.
    """
    from sklearn.decomposition import PCA

    if vectors.shape[1] < 2:
        raise UnusableError("a map needs embeddings of two dimensions at least")
    if (vectors == vectors[0]).all():
        raise UnusableError("all embeddings are equal: there is no map of them")
    made = PCA(2, svd_solver="covariance_eigh" if len(vectors) > 500 else "full", random_state=0)
    xy = made.fit_transform(vectors).astype(np.float32)
    first, second = (float(share) for share in made.explained_variance_ratio_)
    return xy, (first, second)


@alone
def umap(vectors: Vectors, progress: Progress = unwatched) -> Vectors:
    """A plane in which neighbours stay neighbours, float32 (n, 2): UMAP (McInnes, Healy and
    Melville, 2018) by cosine. Distances between far points mean little.

    Raises:
        AbsentError: there are too few vectors.
    """
    if len(vectors) <= _UMAP_FROM:
        raise AbsentError(
            f"UMAP needs more than {_UMAP_FROM} clips; {len(vectors)} match: take --method pca"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from umap import UMAP
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a seed makes it use one thread, which it warns of
        shown = {"disable": False, "file": _Epochs(progress), "bar_format": "{n}/{total}"}
        made = UMAP(n_neighbors=_UMAP_FROM, metric="cosine", random_state=0, tqdm_kwds=shown)
        return np.asarray(made.fit_transform(vectors), dtype=np.float32)


class _Epochs(io.TextIOBase):
    """What UMAP's bar is drawn on: passes on how many epochs are over, and of how many."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def write(self, text: str) -> int:
        done, _, total = text.strip().partition("/")
        if total:
            self._progress(float(done), float(total))
        return len(text)


def _clusters(clips: Ids, clusters: NDArray[np.int32], ids: Ids) -> Attribute:
    codes: NDArray[np.int32] = np.full(len(ids), -1, np.int32)
    names, numbers = np.unique(clusters, return_inverse=True)
    if len(clips):
        at = np.minimum(np.searchsorted(clips, ids), len(clips) - 1)
        there = clips[at] == ids
        codes[there] = numbers[at[there]]
    shown = tuple("noise" if number == NOISE else str(number) for number in names.tolist())
    return Attribute(shown, codes)

"""Description of clusters: size, typical clips, and what each has more of than the rest."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom

from emotion_search.index.database.clip_columns import Attribute, Attributes
from emotion_search.index.database.column_rows import ABSENT
from emotion_search.index.database.filters import NOISE
from emotion_search.index.vectors.arrays import Vectors

TYPICAL = 5
"""Clips that are named as typical of a cluster."""

_SIGNIFICANT = 0.01  # over all values of all kinds and clusters together (Bonferroni)
_SHOWN = 5  # values of a kind


@dataclass(frozen=True)
class Excess:
    """A value that a cluster has more of than the rest of the archive.

    Attributes:
        clips: of the cluster that have it.
        share: of the cluster's clips of which anything is known, 0 to 1.
        lift: that share over the share among all clips.
        p: chance of as many by drawing the cluster at random (hypergeometric), uncorrected.
    """

    value: str
    clips: int
    share: float
    lift: float
    p: float


@dataclass(frozen=True)
class Described:
    """A cluster.

    Attributes:
        cluster: its number; -1 for the clips that are in none.
        size, share: how many clips, and of all that were clustered, 0 to 1.
        typical: ids of the clips nearest to its centre, of different recordings where it has them.
        cohesion: mean cosine of its clips to its centre.
        labels, predicted, emotions, sources: what it has more of than the rest, by lift: labels
            that people gave, values that a classifier gave, the model's likeliest classes.
        speakers: how many are known in it; ``speaker_share``: of the clips with a known speaker,
            the part that the most frequent one has.
    """

    cluster: int
    size: int
    share: float
    typical: tuple[int, ...]
    cohesion: float
    labels: tuple[Excess, ...]
    predicted: tuple[Excess, ...]
    emotions: tuple[Excess, ...]
    sources: tuple[Excess, ...]
    speakers: int
    speaker_share: float | None

    def record(self) -> dict[str, Any]:
        """Everything as plain data."""
        return asdict(self)


class Gatherer:
    """Centres and typical clips of clusters, from vectors that come some at a time: a first pass
    over all of them adds up centres, a second finds the clips that are nearest."""

    def __init__(self, k: int, dimension: int) -> None:
        self._sums = np.zeros((k + 1, dimension))  # the last row is noise
        self._counts = np.zeros(k + 1, np.int64)
        self._cosines = np.zeros(k + 1)
        self._near: list[list[tuple[float, int]]] = [[] for _ in range(k + 1)]

    def add(self, vectors: Vectors, clusters: NDArray[np.int32]) -> None:
        """First pass: L2-normalised vectors, float32 (n, dim), with their clusters, (n,)."""
        for cluster in np.unique(clusters):
            self._sums[cluster] += vectors[clusters == cluster].sum(axis=0, dtype=np.float64)
            self._counts[cluster] += int((clusters == cluster).sum())

    def renumber(self, order: NDArray[np.int64]) -> None:
        """Between the passes: keep these clusters, in this order."""
        rows = [*order.tolist(), len(self._sums) - 1]
        self._sums, self._counts = self._sums[rows], self._counts[rows]
        self._cosines = np.zeros(len(rows))
        self._near = [[] for _ in rows]

    def look(self, ids: NDArray[np.int64], vectors: Vectors, clusters: NDArray[np.int32]) -> None:
        """Second pass: the same, with the clips' ids."""
        lengths = np.maximum(np.linalg.norm(self._sums, axis=1, keepdims=True), 1e-12)
        centres = (self._sums / lengths).astype(np.float32)
        cosines = np.einsum("nd,nd->n", vectors, centres[clusters])
        for cluster in np.unique(clusters):
            rows = np.flatnonzero(clusters == cluster)
            self._cosines[cluster] += float(cosines[rows].sum())
            best = rows[np.argsort(-cosines[rows], kind="stable")][:_KEPT]
            new = [(-float(cosines[row]), int(ids[row])) for row in best]
            self._near[cluster] = sorted(self._near[cluster] + new)[:_KEPT]

    def typical(self, cluster: int, recording_of: dict[int, int]) -> tuple[int, ...]:
        """Ids of the clips nearest to a cluster's centre, of different recordings first."""
        seen: set[int] = set()
        first: list[int] = []
        later: list[int] = []
        for _, clip in self._near[cluster]:
            recording = recording_of.get(clip, ABSENT)
            (later if recording in seen else first).append(clip)
            seen.add(recording)
        return tuple((first + later)[:TYPICAL])

    def candidates(self) -> list[int]:
        """Ids of all clips that may be typical of a cluster."""
        return sorted({clip for near in self._near for _, clip in near})

    def cohesion(self, cluster: int) -> float:
        """Mean cosine of a cluster's clips to its centre."""
        return float(self._cosines[cluster] / max(1, self._counts[cluster]))


_KEPT = 4 * TYPICAL


def describe(
    known: Attributes, clusters: NDArray[np.int32], k: int, gathered: Gatherer
) -> list[Described]:
    """Every cluster, in order, noise last if there is any.

    Args:
        known: of the clips that were clustered.
        clusters: int32 (n,), of each.
        k: number of clusters.
        gathered: after both passes.
    """
    numbers = [*range(k), *([NOISE] if (clusters == NOISE).any() else [])]
    kinds = {
        "labels": known.label,
        "predicted": known.predicted,
        "emotions": known.emotion,
        "sources": known.source,
    }
    tests = len(numbers) * sum(len(kind.names) for kind in kinds.values())
    excesses = {name: _excesses(kind, clusters, numbers, tests) for name, kind in kinds.items()}
    rows = np.searchsorted(known.ids, gathered.candidates())
    recording_of = dict(zip(known.ids[rows].tolist(), known.recordings[rows].tolist(), strict=True))
    found = []
    for number in numbers:
        chosen = clusters == number
        size = int(chosen.sum())
        who = known.speaker.codes[chosen]
        who = np.bincount(who[who != ABSENT]) if (who != ABSENT).any() else np.zeros(0, np.int64)
        found.append(
            Described(
                cluster=number,
                size=size,
                share=size / max(1, len(clusters)),
                typical=gathered.typical(number, recording_of),
                cohesion=gathered.cohesion(number),
                labels=excesses["labels"][number],
                predicted=excesses["predicted"][number],
                emotions=excesses["emotions"][number],
                sources=excesses["sources"][number],
                speakers=int((who > 0).sum()),
                speaker_share=float(who.max() / who.sum()) if len(who) else None,
            )
        )
    return found


def _excesses(
    kind: Attribute, clusters: NDArray[np.int32], numbers: list[int], tests: int
) -> dict[int, tuple[Excess, ...]]:
    there = kind.codes != ABSENT
    if not there.any():
        return dict.fromkeys(numbers, ())
    codes, of = kind.codes[there], clusters[there]
    everywhere = np.bincount(codes, minlength=len(kind.names))
    found: dict[int, tuple[Excess, ...]] = {}
    for number in numbers:
        here = np.bincount(codes[of == number], minlength=len(kind.names))
        drawn = int(here.sum())
        chances = hypergeom.sf(here - 1, len(codes), everywhere, drawn)
        some = [
            Excess(
                kind.names[c],
                int(here[c]),
                float(here[c] / drawn),
                float(here[c] / drawn / (everywhere[c] / len(codes))),
                float(chances[c]),
            )
            for c in np.flatnonzero((here > 0) & (chances * tests < _SIGNIFICANT))
        ]
        found[number] = tuple(sorted(some, key=lambda one: -one.lift)[:_SHOWN])
    return found

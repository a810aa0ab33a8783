"""Description of clusters: size, typical clips, and what each has more of than the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom

from emotion_search.index.database.clip_columns import Attribute, Attributes
from emotion_search.index.database.column_rows import ABSENT
from emotion_search.index.database.filters import NOISE

TYPICAL = 5
"""Clips that are named as typical of a cluster."""

_SIGNIFICANT = 0.01  # over all values of all kinds and clusters together (Bonferroni)
_SHOWN = 5  # values of a kind
_NEAR = 4 * TYPICAL  # clips among which typical ones are of different recordings


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


def describe(
    known: Attributes, clusters: NDArray[np.int32], k: int, cosines: NDArray[np.float32]
) -> list[Described]:
    """Every cluster, in order, noise last if there is any.

    Args:
        known: of the clips that were clustered.
        clusters: int32 (n,), of each.
        k: number of clusters.
        cosines: float32 (n,), of each to the centre of its cluster.
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
    found = []
    for number in numbers:
        chosen = clusters == number
        rows = np.flatnonzero(chosen)
        size = len(rows)
        who = known.speaker.codes[chosen]
        who = np.bincount(who[who != ABSENT]) if (who != ABSENT).any() else np.zeros(0, np.int64)
        found.append(
            Described(
                cluster=number,
                size=size,
                share=size / max(1, len(clusters)),
                typical=_typical(known, rows[np.argsort(-cosines[rows], kind="stable")]),
                cohesion=float(cosines[rows].sum(dtype=np.float64) / max(1, size)),
                labels=excesses["labels"][number],
                predicted=excesses["predicted"][number],
                emotions=excesses["emotions"][number],
                sources=excesses["sources"][number],
                speakers=int((who > 0).sum()),
                speaker_share=float(who.max() / who.sum()) if len(who) else None,
            )
        )
    return found


def _typical(known: Attributes, nearest: NDArray[np.intp]) -> tuple[int, ...]:
    """Ids of the clips nearest to a cluster's centre, of different recordings first."""
    near = nearest[:_NEAR]
    firsts = np.sort(np.unique(known.recordings[near], return_index=True)[1])
    others = np.setdiff1d(np.arange(len(near)), firsts)
    return tuple(known.ids[near[[*firsts, *others][:TYPICAL]]].tolist())


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

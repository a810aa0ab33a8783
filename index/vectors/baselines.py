"""Baselines of speakers, recordings and sources: shrunk means that are subtracted from embeddings.

Who speaks, and over which line, moves an embedding as much as what is felt. The mean of a speaker's
clips tells both, and takes them out. What few clips say is trusted little: a mean over n clips is
drawn towards that of the level above as if ``GROUP_PRIOR`` more clips lay there (empirical Bayes
with a normal prior; Efron and Morris, J. American Statistical Association 70, 1975).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_search.index.vectors.arrays import Vectors, normalise

PRIOR = 10.0
"""Clips that the mean of a file, or of a few, is weighed against."""

GROUP_PRIOR = 5.0
"""Clips that the mean of a group of the archive is weighed against."""

FEWEST = 5
"""Fewest clips that a group has a baseline of its own from."""

_USUAL = 75  # percentile of the groups' scatter that counts as the usual one
_MANY = 4  # own groups, or
_LARGE = 50  # clips of each of two sources, that make baselines worth while


class Place(NamedTuple):
    """Where a clip comes from; None for what is not known."""

    source: str | None = None
    speaker: str | None = None
    recording: int | None = None
    channel: int | None = None


class Group(NamedTuple):
    """A group whose baseline something takes, and what of it is known.

    Attributes:
        level: its ``speaker`` within source and channel; its ``recording``, and channel, which of a
            file is that itself; its ``source``; the ``nearest source``, of what nobody says where
            it is from; the whole ``archive``.
    """

    level: Literal["speaker", "recording", "source", "nearest source", "archive"]
    source: str | None = None
    speaker: str | None = None
    recording: int | None = None
    channel: int | None = None

    @property
    def title(self) -> str:
        """The group in words."""
        parts = [f"source {self.source}"] if self.source is not None else []
        if self.level == "nearest source":
            return f"source {self.source}, the nearest"
        if self.level == "speaker":
            parts.insert(0, f"speaker {self.speaker}")
        elif self.level == "recording":
            parts.insert(
                0, "the file itself" if self.recording is None else f"recording {self.recording}"
            )
        if self.channel is not None:
            parts.append(f"channel {self.channel}")
        return ", ".join(parts) or "the archive"


def keys_of(place: Place) -> list[str]:
    """The groups that a clip is of, as texts, the closest first: its speaker within source and
    channel, or, where no speaker is named, its recording and channel; then its source."""
    keys: list[list[str | int | None]] = []
    if place.speaker is not None:
        keys.append(["speaker", place.source, place.speaker, place.channel])
    elif place.recording is not None:
        keys.append(["recording", place.recording, place.channel])
    if place.source is not None:
        keys.append(["source", place.source])
    return [json.dumps(key, ensure_ascii=False) for key in keys]


def group_of(key: str, place: Place) -> Group:
    """The group of a key, one of the clips of which comes from ``place``."""
    return Group(json.loads(key)[0], *_named(key, place))


@dataclass(frozen=True, eq=False)
class Baseline:
    """The baseline of a group.

    Attributes:
        place: what its clips have in common; a source's has nothing but that.
        clips: how many it was taken from.
        mean: float32, (dim,), shrunk, of L2-normalised embeddings.
    """

    place: Place
    clips: int
    mean: Vectors

    @property
    def key(self) -> str:
        """The group, as ``keys_of`` calls it."""
        return keys_of(self.place)[0]

    @property
    def is_source(self) -> bool:
        """Whether it is that of a whole source."""
        return self.place == Place(self.place.source)


@dataclass(frozen=True, eq=False)
class Baselines:
    """The baselines of an archive: ``mean`` of all clips (float32, (dim,)), how many those are, and
    those of groups, by key."""

    mean: Vectors
    clips: int
    groups: dict[str, Baseline]

    def centre(self, place: Place) -> Vectors:
        """The baseline of a clip, float32 (dim,): of the closest group that has one."""
        for key in keys_of(place):
            if key in self.groups:
                return self.groups[key].mean
        return self.mean

    @property
    def sources(self) -> int:
        """How many sources have one."""
        return sum(one.is_source for one in self.groups.values())

    @property
    def own(self) -> int:
        """How many speakers or recordings have one."""
        return len(self.groups) - self.sources

    @property
    def are_telling(self) -> bool:
        """Whether groups are many and large enough to be told from what is said in them: four of
        speakers or recordings that hold half of the clips, or two sources of fifty clips."""
        inside = sum(one.clips for one in self.groups.values() if not one.is_source)
        large = [one for one in self.groups.values() if one.is_source and one.clips >= _LARGE]
        return (self.own >= _MANY and 2 * inside >= self.clips) or len(large) >= 2


def shrunk(
    total: NDArray[np.float64], clips: int, parent: Vectors, prior: float = PRIOR
) -> Vectors:
    """The mean of a group, float32 (dim,), from the sum of its clips' L2-normalised embeddings
    (float64, (dim,)), drawn towards ``parent`` (float32, (dim,))."""
    return np.asarray((total + prior * parent) / (clips + prior), np.float32)


def fit_baselines(parts: Iterable[tuple[Sequence[Place], Vectors]]) -> Baselines | None:
    """The baselines of clips, given as places and embeddings (float32, (n, dim)), some at a time;
    None where there are none.

    A group whose clips scatter less than those of most groups may hold one emotion only: its mean
    is trusted less, by the square of the ratio.
    """
    sums: dict[str, NDArray[np.float64]] = {}
    counts: dict[str, int] = {}
    placed: dict[str, Place] = {}
    whole, clips = np.zeros(0), 0
    for places, vectors in parts:
        unit = normalise(vectors).astype(np.float64)
        whole = unit.sum(axis=0) + (whole if clips else 0)
        clips += len(unit)
        rows: dict[Place, list[int]] = {}
        for row, place in enumerate(places):
            rows.setdefault(place, []).append(row)
        for place, some in rows.items():
            total = unit[some].sum(axis=0)
            for key in keys_of(place):
                sums[key] = total + sums.get(key, 0)
                counts[key] = counts.get(key, 0) + len(some)
                placed.setdefault(key, _named(key, place))
    if not clips:
        return None
    mean = np.asarray(whole / clips, np.float32)
    enough = [key for key, count in counts.items() if count >= FEWEST]
    own = [key for key in enough if placed[key] != Place(placed[key].source)]
    scatter = {key: _scatter(sums[key], counts[key]) for key in own}
    usual = float(np.percentile(list(scatter.values()), _USUAL)) if own else 0.0
    groups: dict[str, Baseline] = {}
    for key in [one for one in enough if one not in scatter]:
        drawn = shrunk(sums[key], counts[key], mean, GROUP_PRIOR)
        groups[key] = Baseline(placed[key], counts[key], drawn)
    for key in own:
        above = keys_of(Place(placed[key].source))
        parent = groups[above[0]].mean if above and above[0] in groups else mean
        prior = GROUP_PRIOR * max(1.0, usual / max(scatter[key], 1e-9)) ** 2
        groups[key] = Baseline(
            placed[key], counts[key], shrunk(sums[key], counts[key], parent, prior)
        )
    return Baselines(mean, clips, groups)


def _named(key: str, place: Place) -> Place:
    """What the clips of a group have in common, one of them lying at ``place``."""
    level = json.loads(key)[0]
    if level == "source":
        return Place(place.source)
    return place._replace(recording=None) if level == "speaker" else place


def _scatter(total: NDArray[np.float64], clips: int) -> float:
    """The variance within a group, of vectors of length one whose sum is ``total``."""
    return float((clips - total @ total / clips) / (clips - 1))

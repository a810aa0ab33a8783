"""Confounds of similarity: triplets whose distractor shares speaker, sentence or source with the
anchor, and how many of the nearest clips are of the query's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.quality.labelled import LabelledVectors
from emotion_search.engine.quality.summary import Array, Estimate, over_queries
from emotion_search.index.vectors.arrays import normalise, rounded

Mask = NDArray[np.bool_]
Codes = NDArray[np.int64]

KINDS = ("nothing", "sentence", "speaker", "source", "both")
"""What a distractor shares with the anchor; ``both`` is speaker and sentence."""

_BLOCK = 256  # anchors compared with all clips at once
_NEAREST = 10


@dataclass(frozen=True)
class Triplets:
    """Anchor, a clip of its label, and a distractor of another label: how often the anchor is
    nearer to the first. 0.5 is chance.

    Attributes:
        right: mean over anchors of the share of their triplets that are right, ties counting half.
        anchors: how many there are.
        triplets: how many of all of them.
    """

    right: Estimate
    anchors: int
    triplets: int


@dataclass(frozen=True)
class Share:
    """How many of the ten nearest clips are of the query's own speaker (recording, source), 0 to
    1, mean over queries; and of ten in random order."""

    share: float
    chance: float


@dataclass(frozen=True)
class Confounds:
    """What nearness follows besides the label.

    Attributes:
        triplets: by kind, of ``KINDS``.
        nearest: by ``source``, ``speaker`` and ``recording``.
        left_out: kinds of triplets that there are none of, and why.
    """

    triplets: dict[str, Triplets]
    nearest: dict[str, Share]
    left_out: dict[str, str]


def confounds(
    data: LabelledVectors, anchors: NDArray[np.intp], *, rounds: int, seed: int
) -> Confounds:
    """All triplets of each anchor, and its ten nearest among all other clips.

    The clip of the same label is by another speaker (of another recording, where speakers are not
    known) and of another sentence, where sentences are known. So is the distractor, but for what
    it shares. Of several sources, both are of another one than the anchor (``nothing``), the
    distractor is of the same one (``source``), or both are (the other kinds): what is not named
    does not tell them apart.

    Such triplets: Harvill et al., ICASSP 2019, and IEEE Trans. Affective Computing 14(2), 2023;
    distractors that share the sentence: "The False Resonance", arXiv 2604.26347, 2026.

    Args:
        data: in the space to measure.
        anchors: rows, (q,). All have the same weight; a speaker's are drawn together for the
            intervals.
        rounds: bootstrap samples.
    """
    unit = normalise(data.vectors)
    kinds = _Kinds.of(data)
    owns = _owns(data)
    right: Array = np.full((len(anchors), len(KINDS)), np.nan)
    counts = np.zeros(len(KINDS), np.int64)
    shares = np.zeros((len(anchors), len(owns)))
    at = 0
    for block in np.array_split(anchors, max(1, -(-len(anchors) // _BLOCK))):
        similarity = rounded((unit[block] @ unit.T).astype(np.float64))
        for row, similar in zip(block, similarity, strict=True):
            for column, like, unlike in kinds.masks(row):
                right[at, column] = _nearer(similar[like], similar[unlike])
                counts[column] += int(like.sum()) * int(unlike.sum())
            similar[row] = -np.inf
            nearest = np.argsort(-similar, kind="stable")[: min(_NEAREST, len(unit) - 1)]
            shares[at] = [(codes[nearest] == codes[row]).mean() for codes in owns.values()]
            at += 1
    sizes = [np.bincount(codes)[codes[anchors]] for codes in owns.values()]
    chance = [(size - 1).mean() / (len(unit) - 1) for size in sizes]
    triplets = {}
    for column, kind in enumerate(KINDS):
        there = ~np.isnan(right[:, column])
        if there.any():
            groups = data.groups[anchors[there]]
            (mean,) = over_queries(right[there, column, None], groups, rounds=rounds, seed=seed)
            triplets[kind] = Triplets(mean, int(there.sum()), int(counts[column]))
    return Confounds(
        triplets,
        {
            name: Share(float(share), float(by_chance))
            for name, share, by_chance in zip(owns, shares.mean(axis=0), chance, strict=True)
        },
        {kind: _why(kind, data) for kind in KINDS if kind not in triplets},
    )


def _nearer(like: Array, unlike: Array) -> float:
    """The share of pairs of which the first is the more similar one, ties counting half."""
    like = np.sort(like)
    below = np.searchsorted(like, unlike, "left") + np.searchsorted(like, unlike, "right")
    return float(1 - below.mean() / (2 * len(like)))


@dataclass(frozen=True, eq=False)
class _Kinds:
    """Codes of labels, of who speaks, of sentences and of sources, each (n,)."""

    labels: Codes
    voices: Codes
    sentences: Codes
    sources: Codes
    several: bool  # sources
    speakers: bool  # are known

    @classmethod
    def of(cls, data: LabelledVectors) -> _Kinds:
        sources = _codes(data.sources, len(data.labels))
        return cls(
            _codes(data.labels, 0),
            _codes(data.groups, 0),
            _sentence_codes(data),
            sources,
            bool(sources.any()),
            data.speakers is not None,
        )

    def masks(self, row: int) -> Iterator[tuple[int, Mask, Mask]]:
        """For each kind that the anchor has triplets of: its number, the clips that may be the
        one of the same label, and those that may be the distractor."""
        label = self.labels == self.labels[row]
        voice = self.voices == self.voices[row]
        sentence = self.sentences == self.sentences[row]
        source = self.sources == self.sources[row]
        apart = ~source if self.several else source
        like = label & ~voice & ~sentence
        unlike = ~label & ~sentence
        repeated = ~label & sentence & source
        found = [
            (like & apart, unlike & ~voice & apart),
            (like & source, repeated & ~voice),
            (like & source, unlike & voice & source & self.speakers),
            (like & apart, unlike & ~voice & source & self.several),
            (like & source, repeated & voice & self.speakers),
        ]
        for column, (first, second) in enumerate(found):
            if first.any() and second.any():
                yield column, first, second


def _codes(values: NDArray[np.str_] | None, n: int) -> Codes:
    if values is None:
        return np.zeros(n, np.int64)
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def _sentence_codes(data: LabelledVectors) -> Codes:
    """A code for each sentence; a clip whose sentence is not known shares it with none."""
    n = len(data.labels)
    if data.sentences is None:
        return np.arange(n)
    return np.where(data.sentences == "", -1 - np.arange(n), _codes(data.sentences, n))


def _owns(data: LabelledVectors) -> dict[str, Codes]:
    """Codes of sources, speakers and recordings, where there are several that say something."""
    found = {"source": data.sources, "speaker": data.speakers, "recording": data.recordings}
    codes = {name: _codes(values, 0) for name, values in found.items() if values is not None}
    return {name: own for name, own in codes.items() if 0 < own.max() < len(own) - 1}


def _why(kind: str, data: LabelledVectors) -> str:
    if kind in ("sentence", "both") and data.sentences is None:
        return "what is said is not known: no labelled clip has the metadata key text"
    if kind in ("speaker", "both") and data.speakers is None:
        return "the speakers are not all known"
    if data.speakers is not None and len(np.unique(data.speakers)) < 2:
        return "all labelled clips are of one speaker"
    if kind == "source" and (data.sources is None or len(np.unique(data.sources)) < 2):
        return "all labelled clips are of one source"
    return "there is no such triplet"

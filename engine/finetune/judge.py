"""Evaluation of a fine-tuned model: UAR on held-out speakers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.audio.workers import Decoders
from emotion_search.engine.embedders.registry import load_embedder
from emotion_search.engine.finetune.examples import Example, Split, decode_examples
from emotion_search.engine.finetune.head import uar
from emotion_search.engine.ingest.reread import DecodedClip
from emotion_search.engine.machine.threads import ahead
from emotion_search.engine.settings import Settings

Given = NDArray[np.int64]
"""The class given to each example."""


@dataclass(frozen=True)
class Judgement:
    """UAR on one side of the split.

    Attributes:
        clips: how many.
        groups: which speakers or recordings.
        own: by the base's own scores, where its classes mean the labels; None where they do not.
        head: by a new head on the base as it was.
        tuned: by the model that was written.
        chance: one over the number of classes there.
    """

    clips: int
    groups: tuple[str, ...]
    own: float | None
    head: float
    tuned: float
    chance: float


def judge(
    examples: Sequence[Example],
    labels: Given,
    parts: Split,
    *,
    own: Given | None,
    head: Given,
    tuned: Given,
) -> dict[str, Judgement]:
    """How good the classes are that were given, on ``validation`` and, where there is one,
    ``test``."""
    return {
        name: Judgement(
            clips=len(rows),
            groups=groups_of(examples, rows),
            own=None if own is None else uar(labels[rows], own[rows]),
            head=uar(labels[rows], head[rows]),
            tuned=uar(labels[rows], tuned[rows]),
            chance=1 / len(np.unique(labels[rows])),
        )
        for name, rows in (("validation", parts.validation), ("test", parts.test))
        if len(rows)
    }


def classified(
    model: Path,
    examples: Sequence[Example],
    parts: Split,
    names: Sequence[str],
    settings: Settings,
    decoders: Decoders,
) -> Given:
    """The labels that the written model gives to what was not trained on, from the audio, loaded as
    any model is; -1 for the rest."""
    embedder = load_embedder(str(model), settings)
    assert [one.lower() for one in embedder.classes] == [one.strip().lower() for one in names]
    rows = np.concatenate([parts.validation, parts.test]).tolist()
    given = np.full(len(examples), -1)

    def classify(clip: DecodedClip) -> tuple[int, int]:
        return rows[clip.id], int(embedder.embed([clip.samples]).scores.argmax())

    for row, best in ahead(classify, decode_examples([examples[row] for row in rows], decoders)):
        given[row] = best
    return given


def groups_of(examples: Sequence[Example], rows: NDArray[np.intp]) -> tuple[str, ...]:
    """The speakers (recordings) of some examples, sorted."""
    return tuple(sorted({examples[row].group for row in rows.tolist()}))

"""How far two people agree on labels: Cohen's kappa."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Agreement:
    """How far the labels of two tasks agree, on clips that have both.

    Attributes:
        clips: how many have.
        agreed: of how many the labels are the same.
        kappa: what is agreed beyond chance, as a share of what could be (Cohen, "A coefficient of
            agreement for nominal scales", 1960): 1 for all, 0 for chance. None where chance alone
            agrees on all, and without clips.
    """

    clips: int
    agreed: int
    kappa: float | None


def agreement_of(pairs: Mapping[tuple[str, str], int]) -> Agreement:
    """How far labels agree, given how many clips have each pair of them."""
    names = sorted({name for pair in pairs for name in pair})
    table = np.zeros((len(names), len(names)))
    for (one, other), clips in pairs.items():
        table[names.index(one), names.index(other)] += clips
    clips, agreed = int(table.sum()), int(np.trace(table))
    chance = float(table.sum(axis=0) @ table.sum(axis=1)) / max(1, clips) ** 2
    kappa = (agreed / clips - chance) / (1 - chance) if clips and chance < 1 else None
    return Agreement(clips, agreed, kappa)

"""Held-out predictions for the examples of a classifier, by classifiers fitted without them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_search.index.vectors.arrays import Ids


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Decisions and probabilities of the clips that a classifier was fitted to, as of any others:
    each by a classifier, and calibrated by curves, that were fitted without its speaker. The
    classifier itself remembers them, and is too sure.

    Attributes:
        ids: int64 (n,), ascending.
        given: int64 (n,), the class given to each.
        chances: float64 (n, classes).
    """

    ids: Ids
    given: NDArray[np.int64]
    chances: NDArray[np.float64]

    def put(self, ids: Ids, given: NDArray[np.int64], chances: NDArray[np.float64]) -> None:
        """Put these in place of the predictions of those clips ``ids`` that are among them."""
        if len(self.ids):
            at = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
            mine = self.ids[at] == ids
            given[mine], chances[mine] = self.given[at[mine]], self.chances[at[mine]]

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """What they consist of; ``held_out_of`` gives them back."""
        return {
            "held_ids": self.ids,
            "held_given": self.given,
            "held_chances": self.chances.astype(np.float32),
        }


def held_out_of(arrays: Mapping[str, NDArray[np.generic]]) -> HeldOut:
    """What ``HeldOut.arrays`` were taken from.

    Raises:
        KeyError: they are not there.
    """
    return HeldOut(
        arrays["held_ids"].astype(np.int64),
        arrays["held_given"].astype(np.int64),
        arrays["held_chances"].astype(np.float64),
    )

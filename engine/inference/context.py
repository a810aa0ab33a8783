"""Adapting the scores of a file: to the archive that it is compared with, or to itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from emotion_search.engine.embedders.base import Embedder
from emotion_search.index.database.connection import Database
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.scoring import centre_at
from emotion_search.index.vectors.arrays import Vectors, normalise
from emotion_search.index.vectors.baselines import FEWEST, Place, shrunk

Adapted = Literal["archive", "recording", "files", "none"]
"""To what scores are adapted: the archive's mean or baselines, the recording itself, the mean of
the files that came together, nothing."""


@dataclass(frozen=True, eq=False)
class Centre:
    """The centre of a recording, float32 (dim,), None for none; and what it was taken from."""

    of: Adapted = "none"
    vector: Vectors | None = None


Context = Callable[[Vectors], Centre]
"""Gives the centre of a recording by the embeddings of windows of it that do not overlap: float32,
(n, dim)."""


def own_context(embedder: Embedder) -> Context:
    """Of a recording of which nothing is known: from five windows on their mean, drawn towards that
    of the model's training as if ten more windows lay there."""

    def centre(windows: Vectors) -> Centre:
        if embedder.centre is None or len(windows) < FEWEST:
            return Centre()
        total = normalise(windows).sum(axis=0, dtype=np.float64)
        return Centre("recording", shrunk(total, len(windows), embedder.centre))

    return centre


def archive_context(
    database: Database, model: ModelInfo, embedder: Embedder, place: Place
) -> Context:
    """Of a recording compared with those of an archive of the same model: the archive's mean, or
    the baseline of the speaker and source that it is said to be of; see ``ArchiveSpace.centre_at``.
    """
    alone = own_context(embedder)

    def centre(windows: Vectors) -> Centre:
        with database.read() as session:
            found = centre_at(session, model, place, windows)
        return alone(windows) if found is None else Centre("archive", found)

    return centre

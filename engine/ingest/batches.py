"""Batches of clips on their way through the model: one is embedded while another is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from emotion_search.engine.audio.file import Samples
from emotion_search.engine.embedders.base import Floats
from emotion_search.engine.embedders.shared import Begun, SharedEmbedder

T = TypeVar("T")


class Batches(Generic[T]):
    """Hands batches to a model, one ahead of the one whose embeddings are asked for; close it."""

    def __init__(self, embedder: SharedEmbedder) -> None:
        self._embedder = embedder
        self._last: tuple[list[T], Begun] | None = None

    def swap(
        self, batch: Sequence[tuple[T, Samples]]
    ) -> list[tuple[T, Floats, Floats, Floats | None]]:
        """Begin to embed a batch; returns the one before with its vectors (dimension,), scores
        (classes,) and affect (3,) of the model's own, which is waited for."""
        last, self._last = self._last, None
        if batch:
            begun = self._embedder.begin([samples for _, samples in batch])
            self._last = [item for item, _ in batch], begun
        if last is None:
            return []
        found = last[1].result()
        own = [None] * len(last[0]) if found.affect is None else found.affect
        return list(zip(last[0], found.vectors, found.scores, own, strict=True))

    def close(self) -> None:
        """Let go of what was not begun."""
        if self._last is not None:
            self._last[1].drop()

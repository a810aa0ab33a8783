"""The protocol of embedding models, and checks of what goes in and comes out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.audio.file import SAMPLE_RATE, SHORTEST, Samples
from emotion_search.index.errors import AudioError, UnusableError

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Embeddings of n clips.

    Attributes:
        vectors: float32, (n, dimension), of any length but zero.
        scores: float32, (n, classes), each row a probability distribution; no columns where the
            model gives no scores.
        affect: float32, (n, 3), -1 to 1: valence, arousal and dominance as the model itself
            estimates them; None of a model that does not, for which they are derived from the
            scores. A model that adapts its scores gives none.
    """

    vectors: NDArray[np.float32]
    scores: NDArray[np.float32]
    affect: NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class Frames:
    """Embeddings of the frames of a clip.

    Attributes:
        vectors: float32, (frames, dimension).
        scores: float32, (frames, classes), each row a probability distribution.
    """

    vectors: NDArray[np.float32]
    scores: NDArray[np.float32]


class Embedder(Protocol):
    """A model that turns clips into vectors. Safe for use from several threads."""

    @property
    def name(self) -> str:
        """What the user called it."""

    @property
    def fingerprint(self) -> str:
        """Hex sha256 of what decides its output: weights and configuration."""

    @property
    def dimension(self) -> int:
        """Length of its vectors."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Emotion classes of its scores, in order; empty if it gives none."""

    @property
    def adapts(self) -> bool:
        """Whether ``scores`` can make use of ``centre``."""

    @property
    def centre(self) -> Floats | None:
        """What ``scores`` moves other centres to, float32 (dimension,): the mean of the
        L2-normalised embeddings of its training. None of a model that does not adapt."""

    def embed(self, clips: Sequence[Samples]) -> Embeddings:
        """Embeddings of clips, each float32, (n,), 16 kHz: the same alone as among others.

        Raises:
            AudioError: a clip is shorter than ``SHORTEST`` or not finite.
        """

    def scores(self, vectors: Floats, centre: Floats | None = None) -> Floats:
        """Class scores of stored embeddings: float32, (n, classes), each row a distribution.

        Recordings of other people, rooms and lines lie elsewhere in the space than those that the
        model was trained on. Moving the mean of an archive to the mean of training undoes most of
        that, without labels.

        Args:
            vectors: float32, (n, dimension), as ``embed`` gives them, of any length.
            centre: float32, (dimension,) or (n, dimension): the mean of the L2-normalised
                embeddings of the archive, recording or speaker that a clip is of. None where
                nothing is known; the scores are then those that ``embed`` gives. Ignored by a
                model that does not adapt.

        Raises:
            InvalidInputError: the model does not adapt, and makes scores of audio alone.
        """

    def frames(self, clip: Samples) -> Frames:
        """Embeddings of a clip's frames: frame i covers 400 samples from 320 * i on.

        Raises:
            AudioError: the clip is shorter than ``SHORTEST`` or not finite.
            InvalidInputError: the model has no frames.
        """


@runtime_checkable
class TextEmbedder(Protocol):
    """What an ``Embedder`` has besides if texts lie in the same space as its clips."""

    def embed_text(self, texts: Sequence[str]) -> Floats:
        """Embeddings of texts, float32 (n, dimension): the same alone as among others. The more a
        clip sounds as a text says, the higher is the cosine of their embeddings.

        Raises:
            InvalidInputError: a text is too long.
        """


class BaseEmbedder(ABC):
    """An ``Embedder`` that describes one clip after the other, each as a whole.

    A model that extends it sets ``name``, ``fingerprint`` and ``dimension`` and has ``vector``. One
    that gives scores sets ``classes`` and has ``scores``; one that estimates valence, arousal and
    dominance has ``affect``.
    """

    name: str
    fingerprint: str
    dimension: int
    classes: tuple[str, ...] = ()
    adapts: bool = False
    centre: Floats | None = None
    licence: str | None = None
    """Of its weights, in a line; where it is not the package's own."""

    @abstractmethod
    def vector(self, clip: Samples) -> Floats:
        """The embedding, float32 (dimension,), of a clip: float32, (n,), 16 kHz, n >= 400."""

    def embed(self, clips: Sequence[Samples]) -> Embeddings:
        """Embeddings and scores of clips, each float32, (n,), 16 kHz. A batch would be hardly
        faster on a CPU, and would give the same clip other last digits in other company.

        Raises:
            AudioError: a clip is shorter than 400 samples or not finite.
        """
        check(clips)
        rows = np.array([self.vector(clip) for clip in clips], np.float32)
        vectors = rows.reshape(len(clips), self.dimension)
        return Embeddings(vectors, self.scores(vectors), self.affect(vectors))

    def scores(self, vectors: Floats, centre: Floats | None = None) -> Floats:
        """Class scores of embeddings, (n, classes); none of a model without classes."""
        return np.empty((len(vectors), 0), np.float32)

    def affect(self, vectors: Floats) -> Floats | None:
        """Valence, arousal and dominance of embeddings, float32 (n, 3), -1 to 1; None of a model
        that does not estimate them."""
        return None

    def frames(self, clip: Samples) -> Frames:
        """Not to be had: this model describes a clip as a whole.

        Raises:
            InvalidInputError: always.
        """
        raise UnusableError(
            f"the model {self.name} has no frames, it describes a clip as a whole: choose"
            " another granularity, or an emotion2vec model"
        )


def usable(vector: NDArray[np.float32]) -> bool:
    """Whether an embedding has a direction: finite, and not zero."""
    return bool(np.isfinite(vector).all() and vector.any())


def check(clips: Sequence[Samples]) -> None:
    """Refuse clips that no model can embed.

    Raises:
        AudioError: a clip is too short, has another shape, or is not finite.
    """
    for clip in clips:
        if clip.ndim != 1 or clip.dtype != np.float32:
            raise AudioError(f"is {clip.dtype} of shape {clip.shape}, not mono float32")
        if len(clip) < SHORTEST:
            raise AudioError(
                f"is too short: {1000 * len(clip) / SAMPLE_RATE:.1f} ms of at least"
                f" {1000 * SHORTEST / SAMPLE_RATE:.0f} ms"
            )
        if not np.isfinite(clip).all():
            raise AudioError("contains samples that are not finite (NaN or infinity)")

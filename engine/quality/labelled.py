"""Labelled vectors to evaluate on: of an archive, or a user's own from files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.files.npy import mapped
from emotion_search.engine.files.tables import table_rows, valid_rows
from emotion_search.index.errors import AbsentError, UnusableError
from emotion_search.index.vectors.space import Space

Strings = NDArray[np.str_]

SENTENCE_KEY = "text"
"""The metadata key of the words spoken, where no other is named."""

_NEEDED = "evaluation needs two classes of at least two clips each"


@dataclass(frozen=True, eq=False)
class LabelledVectors:
    """Embeddings of n labelled clips.

    Attributes:
        vectors: float32, (n, dim), none zero.
        labels: (n,), the class of each clip.
        speakers: (n,), or None where not all are known.
        recordings: (n,), which recording each clip is of.
        name: what was measured, for the report.
        sources: (n,), which source each clip is of; empty text where unknown, a source like any
            other. None where no clip has one.
        sentences: (n,), a name for what is said; empty text where unknown. None where no clip has
            one.
        centres: float32, (n, dim), each one's baseline; None where nothing is known to tell groups
            by.
        scores: float32, (n, ``score_classes``), of the model; rows of NaN where a clip has none.
            None where the model gives none.
        score_classes: classes of the model.
        affect: float64, (n, 3), valence, arousal and dominance of each, NaN where not known. None
            where nothing is.
        voices: (n,), who speaks in each as far as it is known; see ``voices_of``. None where
            all speakers are known, or none.
    """

    vectors: NDArray[np.float32]
    labels: Strings
    speakers: Strings | None
    recordings: Strings
    name: str
    sources: Strings | None = None
    sentences: Strings | None = None
    centres: NDArray[np.float32] | None = None
    scores: NDArray[np.float32] | None = None
    score_classes: tuple[str, ...] = ()
    affect: NDArray[np.float64] | None = None
    voices: Strings | None = None

    def __post_init__(self) -> None:
        n = len(self.labels)
        if self.vectors.ndim != 2 or len(self.vectors) != n or len(self.recordings) != n:
            raise UnusableError(
                f"{n} labels for embeddings of shape {self.vectors.shape}: one row each is needed"
            )
        usable = np.isfinite(self.vectors).all(axis=1) & self.vectors.any(axis=1)
        if not usable.all():
            raise UnusableError(
                f"an embedding ({self.recordings[usable.argmin()]}) is zero or not finite and"
                " cannot be compared"
            )
        if n > 1 and (self.vectors == self.vectors[0]).all():
            raise AbsentError("all embeddings are equal: there is nothing to tell apart")
        counts = np.unique(self.labels, return_counts=True)[1]
        if (counts > 1).sum() < 2:
            raise AbsentError(
                f"{_NEEDED}; there are {n} labelled clips of {len(counts)}"
                f" {'class' if len(counts) == 1 else 'classes'}"
            )

    @property
    def groups(self) -> Strings:
        """The speaker of each clip, (n,); its recording where the speaker is not known."""
        if self.speakers is not None:
            return self.speakers
        return self.recordings if self.voices is None else self.voices

    @property
    def by(self) -> str:
        """What ``groups`` are: speakers, recordings, or speakers or recordings."""
        if self.speakers is not None:
            return "speakers"
        named = self.voices is not None and np.char.startswith(self.voices, "speaker ").any()
        return "speakers or recordings" if named else "recordings"

    @property
    def classes(self) -> list[str]:
        """The classes, sorted."""
        return [str(name) for name in np.unique(self.labels)]

    def part(self, rows: NDArray[np.intp]) -> LabelledVectors:
        """Some of the clips.

        Raises:
            InvalidInputError: too few for an evaluation.
        """
        arrays = {k: v[rows] for k, v in vars(self).items() if isinstance(v, np.ndarray)}
        return LabelledVectors(**{**vars(self), **arrays})

    def turned(self, space: Space) -> LabelledVectors:
        """The same clips in a space.

        Raises:
            InvalidInputError: it subtracts baselines, and there are none.
        """
        if space.method.grouped and self.centres is None:
            raise UnusableError("a space of baselines needs to know whose clips they are")
        centres = self.centres if space.method.grouped else None
        return replace(self, vectors=space.apply(self.vectors, centres))


def voices_of(speakers: Strings, recordings: Strings) -> Strings:
    """Who speaks in each clip, (n,): the speaker, or the recording where that is empty text."""
    named = np.char.add("speaker ", speakers)
    return np.where(speakers == "", np.char.add("recording ", recordings), named)


def sentences_under(key: str | None, found: Sequence[str]) -> Strings | None:
    """Short names, (n,), for the sentences that were found under a metadata key (None: ``text``);
    empty where one is empty. None where all are.

    Raises:
        AbsentError: it was named, and no labelled clip has it.
    """
    if any(found):
        number = {text: str(i) for i, text in enumerate(dict.fromkeys(found))}
        return np.array([number[text] if text else "" for text in found])
    if key is None:
        return None
    raise AbsentError(f"no labelled clip has the metadata key {key}, which tells the sentence")


def read_labelled_vectors(
    embeddings: Path, labels: Path, *, sentence_key: str | None = None
) -> LabelledVectors:
    """Vectors of a ``.npy`` file (n, dim) with the rows of a CSV file: a column ``label``, and
    ``speaker``, ``recording``, ``source`` and ``text`` where known. Rows without a label are left
    out.

    Args:
        sentence_key: the column of the words spoken, in place of ``text``.

    Raises:
        InvalidInputError: a file cannot be read, or they do not fit together; or no row has
            anything in the column ``sentence_key``.
    """
    vectors = mapped(embeddings)
    if vectors.ndim != 2 or vectors.dtype.kind not in "fiu":
        raise UnusableError(
            f"{embeddings} holds {vectors.dtype} of shape {vectors.shape}, not numbers of"
            " shape (clips, dimensions)"
        )
    rows = [row for _, row in valid_rows(labels, table_rows(labels))]
    if not rows or "label" not in rows[0]:
        raise UnusableError(f"{labels} has no column label, or no rows")
    if len(rows) != len(vectors):
        raise UnusableError(
            f"{labels} has {len(rows)} rows for {len(vectors)} embeddings in {embeddings}"
        )
    kept = [i for i, row in enumerate(rows) if row["label"]]

    def column(name: str) -> list[str]:
        return [rows[i].get(name) or "" for i in kept]

    sources = column("source")
    speakers = np.array(column("speaker"), dtype=str)
    recordings = np.array([rows[i].get("recording") or f"row {i}" for i in kept], dtype=str)
    with np.errstate(over="ignore"):  # the message says so
        taken = np.asarray(vectors[kept], dtype=np.float32)
    return LabelledVectors(
        taken,
        np.array([rows[i]["label"] for i in kept], dtype=str),
        speakers if speakers.all() else None,
        recordings,
        embeddings.name,
        sources=np.array(sources) if any(sources) else None,
        sentences=sentences_under(sentence_key, column(sentence_key or SENTENCE_KEY)),
        voices=None if speakers.all() else voices_of(speakers, recordings),
    )

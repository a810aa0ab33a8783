"""Query by example: from a clip or a file to one query vector, and what must not be a hit."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from sqlalchemy.orm import Session

from engine.decoding import Block, Decoders
from engine.embedders.base import Embedder, usable
from engine.segment import windows
from index.clips import (
    clips_of,
    get_clip,
    get_recording,
    vectors_of,
)
from index.database import Database
from index.errors import AudioError, InvalidInputError
from index.filters import ClipFilter
from index.models import ModelInfo
from index.recordings import find_by_sha256
from index.vectors import Vectors, normalise

ExcludeSame = Literal["recording", "speaker"]
EXCLUDABLE: dict[str, ExcludeSame] = {"recording": "recording", "speaker": "speaker"}
"""What of the example's own can be left out of the hits."""

_BATCH = 16  # windows of a long example embedded at once


@dataclass(frozen=True, eq=False)
class Example:
    """What is searched for.

    Attributes:
        vector: float32, (dim,), L2-normalised.
        clips: ids of its own clips in the archive, which are never hits.
        recording: its recording's id; None if it is not in the archive.
        speaker: who speaks; None if unknown.
    """

    vector: Vectors
    clips: tuple[int, ...] = ()
    recording: int | None = None
    speaker: str | None = None


def example_of_clip(session: Session, model: ModelInfo, clip_id: int) -> Example:
    """A clip of the archive as an example: its stored embedding, no model needed.

    Raises:
        NotFoundError: no such clip.
    """
    clip = get_clip(session, model, clip_id)
    vector = normalise(vectors_of(session, model, [clip_id]))[0]
    return Example(vector, (clip_id,), clip.recording_id, clip.speaker)


def example_of_file(
    database: Database,
    model: ModelInfo,
    path: Path,
    embedder: Callable[[], Embedder],
    decoders: Decoders,
    window: float,
) -> Example:
    """An audio file as an example; ``embedder`` is called only if the archive has not its bytes.

    A long file stands for the mean direction of its windows.

    Raises:
        InvalidInputError: no such file.
        AudioError: it cannot be used as audio; names the file.
    """
    try:
        if path.exists() and not path.is_file():
            raise InvalidInputError(f"{path} is not a regular file")
        with path.open("rb") as handle:
            sha256 = hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise InvalidInputError(f"{path}: {error.strerror}") from error
    with database.read() as session:
        known = find_by_sha256(session, sha256)
        if known is not None:
            clips = clips_of(session, known)
            vector = _mean(vectors_of(session, model, clips))
            return Example(vector, tuple(clips), known, get_recording(session, known).speaker)
    decoders.warm()  # starts while the model is loaded
    return Example(_embed(path, embedder(), decoders, window))


def restrict(wanted: ClipFilter, example: Example, exclude: ExcludeSame | None) -> ClipFilter:
    """``wanted`` without the clips of the example's own recording or speaker.

    Raises:
        InvalidInputError: it has none that is known.
    """
    if exclude is None:
        return wanted
    if example.recording is None:
        raise InvalidInputError(f"the example is not in the archive, so its {exclude} is unknown")
    if exclude == "recording":
        return replace(wanted, not_recordings=(*wanted.not_recordings, example.recording))
    if example.speaker is None:
        raise InvalidInputError("the example's speaker is not known to the archive")
    return replace(wanted, not_speaker=example.speaker)


def _embed(path: Path, embedder: Embedder, decoders: Decoders, length: float) -> Vectors:
    vectors: list[Vectors] = []
    waiting = []
    try:
        with contextlib.closing(decoders.read(path, [None])) as messages:
            blocks = (message.tracks[0] for message in messages if isinstance(message, Block))
            for window in windows(blocks, length):
                waiting.append(window.samples)
                if len(waiting) == _BATCH:
                    vectors.append(embedder.embed(waiting).vectors)
                    waiting = []
            if waiting:
                vectors.append(embedder.embed(waiting).vectors)
        together = np.concatenate(vectors)
        if not all(map(usable, together)):
            raise AudioError("gets no usable embedding")
    except AudioError as error:
        raise AudioError(f"{path.name} {error}") from error
    return _mean(together)


def _mean(vectors: Vectors) -> Vectors:
    """The mean direction of vectors (n, dim), L2-normalised (dim,)."""
    return normalise(normalise(vectors).mean(axis=0))

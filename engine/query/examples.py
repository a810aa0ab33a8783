"""Query vectors from examples (Rocchio): clips, stretches of recordings, vectors, audio files."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emotion_search.engine.archive.archive import Archive
from emotion_search.engine.audio.mono import MonoFile
from emotion_search.engine.audio.voice import NO_VOICE, voiceless
from emotion_search.engine.audio.windows import windows
from emotion_search.engine.embedders.base import usable
from emotion_search.engine.files.scan import facts, sha256_of
from emotion_search.index.database.clips import clips_of, overlapping_clips, owner_of, vectors_of
from emotion_search.index.database.connection import Session
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.recording_details import get_recording
from emotion_search.index.database.recordings import find_by_sha256
from emotion_search.index.errors import AudioError, InvalidInputError, NotFoundError
from emotion_search.index.vectors.arrays import Vectors, normalise


@dataclass(frozen=True)
class ClipExample:
    """A clip of the archive."""

    clip: int


@dataclass(frozen=True)
class SpanExample:
    """A stretch of a recording of the archive, in seconds; no channel means all that have clips."""

    recording: int
    start: float = 0.0
    end: float = float("inf")
    channel: int | None = None


@dataclass(frozen=True)
class VectorExample:
    """An embedding of the archive's model, of any length but zero."""

    vector: tuple[float, ...]


@dataclass(frozen=True)
class FileExample:
    """An audio file; ``name`` is what errors call it."""

    path: Path
    name: str


AnyExample = ClipExample | SpanExample | VectorExample | FileExample


def as_example(given: int | Path | AnyExample) -> AnyExample:
    """A clip's id or an audio file as an example; examples as they are."""
    if isinstance(given, int):
        return ClipExample(given)
    return FileExample(given, given.name) if isinstance(given, Path) else given


GAMMA = 0.25
"""Weight of the negative examples."""

_BATCH = 16  # windows of a long example embedded at once
_LEAST = 1e-3  # of a length of one: what is left where examples cancel each other out


@dataclass(frozen=True, eq=False)
class Example:
    """What an example stands for.

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


def rocchio(positive: Sequence[Vectors], negative: Sequence[Vectors]) -> Vectors:
    """Mean direction of ``positive`` less 0.25 of that of ``negative``: float32 (dim,), L2-normal.

    Each is float32 (dim,) and L2-normalised; one positive alone is returned as it is.

    Raises:
        InvalidInputError: they cancel each other out.
    """
    if len(positive) == 1 and not negative:
        return positive[0]
    mean = _direction(positive)
    if negative:
        mean = np.asarray(mean - np.float32(GAMMA) * _direction(negative), np.float32)
    return normalise(mean)


def _direction(vectors: Sequence[Vectors]) -> Vectors:
    mean = np.stack(vectors).mean(axis=0, dtype=np.float64)
    if np.linalg.norm(mean) < _LEAST:
        raise InvalidInputError("the examples point in opposite directions and cancel out")
    return normalise(np.asarray(mean, np.float32))


def resolved(
    archive: Archive, model: ModelInfo, example: AnyExample, longest: float | None
) -> Example:
    """What an example stands for; a file is embedded only if the archive has not its bytes.

    Args:
        longest: seconds of audio that a file may have; None for any.

    Raises:
        InvalidInputError, NotFoundError, AudioError, ModelMismatchError, ModelUnavailableError:
            see ``engine.query.query.answer``.
    """
    if isinstance(example, FileExample):
        return _of_file(archive, model, example, longest)
    if isinstance(example, VectorExample):
        return Example(_given(model, example.vector))
    with archive.database.read() as session:
        if isinstance(example, ClipExample):
            if not 0 < example.clip < 2**63:
                raise NotFoundError(f"no clip {example.clip} in this archive")
            recording, speaker = owner_of(session, example.clip)
            vector = normalise(vectors_of(session, model, [example.clip]))[0]
            return Example(vector, (example.clip,), recording, speaker)
        return _of_span(session, model, example)


def _given(model: ModelInfo, values: Sequence[float]) -> Vectors:
    if len(values) != model.dimension:
        raise InvalidInputError(
            f"the vector has {len(values)} numbers; those of this archive have {model.dimension}"
        )
    wide = np.asarray(values, dtype=np.float64)
    largest = float(np.abs(wide).max())
    if not np.isfinite(largest) or largest == 0:
        raise InvalidInputError("the vector is zero or not finite, so it has no direction")
    wide = wide / largest  # or squares would overflow, or vanish
    return np.asarray(wide / np.linalg.norm(wide), dtype=np.float32)


def _of_span(session: Session, model: ModelInfo, example: SpanExample) -> Example:
    """The mean of the stored embeddings of the clips in the span, by how much they overlap."""
    if not 0 <= example.start < example.end:
        raise InvalidInputError(
            f"{example.start:g} to {example.end:g} s is no span: start must come before end"
        )
    if not 0 < example.recording < 2**63:
        raise NotFoundError(f"no recording {example.recording} in this archive")
    recording = get_recording(session, example.recording)
    overlaps = overlapping_clips(
        session, example.recording, example.start, example.end, example.channel
    )
    if not overlaps:
        end = "its end" if example.end == float("inf") else f"{example.end:g} s"
        raise InvalidInputError(
            f"recording {example.recording} has no clip"
            f"{'' if example.channel is None else f' of channel {example.channel}'}"
            f" between {example.start:g} s and {end}"
        )
    ids = list(overlaps)
    units = normalise(vectors_of(session, model, ids))
    if len(ids) == 1:
        return Example(units[0], (ids[0],), recording.id, recording.speaker)
    mean = np.asarray(np.average(units, axis=0, weights=list(overlaps.values())))
    if np.linalg.norm(mean) < _LEAST:
        raise InvalidInputError("the clips of the span cancel each other out")
    vector = normalise(np.asarray(mean, np.float32))
    return Example(vector, tuple(ids), recording.id, recording.speaker)


def _of_file(
    archive: Archive, model: ModelInfo, example: FileExample, longest: float | None
) -> Example:
    """An audio file: embedded, unless the archive has its bytes; a long one is the mean direction
    of its windows."""
    try:
        facts(example.path)  # raises for what is no regular file
        sha256 = sha256_of(example.path)
    except OSError as error:
        raise InvalidInputError(f"{example.path}: {error.strerror}") from error
    with archive.database.read() as session:
        known = find_by_sha256(session, sha256)
        if known is not None:
            clips = clips_of(session, known)
            vectors = normalise(vectors_of(session, model, clips))
            speaker = get_recording(session, known).speaker
            return Example(normalise(vectors.mean(axis=0)), tuple(clips), known, speaker)
    try:
        return Example(_embedded(archive, model, example.path, longest))
    except AudioError as error:
        raise AudioError(f"{example.name} {error}") from error


def _embedded(archive: Archive, model: ModelInfo, path: Path, longest: float | None) -> Vectors:
    archive.decoders.warm()  # starts while the model is loaded
    embedder = archive.embedder_of(model)
    vectors: list[Vectors] = []
    waiting = []
    with contextlib.closing(MonoFile(archive.decoders, path, longest=longest).blocks()) as blocks:
        for window in windows(blocks, archive.settings.window):
            if not voiceless(window.samples):
                waiting.append(window.samples)
            if len(waiting) == _BATCH:
                vectors.append(embedder.embed(waiting).vectors)
                waiting = []
        if waiting:
            vectors.append(embedder.embed(waiting).vectors)
    if not vectors:
        raise AudioError(NO_VOICE)
    together = np.concatenate(vectors)
    if not all(map(usable, together)):
        raise AudioError("gets no usable embedding")
    return normalise(normalise(together).mean(axis=0))

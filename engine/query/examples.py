"""Examples of a query, embedded: clips, spans of recordings, vectors, audio files, texts."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from emotion_search.engine.archive.archive import Archive
from emotion_search.engine.audio.mono import MonoFile
from emotion_search.engine.audio.samples import Samples
from emotion_search.engine.audio.voice import NO_VOICE, voiceless
from emotion_search.engine.audio.windows import FixedWindows, Segmenter, SpeechWindows, cut
from emotion_search.engine.embedders.base import usable
from emotion_search.engine.files.scan import facts, sha256_of
from emotion_search.index.database.clips import clips_of, overlapping_clips
from emotion_search.index.database.files import find_by_sha256
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.recording_details import get_recording
from emotion_search.index.errors import AudioError, InvalidInputError, NotFoundError, UnusableError
from emotion_search.index.search import Example, Snapshot
from emotion_search.index.vectors.arrays import Vectors
from emotion_search.index.vectors.baselines import Place

log = logging.getLogger(__name__)


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


@dataclass(frozen=True)
class TextExample:
    """What clips should sound like, in words; for models of sound and text."""

    text: str


AnyExample = ClipExample | SpanExample | VectorExample | FileExample | TextExample


def as_example(given: int | Path | AnyExample) -> AnyExample:
    """A clip's id or an audio file as an example; examples as they are.

    Raises:
        InvalidInputError: it is none of these.
    """
    if isinstance(given, int):
        return ClipExample(given)
    if isinstance(given, Path):
        return FileExample(given, given.name)
    if isinstance(given, AnyExample):
        return given
    raise InvalidInputError(
        f"{given!r} is no example: give a clip's id, a file as Path, or words as TextExample"
    )


_BATCH = 16  # windows of a long example embedded at once


@dataclass(frozen=True, eq=False)
class Resolved:
    """What an example stands for.

    Attributes:
        example: its embeddings.
        recording: its recording's id; None if it is not in the archive.
        speaker, source: whose it is, and where from; None if unknown.
    """

    example: Example
    recording: int | None = None
    speaker: str | None = None
    source: str | None = None


def embedded(
    archive: Archive, model: ModelInfo, example: AnyExample, longest: float | None
) -> AnyExample | Example:
    """An audio file as what it stands for: its clips, if the archive has its bytes, else its
    embeddings; a text as its embedding; other examples as they are.

    Args:
        longest: seconds of audio that a file may have; None for any.

    Raises:
        InvalidInputError, AudioError, ModelMismatchError, ModelUnavailableError: see
            ``engine.query.query.answer``.
    """
    if isinstance(example, TextExample):
        if not example.text.strip():
            raise InvalidInputError("the text is empty: say what clips should sound like")
        return Example(archive.embedder_of(model).embed_text([example.text]), place=None)
    if not isinstance(example, FileExample):
        return example
    try:
        facts(example.path)  # raises for what is no regular file
        sha256 = sha256_of(example.path)
    except OSError as error:
        raise UnusableError(f"{example.path}: {error.strerror}") from error
    with archive.database.read() as session:
        known = find_by_sha256(session, sha256)
        if known is not None:
            return Example(clips=np.array(clips_of(session, known), np.int64))
    try:
        return Example(_embedded(archive, model, example, longest))
    except AudioError as error:
        raise AudioError(f"{example.name} {error}") from error


def resolved(
    snapshot: Snapshot, example: AnyExample | Example, place: Place | None = None
) -> Resolved:
    """What an example stands for; files and texts are ``embedded`` before.

    Args:
        place: where examples that the archive has not come from, as far as that is known.

    Raises:
        InvalidInputError, NotFoundError: see ``engine.query.query.answer``.
    """
    if isinstance(example, Example):
        if example.clips is not None:
            return _inside(snapshot, example)
        return Resolved(example) if example.place is None else _outside(example, place or Place())
    if isinstance(example, VectorExample):
        return _outside(Example(_given(snapshot.model, example.vector)[None]), place or Place())
    if isinstance(example, ClipExample):
        _check_id("clip", example.clip)
        return _inside(snapshot, Example(clips=np.array([example.clip], np.int64)))
    assert isinstance(example, SpanExample)
    return _of_span(snapshot, example)


def _check_id(what: str, number: int) -> None:
    """Raise NotFoundError for what no database can be asked for."""
    if not 0 < number < 2**63:
        raise NotFoundError(f"no {what} {number} in this archive")


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


def _inside(snapshot: Snapshot, example: Example) -> Resolved:
    """Clips of one recording of the archive."""
    assert example.clips is not None
    place = snapshot.place_of(example.clips)
    return Resolved(example, place.recording, place.speaker, place.source)


def _outside(example: Example, place: Place) -> Resolved:
    """Embeddings of something that the archive has not."""
    return Resolved(replace(example, place=place), speaker=place.speaker, source=place.source)


def _of_span(snapshot: Snapshot, example: SpanExample) -> Resolved:
    """The clips in the span, by how much they overlap."""
    if not 0 <= example.start < example.end:
        raise InvalidInputError(
            f"{example.start:g} to {example.end:g} s is no span: start must come before end"
        )
    _check_id("recording", example.recording)
    session = snapshot.session
    get_recording(session, example.recording)  # raises where there is none
    overlaps = overlapping_clips(
        session, example.recording, example.start, example.end, example.channel
    )
    if not overlaps:
        end = "its end" if example.end == float("inf") else f"{example.end:g} s"
        raise UnusableError(
            f"recording {example.recording} has no clip"
            f"{'' if example.channel is None else f' of channel {example.channel}'}"
            f" between {example.start:g} s and {end}"
        )
    clips = np.array(list(overlaps), np.int64)
    return _inside(snapshot, Example(clips=clips, weights=np.array(list(overlaps.values()))))


def _embedded(
    archive: Archive, model: ModelInfo, example: FileExample, longest: float | None
) -> Vectors:
    archive.decoders.warm()  # starts while the model is loaded
    embedder = archive.embedder_of(model)
    window, by_speech = archive.settings.window, archive.settings.segments == "speech"
    cutters: list[Segmenter] = [SpeechWindows(window)] if by_speech else []
    for cutter in (*cutters, FixedWindows(window)):  # fixed ones where speech is not told from song
        audio = MonoFile(archive.decoders, example.path, longest=longest)
        with contextlib.closing(audio.blocks()) as blocks:
            found = [embedder.embed(some).vectors for some in _batches(blocks, cutter)]
        if found:
            for text in audio.notices:
                log.warning("%s: %s", example.name, text)
            together = np.concatenate(found)
            if not all(map(usable, together)):
                raise AudioError("gets no usable embedding")
            return together
    raise AudioError(NO_VOICE)


def _batches(blocks: Iterable[Samples], cutter: Segmenter) -> Iterator[list[Samples]]:
    """Windows of a file in which there may be a voice, some at a time."""
    voices = (one.samples for one in cut(blocks, cutter) if not voiceless(one.samples))
    while some := list(islice(voices, _BATCH)):
        yield some

"""Several examples, for and against, to one query; and the search that answers it."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.audio import SAMPLE_RATE
from engine.decoding import Block
from engine.embedders.base import usable
from engine.library import MOST_HITS, Library
from engine.query import Example, ExcludeSame, example_of_clip
from engine.segment import windows
from index.clips import clips_of, get_recording, vectors_of
from index.errors import AudioError, InvalidInputError, NotFoundError
from index.filters import ClipFilter
from index.models import ModelInfo
from index.pool import Wish
from index.recordings import find_by_sha256
from index.schema import Clip
from index.search import Hit, Target
from index.vectors import Vectors, normalise

GAMMA = 0.25
"""Weight of the negative examples."""

MOST_EXAMPLES = 100
"""Most examples of a query."""

_BATCH = 16  # windows of a long example embedded at once
_LEAST = 1e-3  # of a length of one: what is left where examples cancel each other out


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


@dataclass(frozen=True)
class Query:
    """What is searched for.

    Attributes:
        positive, negative: examples of what hits should be like, and of what they should not.
        limit: most hits, 1 to 1000.
        per_recording: most hits of one recording; None for no matter.
        distinct: leave out a clip whose cosine to a better hit is this or more, -1 to 1.
        exact: whether an index that estimates has to be passed by.
        wanted: which clips may be hits.
        exclude_same: leave out the positive examples' own recordings or speaker.
    """

    positive: Sequence[AnyExample]
    negative: Sequence[AnyExample] = ()
    limit: int = 10
    per_recording: int | None = None
    distinct: float | None = None
    exact: bool = False
    wanted: ClipFilter = field(default_factory=ClipFilter)
    exclude_same: ExcludeSame | None = None


@dataclass(frozen=True)
class Answer:
    """The hits, best first, and the model whose embeddings were compared."""

    hits: list[Hit]
    model: ModelInfo


def search(library: Library, query: Query, *, longest: float | None = None) -> list[Hit]:
    """The hits of ``answer``."""
    return answer(library, query, longest=longest).hits


def answer(library: Library, query: Query, *, longest: float | None = None) -> Answer:
    """The clips most like the positive examples and unlike the negative ones, best first.

    The query vector is Rocchio's (1971): the mean direction of the positive examples less 0.25 of
    the mean direction of the negative ones, of L2-normalised embeddings; the archive's space is
    applied to it as to any query. The examples' own clips are never hits.

    Args:
        longest: seconds of audio that a file may have; None for any.

    Raises:
        InvalidInputError: no positive example, examples that cancel each other out, a limit or a
            vector that makes no sense, nothing known to exclude.
        NotFoundError: no such clip or recording.
        AudioError: a file cannot be used as audio.
        ModelMismatchError, ModelUnavailableError: the model cannot embed a file.
    """
    if not 1 <= query.limit <= MOST_HITS:
        raise InvalidInputError(f"limit must be 1 to {MOST_HITS}, not {query.limit}")
    if query.per_recording is not None and query.per_recording < 1:
        raise InvalidInputError(f"per_recording must be at least 1, not {query.per_recording}")
    if query.distinct is not None and not -1 <= query.distinct <= 1:
        raise InvalidInputError(f"distinct must be a cosine from -1 to 1, not {query.distinct:g}")
    if not query.positive:
        raise InvalidInputError("give a positive example: a clip, a recording, a vector or a file")
    if len(query.positive) + len(query.negative) > MOST_EXAMPLES:
        raise InvalidInputError(f"a query may have {MOST_EXAMPLES} examples at most")
    model, searcher = library.searcher()
    positive = [_resolved(library, model, one, longest) for one in query.positive]
    negative = [_resolved(library, model, one, longest) for one in query.negative]
    vector = rocchio([one.vector for one in positive], [one.vector for one in negative])
    own = {clip for one in (*positive, *negative) for clip in one.clips}
    wanted = _excluding(query.wanted, positive, query.exclude_same)
    wish = Wish(query.limit, query.per_recording, query.distinct)
    target = Target(vector, wish, wanted, without=own, exact=query.exact)
    return Answer(searcher.search(target), model)


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


def _excluding(
    wanted: ClipFilter, positive: Sequence[Example], exclude: ExcludeSame | None
) -> ClipFilter:
    if exclude is None:
        return wanted
    recordings = sorted({one.recording for one in positive if one.recording is not None})
    if not recordings:
        raise InvalidInputError(f"the example is not in the archive, so its {exclude} is unknown")
    if exclude == "recording":
        return replace(wanted, not_recordings=(*wanted.not_recordings, *recordings))
    speakers = {one.speaker for one in positive if one.speaker is not None}
    if not speakers:
        raise InvalidInputError("the example's speaker is not known to the archive")
    if len(speakers) > 1:
        raise InvalidInputError("the examples have several speakers; only one can be left out")
    return replace(wanted, not_speaker=speakers.pop())


def _resolved(
    library: Library, model: ModelInfo, example: AnyExample, longest: float | None
) -> Example:
    if isinstance(example, FileExample):
        return _of_file(library, model, example, longest)
    if isinstance(example, VectorExample):
        return Example(_given(model, example.vector))
    with library.database.read() as session:
        if isinstance(example, ClipExample):
            if not 0 < example.clip < 2**63:
                raise NotFoundError(f"no clip {example.clip} in this archive")
            return example_of_clip(session, model, example.clip)
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
    recording = get_recording(session, example.recording)
    overlapping = select(Clip.id, Clip.start, Clip.end).where(
        Clip.recording_id == example.recording,
        Clip.start < min(example.end, 1e300),
        Clip.end > example.start,
    )
    if example.channel is not None:
        overlapping = overlapping.where(Clip.channel == example.channel)
    rows = session.execute(overlapping.order_by(Clip.id)).all()
    weights = [min(end, example.end) - max(start, example.start) for _, start, end in rows]
    ids = [clip for clip, _, _ in rows]
    if not ids:
        raise InvalidInputError(
            f"recording {example.recording} has no clip between {example.start:g} and"
            f" {example.end:g} s"
        )
    units = np.concatenate(
        [
            normalise(vectors_of(session, model, ids[begin : begin + 500]))
            for begin in range(0, len(ids), 500)
        ]
    )
    if len(ids) == 1:
        return Example(units[0], (ids[0],), recording.id, recording.speaker)
    mean = np.asarray(np.average(units, axis=0, weights=weights))
    if np.linalg.norm(mean) < _LEAST:
        raise InvalidInputError("the clips of the span cancel each other out")
    vector = normalise(np.asarray(mean, np.float32))
    return Example(vector, tuple(ids), recording.id, recording.speaker)


def _of_file(
    library: Library, model: ModelInfo, example: FileExample, longest: float | None
) -> Example:
    """An audio file: embedded, unless the archive has its bytes; a long one is the mean direction
    of its windows."""
    with example.path.open("rb") as handle:
        sha256 = hashlib.file_digest(handle, "sha256").hexdigest()
    with library.database.read() as session:
        known = find_by_sha256(session, sha256)
        if known is not None:
            clips = clips_of(session, known)
            vectors = normalise(vectors_of(session, model, clips))
            speaker = get_recording(session, known).speaker
            return Example(normalise(vectors.mean(axis=0)), tuple(clips), known, speaker)
    try:
        return Example(_embedded(library, example.path, longest))
    except AudioError as error:
        raise AudioError(f"{example.name} {error}") from error


def _embedded(library: Library, path: Path, longest: float | None) -> Vectors:
    library.decoders.warm()  # starts while the model is loaded
    embedder = library.embedder()
    vectors: list[Vectors] = []
    waiting = []
    heard = 0

    def blocks() -> Any:
        nonlocal heard
        for message in messages:
            if isinstance(message, Block):
                heard += len(message.tracks[0])
                if longest is not None and heard > longest * SAMPLE_RATE:
                    raise AudioError(f"is longer than {longest:g} s, the most that is taken here")
                yield message.tracks[0]

    with contextlib.closing(library.decoders.read(path, [None])) as messages:
        for window in windows(blocks(), library.settings.window):
            waiting.append(window.samples)
            if len(waiting) == _BATCH:
                vectors.append(embedder.embed(waiting).vectors)
                waiting = []
        if waiting:
            vectors.append(embedder.embed(waiting).vectors)
    together = np.concatenate(vectors)
    if not all(map(usable, together)):
        raise AudioError("gets no usable embedding")
    return normalise(normalise(together).mean(axis=0))

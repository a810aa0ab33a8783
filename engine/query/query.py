"""Query by example: positive and negative examples, limits, and the search that answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from emotion_search.engine.archive.archive import Archive
from emotion_search.engine.query.examples import AnyExample, Example, resolved, rocchio
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.errors import InvalidInputError
from emotion_search.index.search import Hit, Target
from emotion_search.index.vectors.pool import Wish

MOST_HITS = 1000
"""Most hits of one query."""

MOST_EXAMPLES = 100
"""Most examples of a query."""

ExcludeSame = Literal["recording", "speaker"]
"""What of the examples' own can be left out of the hits."""


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
    per_recording: int | None = 1
    distinct: float | None = None
    exact: bool = False
    wanted: ClipFilter = field(default_factory=ClipFilter)
    exclude_same: ExcludeSame | None = None


@dataclass(frozen=True)
class Answer:
    """The hits, best first, and the model whose embeddings were compared."""

    hits: list[Hit]
    model: ModelInfo


def answer(archive: Archive, query: Query, *, longest: float | None = None) -> Answer:
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
    model, searcher = archive.searcher()
    positive = [resolved(archive, model, one, longest) for one in query.positive]
    negative = [resolved(archive, model, one, longest) for one in query.negative]
    vector = rocchio([one.vector for one in positive], [one.vector for one in negative])
    own = {clip for one in (*positive, *negative) for clip in one.clips}
    wanted = _excluding(query.wanted, positive, query.exclude_same)
    wish = Wish(query.limit, query.per_recording, query.distinct)
    target = Target(vector, wish, wanted, without=own, exact=query.exact)
    return Answer(searcher.search(target), model)


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

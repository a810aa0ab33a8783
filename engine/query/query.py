"""Query by example: positive and negative examples, limits, and the search that answers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from emotion_search.engine.archive.archive import Archive
from emotion_search.engine.query.examples import (
    AnyExample,
    ClipExample,
    FileExample,
    Resolved,
    SpanExample,
    TextExample,
    embedded,
    resolved,
)
from emotion_search.index.database.baselines import located
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.errors import InvalidInputError, UnusableError
from emotion_search.index.search import Example, Hit, Snapshot, Target
from emotion_search.index.vectors.baselines import Place
from emotion_search.index.vectors.topk import Wish

MOST_HITS = 1000
"""Most hits of one query."""

MOST_EXAMPLES = 100
"""Most examples of a query."""

ExcludeSame = Literal["recording", "speaker", "source"]
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
        speaker, source: whose the examples are that the archive has not, and where from, as it
            names them: their baselines are subtracted from them.
        exclude_same: leave out the positive examples' own recordings, speaker or source.
    """

    positive: Sequence[AnyExample]
    negative: Sequence[AnyExample] = ()
    limit: int = 10
    per_recording: int | None = 1
    distinct: float | None = None
    exact: bool = False
    wanted: ClipFilter = field(default_factory=ClipFilter)
    exclude_same: ExcludeSame | None = None
    speaker: str | None = None
    source: str | None = None


@dataclass(frozen=True)
class Answer:
    """The hits, best first, and the model whose embeddings were compared."""

    hits: list[Hit]
    model: ModelInfo


def answer(archive: Archive, query: Query, *, longest: float | None = None) -> Answer:
    """The clips most like the positive examples and unlike the negative ones, best first.

    The query vector is Rocchio's (1971): the mean direction of the positive examples less 0.25 of
    the mean direction of the negative ones, in the archive's space. The examples' own clips are
    never hits.

    Args:
        longest: seconds of audio that a file may have; None for any.

    Raises:
        InvalidInputError: no positive example, examples that cancel each other out, a limit or a
            vector that makes no sense, nothing known to exclude, a speaker or source that the
            archive has not, or of examples that it has; a text where the model knows none.
        NotFoundError: no such clip or recording.
        AudioError: a file cannot be used as audio.
        ModelMismatchError, ModelUnavailableError: the model cannot embed a file or a text.
    """
    if not 1 <= query.limit <= MOST_HITS:
        raise InvalidInputError(f"limit must be 1 to {MOST_HITS}, not {query.limit}")
    if query.per_recording is not None and query.per_recording < 1:
        raise InvalidInputError(f"per_recording must be at least 1, not {query.per_recording}")
    if query.distinct is not None and not -1 <= query.distinct <= 1:
        raise InvalidInputError(f"distinct must be a cosine from -1 to 1, not {query.distinct:g}")
    if query.exclude_same not in (None, *get_args(ExcludeSame)):
        choices = ", ".join(get_args(ExcludeSame))
        raise InvalidInputError(f"exclude_same {query.exclude_same}: choose {choices}")
    if not query.positive:
        raise InvalidInputError(
            "give a positive example: a clip, a recording, a vector, a file or a text"
        )
    if len(query.positive) + len(query.negative) > MOST_EXAMPLES:
        raise InvalidInputError(f"a query may have {MOST_EXAMPLES} examples at most")
    examples = (*query.positive, *query.negative)
    known = all(isinstance(one, ClipExample | SpanExample | TextExample) for one in examples)
    if known and (query.speaker, query.source) != (None, None):
        raise InvalidInputError(
            "example_speaker and example_source say whose files are; all examples here are clips"
            " of the archive, which knows whose they are, or texts"
        )
    if any(isinstance(one, FileExample | TextExample) for one in examples):
        model, searcher = archive.searcher()
        positive, negative = (
            [embedded(archive, model, one, longest) for one in some]
            for some in (query.positive, query.negative)
        )
        opened = searcher.open()  # what embedded them, whatever serves by now
    else:
        positive, negative = list(query.positive), list(query.negative)
        opened = archive.snapshot()
    with opened as snapshot:
        return _answer(snapshot, query, positive, negative)


def _answer(
    snapshot: Snapshot,
    query: Query,
    given: Sequence[AnyExample | Example],
    unlike: Sequence[AnyExample | Example],
) -> Answer:
    """The answer to a query whose audio files are embedded."""
    place = located(snapshot.session, Place(query.source, query.speaker))
    positive = [resolved(snapshot, one, place) for one in given]
    negative = [resolved(snapshot, one, place) for one in unlike]
    own = {
        clip
        for one in (*positive, *negative)
        if one.example.clips is not None
        for clip in one.example.clips.tolist()
    }
    target = Target(
        [one.example for one in positive],
        Wish(query.limit, query.per_recording, query.distinct),
        [one.example for one in negative],
        wanted=_excluding(query.wanted, positive, query.exclude_same),
        without=own,
        exact=query.exact,
    )
    speakers = {one.speaker for one in positive} - {None}
    sources = {one.source for one in positive} - {None}
    hits = [
        replace(
            hit,
            same_speaker=_same(hit.clip.speaker, speakers),
            same_source=_same(hit.clip.source, sources),
        )
        for hit in snapshot.search(target)
    ]
    return Answer(hits, snapshot.model)


def _same(of_hit: str | None, of_examples: Collection[str | None]) -> bool | None:
    return of_hit in of_examples if of_hit is not None and of_examples else None


def _excluding(
    wanted: ClipFilter, positive: Sequence[Resolved], exclude: ExcludeSame | None
) -> ClipFilter:
    if exclude is None:
        return wanted
    if exclude == "recording":
        recordings = sorted({one.recording for one in positive if one.recording is not None})
        if not recordings:
            raise UnusableError("the example is not in the archive, so it has no recording")
        return replace(wanted, not_recordings=(*wanted.not_recordings, *recordings))
    known = {getattr(one, exclude) for one in positive} - {None}
    if not known:
        # No option is for clips of the archive, nor for texts.
        ours = any(one.recording is None and one.example.place is not None for one in positive)
        cure = f"; --example-{exclude} names it" if ours else ""
        raise UnusableError(f"the example's {exclude} is not known to the archive{cure}")
    if len(known) > 1:
        raise UnusableError(f"the examples have several {exclude}s; only one can be left out")
    return replace(wanted, **{f"not_{exclude}": known.pop()})

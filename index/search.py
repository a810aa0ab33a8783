"""Search: from a query vector to the k most similar clips among those that pass a filter."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from emotion_search.index.database.baselines import group_at
from emotion_search.index.database.clips import ClipDetails, clip_details, get_clip, vectors_of
from emotion_search.index.database.column_rows import ABSENT
from emotion_search.index.database.connection import Database
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.order import Order, ordered
from emotion_search.index.database.spaces import Standing, get_calibration
from emotion_search.index.errors import InvalidInputError
from emotion_search.index.lifecycle.catch_up import LoadedIndex
from emotion_search.index.lifecycle.gallery import ClipGallery, vectors_in_order
from emotion_search.index.lifecycle.keeper import IndexKeeper
from emotion_search.index.lifecycle.verify import Verdict, verify
from emotion_search.index.vectors.arrays import Cosines, Ids, Vectors
from emotion_search.index.vectors.baselines import Group, Place
from emotion_search.index.vectors.percentiles import Calibration
from emotion_search.index.vectors.rocchio import direction, rocchio
from emotion_search.index.vectors.topk import Wish, nearest


@dataclass(frozen=True)
class Hit:
    """A clip found.

    Attributes:
        similarity: its cosine to the query in the archive's space, -1 to 1.
        percentile: the percentage of random pairs of the archive's clips that are less alike, 0
            to 100; None while the archive is too small to tell, and of a query with a text, whose
            cosines to clips are lower than those of clips to each other.
        space: version of the space.
        baselines: the groups whose baselines the examples take, each once; none in a space without.
        same_speaker, same_source: whether it is of a positive example's; None where that is not
            known.
    """

    clip: ClipDetails
    similarity: float
    percentile: float | None
    space: int
    baselines: tuple[Group, ...] = ()
    same_speaker: bool | None = None
    same_source: bool | None = None


@dataclass(frozen=True)
class SortedClip:
    """A clip in an order, and what it was sorted by: seconds, a score, microseconds since 1970; NaN
    where that is not known."""

    clip: ClipDetails
    key: float


@dataclass(frozen=True)
class SortedPage:
    """Clips in an order, and where the next page begins (``Order.after``); None on the last."""

    clips: list[SortedClip]
    next: str | None


@dataclass(frozen=True, eq=False)
class Example:
    """What hits are to be like: clips of the archive, or embeddings of something else.

    Attributes:
        vectors: float32, (n, dim), as embeddings are stored, of one recording that the archive has
            not; None for clips.
        clips: int64, (n,), clips of one recording of the archive.
        weights: float64, (n,), of each; None for equal ones.
        place: where what is no clip comes from, as far as that is known; None for a text, which
            comes from nowhere: the archive's mean is subtracted from it.
    """

    vectors: Vectors | None = None
    clips: Ids | None = None
    weights: NDArray[np.float64] | None = None
    place: Place | None = field(default_factory=Place)


@dataclass(frozen=True, eq=False)
class Target:
    """What is searched for, and among what.

    Attributes:
        positive, negative: what hits should be like, and what they should not.
        wanted: which clips may be hits.
        without: ids of a few clips that are never hits, such as the query's own.
        exact: compare with every clip, whatever the index.
    """

    positive: Sequence[Example]
    wish: Wish
    negative: Sequence[Example] = ()
    wanted: ClipFilter = field(default_factory=ClipFilter)
    without: Collection[int] = ()
    exact: bool = False


class Searcher:
    """Search over the embeddings of one model, always as fresh as the database.

    Safe for use from several threads.
    """

    def __init__(self, database: Database, model: ModelInfo, keeper: IndexKeeper) -> None:
        self._database = database
        self._model = model
        self.keeper = keeper
        self._calibration: tuple[int, Calibration] | None = None

    @contextmanager
    def open(self) -> Iterator[Snapshot]:
        """The archive as it stands, for searches that take no longer than they must: what others
        commit is brought in when they are done."""
        with self.keeper.snapshot() as (session, loaded, seen):
            calibration = self._calibrated(session, seen, loaded.space.version)
            yield Snapshot(session, loaded, seen, calibration)

    def search(self, target: Target) -> list[Hit]:
        """The best hits; see ``Snapshot.search``."""
        with self.open() as snapshot:
            return snapshot.search(target)

    def refresh(self) -> int:
        """Bring the index up to date; returns the number of clips in it."""
        with self.keeper.snapshot() as (_, loaded, _):
            return loaded.index.count

    def verify(self) -> Verdict:
        """The index compared with the database, clip by clip, and its recall on a sample."""
        with self.keeper.snapshot() as (session, loaded, _):
            return verify(session, self._model, loaded)

    def _calibrated(self, session: Session, seen: Standing, version: int) -> Calibration | None:
        """The calibration of a space, read again when it was made anew."""
        if version != seen.space:  # whose index is still being made
            return get_calibration(session, self._model, version)
        if seen.calibrated is None:
            return None
        known = self._calibration
        if known is None or known[0] != seen.space or known[1].clips != seen.calibrated:
            made = get_calibration(session, self._model, seen.space)
            if made is None:
                return None
            self._calibration = known = (seen.space, made)
        return known[1]


class Snapshot:
    """The archive at one moment, as a session and the index both see it.

    Attributes:
        model: whose embeddings are compared.
        serving: id of the model that serves the archive.
    """

    def __init__(
        self, session: Session, loaded: LoadedIndex, seen: Standing, calibration: Calibration | None
    ) -> None:
        self.session = session
        self.model = loaded.space.model
        self.serving = seen.serving
        self._loaded = loaded
        self._calibration = calibration

    def place_of(self, clips: Ids) -> Place:
        """The source, the speaker and the recording of clips of one recording; no speaker where
        they have several.

        Raises:
            NotFoundError: one is not there, or has no embedding of the model.
        """
        places = self._places(clips)
        alone = len({one.speaker for one in places}) == 1
        return places[0]._replace(speaker=places[0].speaker if alone else None, channel=None)

    def _places(self, clips: Ids) -> list[Place]:
        """Where clips of one recording come from, each place once."""
        columns = self._loaded.columns
        known, rows = columns.rows_of(clips)
        if not known.all():
            for clip in clips[~known].tolist():
                get_clip(self.session, self.model, clip)  # raises where there is none
            vectors_of(self.session, self.model, clips.tolist())  # raises: one has none
        codes = zip(
            columns["speaker"][rows].tolist(), columns["channel"][rows].tolist(), strict=True
        )
        return [
            Place(
                columns.text("source", row),
                columns.text("speaker", row),
                int(columns["recording"][row]),
                None if channel == ABSENT else channel,
            )
            for (_, channel), row in dict(zip(codes, rows.tolist(), strict=True)).items()
        ]

    def search(self, target: Target) -> list[Hit]:
        """The clips most like the target, best first, ties by clip id: as many as are wished for,
        or all that pass where fewer do.

        Raises:
            InvalidInputError: an example has another dimension, is zero or not finite, or the
                examples cancel each other out.
            NotFoundError: a clip is not there, or has no embedding of the model.
        """
        positive = [self._direction(one) for one in target.positive]
        negative = [self._direction(one) for one in target.negative]
        query = rocchio([one for one, _ in positive], [one for one, _ in negative])
        taken = tuple(dict.fromkeys(group for _, some in (*positive, *negative) for group in some))
        loaded, session = self._loaded, self.session
        gallery = ClipGallery(session, loaded, query, target.wanted, target.without)
        index = gallery.every() if target.exact and loaded.index.estimates else loaded.index
        ids, similar = nearest(index, query, target.wish, gallery)
        details = clip_details(session, self.model, ids.tolist())
        version = loaded.space.version
        sounds = all(one.place is not None for one in (*target.positive, *target.negative))
        percentiles = self._percentiles(similar) if sounds else [None] * len(similar)
        return [
            Hit(clip, cosine, percentile, version, taken)
            for clip, cosine, percentile in zip(details, similar.tolist(), percentiles, strict=True)
        ]

    def sorted(self, wanted: ClipFilter, order: Order) -> SortedPage:
        """A page of the clips that pass a filter, in an order; no example is asked for.

        Raises:
            InvalidInputError: there is nothing of that name to sort by, or no such place.
        """
        ids, keys, following = ordered(
            self.session, self.model, self._loaded.columns, wanted, order
        )
        details = clip_details(self.session, self.model, ids.tolist())
        found = map(SortedClip, details, keys.tolist())
        return SortedPage(list(found), following)

    def rank(self, emotion: str, score: float) -> float | None:
        """Percentage of the clips whose score of a class is lower; None where none has scores."""
        columns = self._loaded.columns
        scores = columns.scores(self.session)[columns["there"], self.model.classes.index(emotion)]
        scores = scores[~np.isnan(scores)]
        return 100 * float(np.mean(scores < score)) if len(scores) else None

    def compare(
        self, examples: Sequence[Example]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Cosines of n examples, each to each, in the space: float64 (n, n); and their
        percentiles, None while the archive is too small to tell.

        Raises:
            InvalidInputError, NotFoundError: see ``search``.
        """
        rows = np.stack([self._direction(one)[0] for one in examples]).astype(np.float64)
        cosines = np.clip(rows @ rows.T, -1, 1)
        known = self._calibration
        return cosines, None if known is None else known.percentile(cosines)

    def _percentiles(self, similar: Cosines) -> Sequence[float | None]:
        if self._calibration is None:
            return [None] * len(similar)
        found: list[float] = np.round(self._calibration.percentile(similar), 3).tolist()
        return found

    def _direction(self, example: Example) -> tuple[Vectors, Iterable[Group]]:
        """The mean direction of an example in the space, float32 (dim,), L2-normalised; and the
        groups whose baselines it takes."""
        session, space = self.session, self._loaded.space
        if example.vectors is not None:
            rows = example.vectors
            if rows.shape[1:] != (space.model.dimension,):
                raise InvalidInputError(
                    f"a query of shape {rows.shape[1:]} to an index of {space.model.dimension}"
                    " dimensions"
                )
            centre, group = None, None if space.baselines is None else Group("archive")
            if example.place is not None:
                centre, group = space.centre_at(session, example.place, rows)
            turned = space.map.apply(rows, centre)
            return direction(turned, example.weights), () if group is None else (group,)
        assert example.clips is not None
        places = self._places(example.clips)  # raises where one is not there
        taken: Iterable[Group] = ()
        if space.baselines is not None:
            taken = [group_at(session, space.model, space.baselines, place) for place in places]
        turned = vectors_in_order(session, self._loaded, example.clips)
        return direction(turned, example.weights), taken

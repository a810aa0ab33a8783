"""Re-embedding under another model from the audio, while the old one serves."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

from emotion_search.engine.audio.file import SAMPLE_RATE
from emotion_search.engine.audio.workers import Decoders
from emotion_search.engine.embedders.base import check, usable
from emotion_search.engine.embedders.registry import load_embedder
from emotion_search.engine.embedders.shared import SharedEmbedder
from emotion_search.engine.ingest.batches import Batches
from emotion_search.engine.ingest.pipeline import BATCH_S
from emotion_search.engine.ingest.prefetch import prefetch
from emotion_search.engine.ingest.reread import ClipSource, DecodedClip, clip_source, decode_clips
from emotion_search.engine.settings import Settings
from emotion_search.index.database.connection import Database
from emotion_search.index.database.coverage import (
    add_embeddings,
    count_missing,
    has_clips,
    missing_clips,
    unfilled_recordings,
)
from emotion_search.index.database.models import ModelInfo, register_model, revision_and_space
from emotion_search.index.database.scoring import rescore
from emotion_search.index.errors import AudioError, NotFoundError

LISTED = 200
"""Recordings that are asked of the database at a time, or are in a slice."""


@dataclass
class Reembedding:
    """What filling in a model did.

    Attributes:
        clips: that got an embedding.
        recordings, seconds: that were read again, and what was read of them.
        failed: file (or name), reason and number of clips of each recording that could not be
            read again in whole.
        missing, of_clips: clips without an embedding under the model now, and clips that there are.
        stopped: it ended early because it was asked to.
    """

    clips: int = 0
    recordings: int = 0
    seconds: float = 0.0
    failed: list[tuple[str, str, int]] = field(default_factory=list)
    missing: int = 0
    of_clips: int = 0
    stopped: bool = False

    @property
    def dealt_with(self) -> int:
        """Clips dealt with so far."""
        return self.clips + sum(number for _, _, number in self.failed)


def reembed(
    database: Database,
    settings: Settings,
    decoders: Decoders,
    name: str,
    *,
    progress: Callable[[Reembedding], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> tuple[Reembedding, ModelInfo]:
    """Give every clip an embedding under the model ``name`` that has none; the model that serves
    goes on doing so.

    Args:
        progress: called after each recording and batch with the report so far.
        stop: once set, the batch in hand is committed and the run ends.

    Raises:
        NotFoundError: the archive has no clips.
        ModelUnavailableError: the model cannot be loaded.
    """
    embedder, model = model_to_fill(database, settings, name)
    run = Refill(database, embedder, model, decoders, settings.decoders, progress, stop)
    run.count()
    run.run(chain.from_iterable(unfilled_pages(database, model)))
    run.count()
    progress(run.report)
    return run.report, model


def model_to_fill(
    database: Database, settings: Settings, name: str
) -> tuple[SharedEmbedder, ModelInfo]:
    """A model, loaded, that the archive knows from now on.

    Raises:
        NotFoundError, ModelUnavailableError: see ``reembed``.
    """
    with database.read() as session:
        if not has_clips(session):
            raise NotFoundError("the archive is empty; fill it with: emotion-search ingest FOLDER")
    embedder = load_embedder(name, settings)
    with database.write() as session:
        model = register_model(
            session,
            name=embedder.name,
            fingerprint=embedder.fingerprint,
            dimension=embedder.dimension,
            classes=embedder.classes,
        )
    return embedder, model


def unfilled_pages(database: Database, model: ModelInfo, after: int = 0) -> Iterator[list[int]]:
    """Ids of recordings of which some clip lacks an embedding, from beyond ``after``, some at a
    time."""
    while True:
        with database.read() as session:
            found = unfilled_recordings(session, model.id, after=after, most=LISTED)
        if not found:
            return
        yield found
        after = found[-1]


@dataclass(eq=False)
class Refill:
    """One run over clips that have no embedding under a model; ``run`` does it all."""

    database: Database
    embedder: SharedEmbedder
    model: ModelInfo
    decoders: Decoders
    workers: int
    progress: Callable[[Reembedding], None] = lambda _: None
    stop: threading.Event | None = None
    report: Reembedding = field(default_factory=Reembedding)
    waiting: list[tuple[str, DecodedClip]] = field(default_factory=list)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.batches: Batches[tuple[str, DecodedClip]] = Batches(self.embedder)
        self.stopped = (self.stop or threading.Event()).is_set

    def run(self, recordings: Iterable[int]) -> Reembedding:
        """Give every clip of some recordings an embedding whose audio can be read; what is
        committed stays, whatever happens to the process, and the next run goes on with what is
        missing.

        Raises:
            DatabaseError, StorageFullError: nothing of the batch in hand was kept.
        """
        readers = prefetch(self._sources(recordings), self._read, workers=self.workers)
        # Or threads would wait for ever after an error, and the model go on.
        with contextlib.closing(readers), contextlib.closing(self.batches):
            for source, clips in readers:
                self._take(source, clips)
                self.progress(self.report)
                if self.stopped():
                    break
            self.report.stopped = self.stopped()
            for _ in range(2):  # one batch is always ahead
                self._commit()
        return self.report

    def _sources(self, recordings: Iterable[int]) -> Iterator[ClipSource]:
        for number in recordings:
            with self.database.read() as session:
                clips = missing_clips(session, self.model.id, number)
                source = clip_source(session, number, clips) if clips else None
            if source is not None:
                yield source

    def _read(self, source: ClipSource) -> Iterator[DecodedClip]:
        """Runs on a thread of its own."""
        return decode_clips(source, self.decoders)

    def _take(self, source: ClipSource, clips: Iterator[DecodedClip]) -> None:
        """Decode one recording to its end, embedding whenever a batch is full."""
        place = source.paths[0] if source.paths else source.name
        left = len(source.clips)
        reason = "ends before the clip does"
        try:
            for clip in clips:
                check([clip.samples])
                left -= 1
                self.waiting.append((place, clip))
                self.seconds += len(clip.samples) / SAMPLE_RATE
                self.report.seconds += len(clip.samples) / SAMPLE_RATE
                if self.seconds >= BATCH_S:
                    self._commit()
                if self.stopped():
                    return
        except AudioError as error:
            reason = str(error)
        except OSError as error:
            reason = f"cannot be read ({error.strerror})"
        self.report.recordings += 1
        if left:
            self.report.failed.append((place, reason, left))

    def _commit(self) -> None:
        """Have what waits embedded, and meanwhile write the batch before, in one transaction."""
        batch = [(one, one[1].samples) for one in self.waiting]
        self.waiting.clear()
        self.seconds = 0.0
        rows, answers = [], self.batches.swap(batch)
        for (place, clip), vector, scores, affect in answers:
            if usable(vector):
                rows.append((clip.id, vector, scores, affect))
            else:
                self.report.failed.append((place, "gets no usable embedding", 1))
        if not answers:
            return
        with self.database.write() as session:
            before = revision_and_space(session, self.model.id)[0]
            self.report.clips += add_embeddings(session, self.model.id, rows)
            if self.embedder.adapts:
                rescore(session, self.model, self.embedder.scores, since=before)
        self.progress(self.report)

    def count(self) -> None:
        """Note how many clips there are, and how many lack an embedding."""
        with self.database.read() as session:
            self.report.missing, self.report.of_clips = count_missing(session, self.model)

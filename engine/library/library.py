"""The one facade over an archive that the CLI, the API and notebooks call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from emotion_search.engine.archive.database import database_exists
from emotion_search.engine.archive.disk_use import DiskUse, disk_use, exposed
from emotion_search.engine.archive.status import Status
from emotion_search.engine.library.analysis import Learned
from emotion_search.engine.library.forgetting import Forgetting
from emotion_search.engine.library.listing import Listing
from emotion_search.engine.library.models import Switching
from emotion_search.engine.library.places import Placing
from emotion_search.engine.library.transfer import Transfers
from emotion_search.engine.query.examples import AnyExample, as_example
from emotion_search.engine.query.query import ExcludeSame, Query, answer
from emotion_search.engine.settings import DEFAULT_MODEL, Settings
from emotion_search.index.database.clips import ClipDetails
from emotion_search.index.database.files import (
    FAILED,
    add_failure,
    remove_failures,
    remove_failures_under,
)
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.known_values import count
from emotion_search.index.database.models import ModelInfo, activate_model, active_model
from emotion_search.index.database.order import Order
from emotion_search.index.database.spaces import list_spaces
from emotion_search.index.errors import UnusableError
from emotion_search.index.search import Hit, SortedPage
from emotion_search.index.vectors.baselines import Place

if TYPE_CHECKING:
    from emotion_search.engine.audio.file import Samples
    from emotion_search.engine.embedders.base import Embedder
    from emotion_search.engine.files.manifest import Manifest
    from emotion_search.engine.files.scan import Found, FoundFile
    from emotion_search.engine.inference.context import Context
    from emotion_search.engine.ingest.options import IngestOptions
    from emotion_search.engine.ingest.report import IngestReport
    from emotion_search.index.database.coverage import Holding


class Library(Forgetting, Placing, Listing, Transfers, Switching, Learned):
    """An open archive. Safe for use from several threads.

    >>> library = Library.open(load_settings(home="~/calls", model="voice"))  # doctest: +SKIP
    >>> for hit in library.search(Path("angry.wav"), limit=5):  # doctest: +SKIP
    ...     print(hit.similarity, hit.clip.path)

    Args:
        settings: where it is and how to work.
        database: the database that the settings name, its tables in place.
        background: let a large index be made anew while the last one serves.
    """

    def ingest(
        self,
        files: Iterable[FoundFile],
        options: IngestOptions | None = None,
        *,
        progress: Callable[[IngestReport], None] = lambda _: None,
        stop: threading.Event | None = None,
    ) -> IngestReport:
        """Add audio files to the archive; see ``engine.files.scan`` for finding them.

        Args:
            progress: called after each file with the report so far.
            stop: once set, what is in hand is committed and the ingest ends.

        Raises:
            ModelMismatchError, ModelUnavailableError, DatabaseError, StorageFullError: nothing
                half-done is kept, and the same call goes on where it stopped.
        """
        from emotion_search.engine.ingest.options import IngestOptions
        from emotion_search.engine.ingest.pipeline import Ingest

        options = (options or IngestOptions()).completed(self.settings)
        embedder, model = self.embedder(), self.own_model()
        run = Ingest(
            self.database,
            embedder,
            model,
            options=options,
            decoders=self.decoders,
            workers=self.settings.decoders,
            progress=progress,
            stop=stop,
        )
        report = run.run(files)
        self.after_ingest(model, report, save_index=options.save_index)
        return report

    def own_model(self) -> ModelInfo:
        """The archive's model; of a new archive the one that is loaded now, from here on.

        Raises:
            ModelMismatchError, ModelUnavailableError, DatabaseError: see ``embedder``.
        """
        embedder = self.embedder()
        with self.database.write() as session:
            return activate_model(
                session,
                name=embedder.name,
                fingerprint=embedder.fingerprint,
                dimension=embedder.dimension,
                classes=embedder.classes,
            )

    def after_ingest(self, model: ModelInfo, report: IngestReport, *, save_index: bool) -> None:
        """Let spaces, percentiles, scores and, unless it is not worth it, the saved index follow
        what an ingest wrote."""
        from emotion_search.engine.quality.tune import resettle

        grown = bool(report.recordings or report.recut)
        resettle(self.database, model, at=self.settings.tune_at if save_index else 0, grown=grown)
        if save_index:
            self._follow(model)
            self.database.analyse()
            self._search(model).keeper.save()

    def note_failures(self, found: Found, manifest: Manifest | None = None) -> None:
        """Record files that a scan or a manifest named but that cannot be ingested at all."""
        table = manifest.path if manifest else None
        unusable = [*found.unusable, *(manifest.problems if manifest else [])]
        readable = [one.path for one in self.failures(kind=FAILED) if one.path in found.listed]
        if unusable or table or readable:
            with self.database.write() as session:
                remove_failures(session, readable)
                if table:  # its rows are judged anew
                    remove_failures_under(session, f"{table}: line ")
                for path, reason in unusable:
                    add_failure(session, path, reason)

    def search(
        self,
        *examples: int | Path | AnyExample,
        unlike: Sequence[int | Path | AnyExample] = (),
        limit: int = 10,
        wanted: ClipFilter | None = None,
        exclude_same: ExcludeSame | None = None,
        per_recording: int | None = 1,
        distinct: float | None = None,
        exact: bool = False,
        speaker: str | None = None,
        source: str | None = None,
    ) -> list[Hit]:
        """The clips that sound most like the examples (clips' ids, audio files, and what else
        ``engine.query.query`` has), best first; see ``engine.query.query.answer``.

        Args:
            unlike: examples of what hits should not sound like.
            limit: most hits, 1 to 1000.
            wanted: which clips may be hits; None for all.
            exclude_same: leave out the examples' own recordings, speaker or source.
            per_recording: most hits of one recording; None for no matter.
            distinct: leave out a clip whose cosine to a better hit is this or more, -1 to 1.
            exact: compare with every clip, whatever the index.
            speaker: of the examples that the archive has not, as it names them.
            source: theirs, likewise.

        Raises:
            InvalidInputError: a limit out of range, no such file, nothing known to exclude.
            NotFoundError: no such clip.
            AudioError: a file cannot be used as audio.
            ModelMismatchError, ModelUnavailableError: the model cannot embed a file.
        """
        query = Query(
            [as_example(one) for one in examples],
            [as_example(one) for one in unlike],
            limit=limit,
            wanted=wanted or ClipFilter(),
            exclude_same=exclude_same,
            per_recording=per_recording,
            distinct=distinct,
            exact=exact,
            speaker=speaker,
            source=source,
        )
        return answer(self, query).hits

    def clip_audio(self, clip_id: int) -> tuple[Samples, int, ClipDetails]:
        """What a clip sounds like: mono float32 (n,), its sample rate in Hz, and its details.

        Raises:
            NotFoundError: no such clip, or its file is no longer there or has changed.
        """
        from emotion_search.engine.archive.playback import read_span
        from emotion_search.index.database.recording_details import get_recording
        from emotion_search.index.database.spans import Span

        clip = self.clip(clip_id)
        with self.database.read() as session:
            recording = get_recording(session, clip.recording_id)
        span = Span(clip.start, clip.end, clip.channel)
        samples, rate = read_span(self, recording, span, f"clip {clip_id}")
        return samples, rate, clip

    def sorted_clips(
        self,
        by: str,
        wanted: ClipFilter | None = None,
        *,
        ascending: bool = False,
        limit: int = 100,
        after: str | None = None,
        per_recording: int | None = None,
    ) -> SortedPage:
        """A page of the clips that have an embedding, in an order, most or latest first.

        Args:
            by: ``score``, ``recorded_at``, ``duration``, or a class of the model: its own score.
            after: ``next`` of the page before; ties go by clip id, so that none is left out or
                comes twice.
            per_recording: most clips of one recording; None for no matter. For one page alone.

        Raises:
            InvalidInputError: there is nothing of that name to sort by, or no such place.
            NotFoundError: the archive is empty.
        """
        order = Order(by, ascending, limit, after, per_recording)
        with self.snapshot() as snapshot:
            return snapshot.sorted(wanted or ClipFilter(), order)

    def status(self) -> Status:
        """Model, space and counts of the archive."""
        with self.database.read() as session:
            model = active_model(session)
            spaces = list_spaces(session, model)
            return Status(
                database=str(self.database),
                home=str(self.settings.home),
                model=model,
                space=next((one for one in spaces if one.active), None),
                counts=count(session),
                adapted=self._adapted(session, model),
                min_confidence=self.settings.min_confidence,
            )

    def disk_use(self) -> DiskUse:
        """Disk space that the archive takes."""
        return disk_use(self.settings, self.database)

    def exposed(self) -> list[Path]:
        """Folders and files of the archive that other users of this machine may read."""
        return exposed(self.settings, self.database)


def archive_holdings(settings: Settings) -> list[Holding]:
    """The models of the archive that the settings name; none if it does not exist.

    Raises:
        DatabaseError: the database cannot be used.
    """
    if not database_exists(settings):
        return []
    with Library.open(settings) as library:
        return library.holdings()


@contextmanager
def context_in(settings: Settings, embedder: Embedder, place: Place) -> Iterator[Context]:
    """What the scores of files are adapted to, with or without an archive where the settings say.

    Raises:
        DatabaseError: the database cannot be used.
        InvalidInputError: a speaker or source is named, but there is no archive of this model.
            For a model that does not adapt they make no difference.
    """
    from emotion_search.engine.inference.context import own_context

    with ExitStack() as stack:
        context = own_context(embedder)
        if embedder.adapts and database_exists(settings):
            library = stack.enter_context(Library.open(settings))
            context = library.context(embedder, place)
        elif embedder.adapts and place != Place():
            raise UnusableError("--speaker and --source are of an archive; there is none here")
        yield context


def model_name(settings: Settings) -> str:
    """The model to use where no archive decides: as set, else the archive's, else the default."""
    if settings.model is not None:
        return settings.model
    holdings = archive_holdings(settings)
    return next((one.model.name for one in holdings if one.active), DEFAULT_MODEL)

"""The one facade over an archive that the CLI, the API and notebooks call."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from engine.audio import SAMPLE_RATE, Samples, read_span
from engine.channels import MIX, Channels
from engine.decoding import Decoders
from engine.embedders.base import Embedder
from engine.embedders.loader import load_embedder
from engine.embedders.shared import SharedEmbedder
from engine.evaluation.labelled import LabelledVectors
from engine.indexing import IndexStatus, index_status, open_searcher, remove_index
from engine.ingest import Ingest
from engine.ingest_options import IngestOptions
from engine.ingest_report import IngestReport
from engine.learned import Learned
from engine.manifest import Manifest
from engine.query import AnyExample, ExcludeSame, Query, answer, as_example
from engine.scan import Found, unchanged
from engine.settings import DEFAULT_MODEL, Settings
from engine.storage import upload_lock
from engine.tuning import Tuning, labelled, labelled_alike, recalibrate, resettle, tune
from index.clips import (
    ClipDetails,
    Counts,
    clip_details,
    clips_of,
    count,
    get_clip,
    get_recording,
    list_clips,
    locations_of,
)
from index.database import Database
from index.embeddings import embeddings_by_id, embeddings_in_order
from index.errors import (
    DatabaseBusyError,
    DatabaseError,
    EmotionSearchError,
    NotFoundError,
)
from index.failures import FailureDetails, add_failure, list_failures, remove_failures_under
from index.files import FileFacts
from index.filters import EMOTION, ClipFilter, recordings_of
from index.holdings import (
    Holding,
    drop_model,
    holding_called,
    list_holdings,
    require_filled,
    switch_model,
)
from index.keeper import IndexState
from index.labels import set_labels
from index.models import ModelInfo, activate_model, active_model, mismatch
from index.recordings import Annotations, remove_recording
from index.search import Hit, Searcher
from index.space import Method, Space
from index.spaces import (
    SAMPLE,
    SpaceInfo,
    list_spaces,
    use_space,
)
from index.vectors import Vectors
from index.verify import Verdict

if TYPE_CHECKING:
    from engine.archive_export import Exported
    from engine.archive_import import Imported
    from engine.archive_trend import ArchiveTrend
    from engine.finetune.run import Finetuned
    from engine.finetune.tune import Plan
    from engine.heard import Granularity
    from engine.predict import Prediction
    from engine.recording_trend import RecordingTrend
    from engine.reembed import Reembedding
    from engine.trends import Options as TrendOptions

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Status:
    """What an archive holds, under which model, and the space that serves; ``model`` and
    ``space`` are None while it is empty."""

    database: str
    home: str
    model: ModelInfo | None
    space: SpaceInfo | None
    counts: Counts


class Library(Learned):
    """An open archive. Safe for use from several threads.

    >>> library = Library.open(load_settings(home="~/calls", model="acoustic"))  # doctest: +SKIP
    >>> for hit in library.search(Path("angry.wav"), limit=5):  # doctest: +SKIP
    ...     print(hit.similarity, hit.clip.path)

    Args:
        settings: where it is and how to work.
        database: the database that the settings name, its tables in place.
        background: let a large index be made anew while the last one serves.
    """

    def __init__(self, settings: Settings, database: Database, *, background: bool = False) -> None:
        self.settings = settings
        self.database = database
        self._background = background
        self._loading, self._opening = threading.Lock(), threading.Lock()
        self._embedder: SharedEmbedder | None = None
        self._decoders = Decoders(settings.decode_timeout)
        self._searchers: dict[int, Searcher] = {}  # by model; the serving one is the last

    @classmethod
    def open(cls, settings: Settings, *, create: bool = False, background: bool = False) -> Library:
        """The archive that the settings name.

        Args:
            create: make a new one where there is none.
            background: let a large index be made anew while the last one serves; for servers.

        Raises:
            DatabaseError: there is none, or its database cannot be used.
        """
        database = Database(settings.database, busy_timeout=settings.busy_timeout)
        try:
            if create:
                settings.home.mkdir(parents=True, exist_ok=True)
                database.create_or_require()
            else:
                database.require_schema()
        except OSError as error:
            raise DatabaseError(
                f"home {settings.home} cannot be made ({error.strerror}); choose another --home"
            ) from error
        except EmotionSearchError:
            database.close()
            raise
        return cls(settings, database, background=background)

    def __enter__(self) -> Library:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database's connections, and end what goes on in the background."""
        self._decoders.close()
        for searcher in self._searchers.values():
            searcher.keeper.close()
        self.database.close()

    def embedder(self) -> Embedder:
        """The archive's model, loaded once; for a new archive the one of the settings.

        Raises:
            ModelMismatchError: the settings name another model than the archive's.
            ModelUnavailableError: it cannot be loaded.
        """
        return self.embedder_of(self.model())

    def embedder_of(self, active: ModelInfo | None) -> Embedder:
        """As ``embedder``, for the model that serves; loaded anew where that was switched."""
        with self._loading:
            known = self._embedder
            if known is None or (active and known.fingerprint != active.fingerprint):
                self._check_name(active)
                default = active.name if active else DEFAULT_MODEL
                name = absolute(self.settings.model or default)
                loaded = load_embedder(name, self.settings)
                if active and loaded.fingerprint != active.fingerprint:
                    raise mismatch(active.name, name)
                known = SharedEmbedder(loaded, timeout=self.settings.embed_timeout)
                self._embedder = known
            return known

    def model(self) -> ModelInfo | None:
        """The model whose embeddings the archive holds; None while it is empty."""
        with self.database.read() as session:
            return active_model(session)

    def ingest(
        self,
        files: Iterable[FileFacts],
        *,
        said: Mapping[str, Annotations] | Callable[[str], Annotations] | None = None,
        channels: Channels = MIX,
        limit: int | None = None,
        dated: Literal["tags", "file", "none"] = "tags",
        rescan: bool = False,
        retry: bool = False,
        recut: bool = False,
        progress: Callable[[IngestReport], None] = lambda _: None,
        stop: threading.Event | None = None,
        save_index: bool = True,
        longest: float | None = None,
    ) -> IngestReport:
        """Add audio files to the archive; see ``engine.scan`` for finding them.

        Args:
            said: annotations by absolute path, or what gives them.
            channels: which become clips.
            limit: most new files to take.
            dated: what tells when a recording was where nobody said it.
            rescan: hash files also where path, size and time of change are known.
            retry: listen again to files that are known to hold no speech.
            recut: cut known recordings anew that were cut under other options.
            progress: called after each file with the report so far.
            stop: once set, what is in hand is committed and the ingest ends.
            save_index: write the index to disk at the end; not worth it after a single file.
            longest: seconds beyond which a file is refused.

        Raises:
            ModelMismatchError, ModelUnavailableError, DatabaseError, StorageFullError: nothing
                half-done is kept, and the same call goes on where it stopped.
        """
        embedder = self.embedder()
        with self.database.write() as session:
            model = activate_model(
                session,
                name=embedder.name,
                fingerprint=embedder.fingerprint,
                dimension=embedder.dimension,
                classes=embedder.classes,
            )
        options = IngestOptions(
            window=self.settings.window,
            hop=self.settings.hop,
            segments=self.settings.segments,
            channels=channels,
            batch=self.settings.batch_seconds,
            decoders=self.settings.decoders,
            limit=limit,
            dated=dated,
            rescan=rescan,
            retry=retry,
            recut=recut,
            longest=longest,
        )
        run = Ingest(
            self.database,
            embedder,
            model,
            options=options,
            decoders=self._decoders,
            said=said if callable(said) else partial(_said_in, said or {}),
            progress=progress,
            stop=stop,
        )
        report = run.run(files)
        if report.recordings or report.recut:
            resettle(self.database, model, at=self.settings.tune_at if save_index else 0)
        if save_index:
            self.database.analyse()
            self._search(model).keeper.save()
        return report

    def note_failures(self, found: Found, manifest: Manifest | None = None) -> None:
        """Record files that a scan or a manifest named but that cannot even be looked at."""
        unusable = [*found.unusable, *(manifest.problems if manifest else [])]
        if unusable or manifest:
            with self.database.write() as session:
                if manifest:  # its rows are judged anew
                    remove_failures_under(session, f"{manifest.path}: line ")
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
    ) -> list[Hit]:
        """The clips that sound most like the examples (clips' ids, audio files, and what else
        ``engine.query`` has), best first; see ``engine.query.answer``.

        Args:
            unlike: examples of what hits should not sound like.
            limit: most hits, 1 to 1000.
            wanted: which clips may be hits; None for all.
            exclude_same: leave out the examples' own recordings or speaker.
            per_recording: most hits of one recording; None for no matter.
            distinct: leave out a clip whose cosine to a better hit is this or more, -1 to 1.
            exact: compare with every clip, whatever the index.

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
        )
        return answer(self, query).hits

    def clip_audio(self, clip_id: int) -> tuple[Samples, int, ClipDetails]:
        """What a clip sounds like: mono float32 (n,), its sample rate in Hz, and its details.

        Raises:
            NotFoundError: no such clip, or its file is no longer there or has changed.
        """
        with self.database.read() as session:
            clip = get_clip(session, active_model(session), clip_id)
            places = locations_of(session, clip.recording_id)
        for place in places:
            path = Path(place.path)
            if unchanged(path, place, clip.sha256):
                samples, rate = read_span(
                    path, channel=clip.channel, start=clip.start, end=clip.end
                )
                return samples, rate, clip
        raise NotFoundError(f"the file of clip {clip_id} is no longer there, or has changed")

    def clip(self, clip_id: int) -> ClipDetails:
        """One clip.

        Raises:
            NotFoundError: no such clip.
        """
        with self.database.read() as session:
            return get_clip(session, active_model(session), clip_id)

    def clips(
        self, wanted: ClipFilter | None = None, *, limit: int = 100, after_id: int = 0
    ) -> list[ClipDetails]:
        """A page of clips by ascending id, from beyond ``after_id``."""
        with self.database.read() as session:
            return list_clips(
                session,
                active_model(session),
                wanted or ClipFilter(),
                limit=limit,
                after_id=after_id,
            )

    def clips_of(self, recording_id: int) -> list[ClipDetails]:
        """The clips of a recording, in time order."""
        with self.database.read() as session:
            ids = clips_of(session, recording_id)
            return clip_details(session, active_model(session), ids)

    def status(self) -> Status:
        """What the archive holds."""
        with self.database.read() as session:
            model = active_model(session)
            spaces = list_spaces(session, model) if model else []
            return Status(
                database=str(self.database),
                home=str(self.settings.home),
                model=model,
                space=next((one for one in spaces if one.active), None),
                counts=count(session),
            )

    def failures(self) -> list[FailureDetails]:
        """Files that could not be ingested or hold no speech, latest first."""
        with self.database.read() as session:
            return list_failures(session)

    def recordings(self, wanted: ClipFilter) -> list[int]:
        """Ids of the recordings of which some clip passes the filter, ascending."""
        with self.database.read() as session:
            return recordings_of(session, wanted)

    def label(self, said: Sequence[tuple[int, str, str | None]]) -> list[int]:
        """Set labels: clip, task, and value (None takes the label away), in one transaction.

        Returns:
            Ids of clips that are not there; their labels are passed over.
        """
        with self.database.write() as session:
            return set_labels(session, said)

    def forget(self, recording_id: int, *, settle: bool = True) -> list[str]:
        """Erase a recording: rows, vectors, labels, index entries, and bytes if it was uploaded.

        Args:
            settle: bring index and percentiles up to date; not worth it before the last of many.

        Returns:
            The paths it was known by; files of the user's own are left alone.

        Raises:
            NotFoundError: no such recording.
        """
        with self.database.read() as session:
            sha256 = get_recording(session, recording_id).sha256
        uploads = self.settings.uploads_folder
        with upload_lock(uploads, sha256):
            with self.database.write() as session:
                model = active_model(session)
                paths = remove_recording(session, recording_id)
            for path in uploads.glob(f"{sha256}.*"):
                path.unlink(missing_ok=True)
        if model is not None and settle:
            resettle(self.database, model, at=0)
            self._search(model).keeper.save()
        return paths

    def tune(self, *, task: str = EMOTION, method: Method | None = None) -> Tuning:
        """Fit the geometry of similarity to the archive and let it serve; see ``engine.tuning``.

        Raises:
            NotFoundError: the archive is empty.
            InvalidInputError: it is too small, or the method does no good.
        """
        model = self._model_here()
        result = tune(self.database, model, task=task, method=method)
        self._search(model).keeper.save()
        return result

    def spaces(self) -> list[SpaceInfo]:
        """The spaces of the archive, the plain one first; none while it is empty."""
        with self.database.read() as session:
            model = active_model(session)
            return list_spaces(session, model) if model else []

    def restore_space(self, version: int) -> None:
        """Let a space serve that was fitted before; 0 is the plain one.

        Raises:
            NotFoundError: there is no such space, or the archive is empty.
        """
        model = self._model_here()
        with self.database.write() as session:
            use_space(session, model, version)
        recalibrate(self.database, model)
        self._search(model).keeper.save()

    def labelled(self, task: str = EMOTION, *, most: int = SAMPLE) -> tuple[LabelledVectors, Space]:
        """Embeddings of the labelled clips (a random sample beyond ``most``), not in any space
        yet, and the space that serves.

        Raises:
            NotFoundError: the archive is empty.
            InvalidInputError: too few labels.
        """
        return labelled(self.database, self._model_here(), task, most=most)

    def index_status(self) -> IndexStatus:
        """What is told about the saved index, without loading it."""
        return index_status(self.settings, self.database, self.model())

    def verify_index(self) -> Verdict:
        """The index compared with the database, clip by clip, and its recall on a sample.

        Raises:
            NotFoundError: the archive is empty.
        """
        return self._search(self._model_here()).verify()

    def rebuild_index(self) -> None:
        """Make the index anew from the database, and save it.

        Raises:
            NotFoundError: the archive is empty.
        """
        self._search(self._model_here()).keeper.rebuild()

    def refresh(self) -> None:
        """Load the index and bring it up to date, so that the first search need not."""
        model = self.model()
        if model is not None:
            self._search(model).refresh()

    def save_index(self) -> None:
        """Bring the index up to date and write it to disk, for a quick start next time."""
        model = self.model()
        if model is not None:
            self._search(model).keeper.save()

    def warm_up(self) -> None:
        """Load the archive's model on a thread of its own, so that the first request need not.

        A model that cannot be loaded is left to the request that needs it to tell.
        """

        def load() -> None:
            try:
                self.embedder().embed([np.zeros(SAMPLE_RATE, np.float32)])
            except EmotionSearchError as error:
                log.warning("%s", error)

        if self.model() is not None:
            threading.Thread(target=load, name="warm-up", daemon=True).start()

    @property
    def decoders(self) -> Decoders:
        """What decodes audio in processes of its own."""
        return self._decoders

    def searcher(self) -> tuple[ModelInfo, Searcher]:
        """The archive's model, and the search over its embeddings.

        Raises:
            NotFoundError: the archive is empty.
            ModelMismatchError: the settings name another model than the archive's.
        """
        model = self._model_here()
        self._check_name(model)
        return model, self._search(model)

    def index_state(self) -> IndexState:
        """How much is in the index, and since when; nothing is read from the database."""
        serving = list(self._searchers.values())[-1:]
        return serving[0].keeper.state() if serving else IndexState(0, None)

    def loaded(self) -> SharedEmbedder | None:
        """The model, if it is loaded."""
        return self._embedder

    def _model_here(self) -> ModelInfo:
        model = self.model()
        if model is None:
            raise NotFoundError("the archive is empty; fill it with: emotion-search ingest FOLDER")
        return model

    def _check_name(self, active: ModelInfo | None) -> None:
        """Refuse a model that cannot be the archive's, before anything is loaded.

        A folder or file may hold the same weights under another name: its fingerprint will tell.
        """
        asked = self.settings.model
        if active is None or asked is None or asked == active.name:
            return
        if asked == "acoustic" or not (Path(asked).exists() or Path(active.name).exists()):
            raise mismatch(active.name, asked)

    def _search(self, model: ModelInfo) -> Searcher:
        with self._opening:
            if model.id not in self._searchers:
                while len(self._searchers) > 1:  # a search under the last model may still go on
                    self._searchers.pop(next(iter(self._searchers))).keeper.close()
                self._searchers[model.id] = open_searcher(
                    self.settings, self.database, model, background=self._background
                )
            return self._searchers[model.id]

    def predict(
        self, file: Path, granularity: Granularity | str = "utterance"
    ) -> Iterator[Prediction]:
        """What the archive's model says of a file: its parts as they come, then the whole.

        Raises:
            InvalidInputError: the model gives no scores, or not that finely.
            ModelMismatchError, ModelUnavailableError: see ``embedder``.
        """
        from engine.predict import predict_files

        return predict_files([file], self.embedder(), granularity)

    def trend(self, recording: int | Path, options: TrendOptions | None = None) -> RecordingTrend:
        """How emotion moves through a recording, by its id or its file; nothing is embedded.

        Raises:
            NotFoundError: no such recording, or the archive is empty.
            InvalidInputError: the model gives no scores, or the clips have no span in time.
        """
        from engine.recording_trend import recording_trend
        from engine.trends import Options

        return recording_trend(self.database, self._model_here(), recording, options or Options())

    def trend_over(
        self, by: str = "week", wanted: ClipFilter | None = None, *, alerts: Sequence[str] = ()
    ) -> ArchiveTrend:
        """The share of each emotion by ``day``, ``week`` or ``month``, with intervals.

        Raises:
            NotFoundError: the archive is empty.
            InvalidInputError: no such period, class or alert; the model gives no scores.
        """
        from engine.archive_trend import archive_trend

        return archive_trend(self.database, self._model_here(), by=by, wanted=wanted, alerts=alerts)

    def export(
        self,
        output: Path,
        *,
        kind: str | None = None,
        wanted: ClipFilter | None = None,
        overwrite: bool = False,
    ) -> Exported:
        """Write embeddings, scores, labels and metadata to files; see ``engine.archive_export``.

        Raises:
            NotFoundError: the archive is empty.
            InvalidInputError, StorageFullError: nothing half-written is kept.
        """
        from engine.archive_export import export_archive

        model = self._model_here()
        return export_archive(
            self.database, model, output, kind=kind, wanted=wanted, overwrite=overwrite
        )

    def export_frames(
        self, output: Path, *, wanted: ClipFilter | None = None, overwrite: bool = False
    ) -> Exported:
        """Write frames of clips to a folder; see ``engine.frame_export``.

        Raises:
            NotFoundError: the archive is empty.
            InvalidInputError: the model has no frames; ``output`` is there already.
            ModelMismatchError, ModelUnavailableError: see ``embedder``.
        """
        from engine.frame_export import export_frames

        return export_frames(
            self.database,
            self._model_here(),
            self.embedder(),
            output,
            wanted=wanted,
            overwrite=overwrite,
        )

    def import_embeddings(
        self,
        embeddings: Path,
        table: Path | None = None,
        *,
        model: str | None = None,
        dimension: int | None = None,
    ) -> Imported:
        """Take in embeddings that were computed elsewhere; see ``engine.archive_import``.

        Raises:
            InvalidInputError: nothing was taken in; names the row.
            ModelMismatchError: the archive holds embeddings of another model.
        """
        from engine.archive_import import import_archive
        from engine.import_source import open_source

        source = open_source(embeddings, table)
        done, info = import_archive(self.database, source, model=model, dimension=dimension)
        if done.clips:
            resettle(self.database, info, at=self.settings.tune_at)
            self._search(info).keeper.save()
        return done

    def holdings(self) -> list[Holding]:
        """The models of the archive, how many clips have an embedding under each, which serves."""
        with self.database.read() as session:
            return list_holdings(session)

    def reembed(
        self,
        name: str,
        *,
        progress: Callable[[Reembedding], None] = lambda _: None,
        stop: threading.Event | None = None,
    ) -> tuple[Reembedding, ModelInfo]:
        """Give the clips embeddings under another model too; see ``engine.reembed``.

        Raises:
            NotFoundError: the archive is empty.
            ModelUnavailableError: the model cannot be loaded.
        """
        from engine.reembed import reembed

        return reembed(
            self.database,
            self.settings,
            self._decoders,
            absolute(name),
            progress=progress,
            stop=stop,
        )

    def use(self, name: str, *, partial: bool = False) -> Holding:
        """Let another model serve whose embeddings the archive holds; its space, percentiles and
        index are made first, while the last one serves.

        Raises:
            NotFoundError: the archive has none of this model.
            ModelMismatchError: clips lack embeddings under it, and ``partial`` is not said.
        """
        with self.database.read() as session:
            model = holding_called(session, absolute(name)).model
            require_filled(session, model, partial=partial)
        resettle(self.database, model, at=self.settings.tune_at)
        self._search(model).keeper.save()
        with self.database.write() as session:
            switch_model(session, model, partial=partial)
            return holding_called(session, model.fingerprint)

    def forget_model(self, name: str) -> tuple[ModelInfo, int]:
        """Remove a model that does not serve, with its embeddings and its index.

        Raises:
            NotFoundError, InvalidInputError: there is no such model; it serves.
        """
        with self.database.write() as session:
            model = holding_called(session, absolute(name)).model
            removed = drop_model(session, model)
        with self._opening:
            searcher = self._searchers.pop(model.id, None)
        if searcher is not None:
            searcher.keeper.close()
        remove_index(self.settings, self.database, model)
        try:
            self.database.compact()
        except DatabaseBusyError as error:
            log.warning("%s; its space is used again for new clips", error)
        return model, removed

    def finetune(self, model: str, output: Path, plan: Plan, **how: Any) -> Finetuned:
        """A model tuned on the archive's labels, in the folder ``output``; see
        ``engine.finetune.run.finetune``, which also names what else can be said.

        Raises:
            InvalidInputError, ModelUnavailableError, StorageFullError: see there.
        """
        from engine.finetune.examples import examples_of_archive
        from engine.finetune.run import finetune

        examples = examples_of_archive(self.database, plan.task)
        how = {"source": "the labels of an archive", "command": "Library.finetune"} | how
        return finetune(
            examples,
            absolute(model),
            output,
            plan,
            self.settings,
            self._decoders,
            stored=self._stored,
            **how,
        )

    def _stored(self, fingerprint: str, ids: Sequence[int]) -> Vectors | None:
        """Embeddings of clips under the model of this fingerprint; None if it lacks one."""
        with self.database.read() as session:
            same = [o for o in list_holdings(session) if o.model.fingerprint == fingerprint]
            if not same:
                return None
            wanted = np.array(ids, np.int64)
            known, _ = embeddings_by_id(session, same[0].model, wanted)
            if len(known) < len(wanted):
                return None
            return embeddings_in_order(session, same[0].model, wanted)

    def labelled_by(
        self, names: Sequence[str], task: str = EMOTION, *, most: int = SAMPLE
    ) -> list[tuple[LabelledVectors, Space]]:
        """As ``labelled``, under several models: the clips that have an embedding under each.

        Raises:
            NotFoundError: the archive has none of a model.
            InvalidInputError: too few labels.
        """
        with self.database.read() as session:
            models = [holding_called(session, absolute(name)).model for name in names]
        return labelled_alike(self.database, models, task, most=most)


def _said_in(said: Mapping[str, Annotations], path: str) -> Annotations:
    return said.get(path, Annotations())


def absolute(name: str) -> str:
    """What a model is known by: the absolute path of a folder or file, else the name itself."""
    if name != "acoustic" and Path(name).exists():
        return os.path.abspath(name)  # noqa: PTH100 - resolves no links, as users expect
    return name


def archive_model(settings: Settings) -> ModelInfo | None:
    """The model of the archive that the settings name; None if it has none, or does not exist.

    Raises:
        DatabaseError: the database cannot be used.
    """
    return next((one.model for one in archive_holdings(settings) if one.active), None)


def archive_holdings(settings: Settings) -> list[Holding]:
    """The models of the archive that the settings name; none if it does not exist.

    Raises:
        DatabaseError: the database cannot be used.
    """
    database = Database(settings.database, busy_timeout=settings.busy_timeout)
    try:
        if database.schema_version() is None:
            return []
        with Library.open(settings) as library:
            return library.holdings()
    finally:
        database.close()


def model_name(settings: Settings) -> str:
    """The model to use where no archive decides: as set, else the archive's, else the default."""
    if settings.model is not None:
        return settings.model
    active = archive_model(settings)
    return active.name if active else DEFAULT_MODEL

"""Library methods: emotion prediction, trends, export and import."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from emotion_search.engine.archive.archive import Archive
from emotion_search.engine.files.outputs import output_at
from emotion_search.index.database.baselines import located
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.errors import UnusableError
from emotion_search.index.vectors.baselines import Place

if TYPE_CHECKING:
    from emotion_search.engine.embedders.base import Embedder
    from emotion_search.engine.inference.context import Context
    from emotion_search.engine.inference.parts import Granularity
    from emotion_search.engine.inference.predict import Prediction
    from emotion_search.engine.transfer.export import Exported
    from emotion_search.engine.transfer.importing import Imported
    from emotion_search.engine.trends.archive import ArchiveTrend
    from emotion_search.engine.trends.curve import Options as TrendOptions
    from emotion_search.engine.trends.recording import RecordingTrend


class Transfers(Archive):
    """Methods of ``Library`` about labels of the model, trends, and files of embeddings."""

    def predict(
        self,
        file: Path,
        granularity: Granularity | str = "utterance",
        *,
        longest: float | None = None,
        speaker: str | None = None,
        source: str | None = None,
    ) -> Iterator[Prediction]:
        """What the archive's model says of a file: its parts as they come, then the whole.

        Args:
            longest: seconds that the file may have; None for any.
            speaker: whose it is, as the archive names them; scores are adapted to that. Nothing
                is adapted where the archive has fewer than 20 clips, and the file is short.
            source: where it is from, likewise.

        Raises:
            InvalidInputError: the model gives no scores, or not that finely.
            AudioError: the file cannot be used.
            ModelMismatchError, ModelUnavailableError: see ``embedder``.
        """
        from emotion_search.engine.audio.mono import MonoFile
        from emotion_search.engine.inference.parts import Granularity
        from emotion_search.engine.inference.predict import Predictor

        sound, embedder = MonoFile(self.decoders, file, longest=longest), self.embedder()
        context = self.context(embedder, Place(source, speaker))
        how = Granularity(granularity) if isinstance(granularity, str) else granularity
        return Predictor(embedder, how, context).predictions(file.name, sound)

    def context(self, embedder: Embedder, place: Place) -> Context:
        """What the scores of a file from ``place`` are adapted to, by a model that is maybe the
        archive's.

        Raises:
            InvalidInputError: it is not, but a speaker or source is named; or the archive has no
                such one.
        """
        from emotion_search.engine.inference.context import archive_context, own_context

        model = self.model()
        if model is None or model.fingerprint != embedder.fingerprint:
            if embedder.adapts and place != Place():
                raise UnusableError(
                    f"the archive is not of {embedder.name}: no speaker or source is known"
                )
            return own_context(embedder)
        with self.database.read() as session:
            place = located(session, place)
        return archive_context(self.database, model, embedder, place)

    def rank(self, emotion: str, score: float) -> float | None:
        """Percentage of the archive's clips whose score of a class is lower, 0 to 100; None where
        no clip has scores."""
        if self.model() is None:
            return None
        with self.snapshot() as snapshot:
            return snapshot.rank(emotion, score)

    def trend(self, recording: int | Path, options: TrendOptions | None = None) -> RecordingTrend:
        """How emotion moves through a recording, by its id or its file; nothing is embedded.

        Raises:
            NotFoundError: no such recording, or the archive is empty.
            InvalidInputError: the model gives no scores, or the clips have no span in time.
        """
        from emotion_search.engine.trends.curve import Options
        from emotion_search.engine.trends.recording import recording_trend

        return recording_trend(
            self.database,
            self._model_here(),
            recording,
            options or Options(),
            min_confidence=self.settings.min_confidence,
        )

    def trend_over(
        self, by: str = "week", wanted: ClipFilter | None = None, *, alerts: Sequence[str] = ()
    ) -> ArchiveTrend:
        """The share of each emotion by ``day``, ``week`` or ``month``, with intervals.

        Raises:
            NotFoundError: the archive is empty.
            InvalidInputError: no such period, class or alert; the model gives no scores.
        """
        from emotion_search.engine.trends.archive import archive_trend

        return archive_trend(
            self.database,
            self._model_here(),
            by=by,
            wanted=wanted,
            alerts=alerts,
            min_confidence=self.settings.min_confidence,
        )

    def export(
        self,
        output: str | Path,
        *,
        kind: str | None = None,
        wanted: ClipFilter | None = None,
        raw: bool = False,
        overwrite: bool = False,
        progress: Callable[[float, float | None], None] = lambda _done, _total: None,
    ) -> Exported:
        """Write embeddings, scores, labels and metadata to files, or to the address of a bucket;
        see ``engine.transfer.export``.

        Raises:
            NotFoundError: the archive is empty.
            InvalidInputError, StorageError, StorageFullError: nothing half-written is kept.
        """
        from emotion_search.engine.transfer.export import export_archive

        model = self._model_here()
        with output_at(output, overwrite=overwrite) as path:
            return export_archive(
                self.database,
                model,
                path,
                kind=kind,
                wanted=wanted,
                raw=raw,
                overwrite=overwrite,
                progress=progress,
            )

    def export_frames(
        self, output: str | Path, *, wanted: ClipFilter | None = None, overwrite: bool = False
    ) -> Exported:
        """Write frames of clips to a folder, or into a bucket; see ``engine.transfer.frames``.

        Raises:
            NotFoundError: the archive is empty.
            InvalidInputError, StorageError: the model has no frames; ``output`` is there already,
                or cannot be written.
            ModelMismatchError, ModelUnavailableError: see ``embedder``.
        """
        from emotion_search.engine.transfer.frames import export_frames

        with output_at(output, overwrite=overwrite) as path:
            return export_frames(
                self.database,
                self._model_here(),
                self.embedder(),
                self.decoders,
                path,
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
        again: bool = False,
    ) -> Imported:
        """Take in embeddings that were computed elsewhere; see ``engine.transfer.importing``.

        Raises:
            InvalidInputError: nothing was taken in; names the row.
            ModelMismatchError: the archive holds embeddings of another model.
        """
        from emotion_search.engine.quality.tune import resettle
        from emotion_search.engine.transfer.importing import import_archive
        from emotion_search.engine.transfer.sources import open_source

        source = open_source(embeddings, table)
        done, info = import_archive(
            self.database, source, model=model, dimension=dimension, again=again
        )
        resettle(self.database, info, at=self.settings.tune_at, grown=bool(done.clips))
        self._follow(info)
        self._search(info).keeper.save()
        return done

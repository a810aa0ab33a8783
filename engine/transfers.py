"""What an archive tells of emotions, and hands out and takes in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.archive import Archive
from engine.tuning import resettle
from index.filters import ClipFilter

if TYPE_CHECKING:
    from engine.archive_export import Exported
    from engine.archive_import import Imported
    from engine.archive_trend import ArchiveTrend
    from engine.heard import Granularity
    from engine.predict import Prediction
    from engine.recording_trend import RecordingTrend
    from engine.trends import Options as TrendOptions


class Transfers(Archive):
    """Methods of ``Library`` about labels of the model, trends, and files of embeddings."""

    def predict(
        self,
        file: Path,
        granularity: Granularity | str = "utterance",
        *,
        longest: float | None = None,
    ) -> Iterator[Prediction]:
        """What the archive's model says of a file: its parts as they come, then the whole.

        Args:
            longest: seconds that the file may have; None for any.

        Raises:
            InvalidInputError: the model gives no scores, or not that finely.
            AudioError: the file cannot be used.
            ModelMismatchError, ModelUnavailableError: see ``embedder``.
        """
        from engine.mono import MonoFile
        from engine.predict import predictions

        sound = MonoFile(self.decoders, file, longest=longest)
        return predictions(file.name, sound, self.embedder(), granularity)

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

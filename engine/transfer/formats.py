"""The kinds of files that an archive is exported to."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.files.npy import NpyWriter
from emotion_search.engine.transfer.records import clip_record
from emotion_search.index.database.clips import ClipDetails
from emotion_search.index.database.filters import EMOTION
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.errors import InvalidInputError

SCORE = "score:"
"""Begins the column of a class's scores."""


class Writer(AbstractContextManager["Writer"], Protocol):
    """Takes clips with their embeddings, some at a time."""

    def write(self, clips: Sequence[ClipDetails], vectors: NDArray[np.float32]) -> None:
        """Add clips and their embeddings, float32 (n, dim), row by row."""


def writer(kind: str, path: Path, model: ModelInfo, known: Sequence[str]) -> Writer:
    if kind == "npy":
        path.mkdir()
        return NpyFolder(path, model, known)
    if kind == "parquet":
        return ParquetFile(path, model, known)
    return CsvFile(path, model, known) if kind == "csv" else JsonLines(path)


def row(clip: ClipDetails, model: ModelInfo, known: Sequence[str]) -> dict[str, Any]:
    """A clip as a flat row, in columns that a manifest and ``import`` understand."""
    flat: dict[str, Any] = {
        "clip": clip.id,
        "recording": clip.recording_id,
        "sha256": clip.sha256,
        "path": clip.path or clip.name,
        "channel": clip.channel,
        "channel_name": clip.channel_name,
        "start": clip.start,
        "end": clip.end,
        "source": clip.source,
        "speaker": clip.speaker,
        "recorded_at": clip.recorded_at.isoformat() if clip.recorded_at else None,
        "label": clip.label,
    }
    flat |= {f"label:{task}": clip.labels.get(task) for task in known if task != EMOTION}
    flat |= {f"{SCORE}{name}": clip.scores.get(name) for name in model.classes}
    flat["metadata"] = json.dumps(dict(clip.metadata), ensure_ascii=False)
    return flat


class CsvFile:
    """A table of clips as CSV; see ``row``."""

    def __init__(self, path: Path, model: ModelInfo, known: Sequence[str]) -> None:
        self._path, self._model, self._known = path, model, known

    def __enter__(self) -> CsvFile:
        self._file = self._path.open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file, lineterminator="\n")
        self._rows.writerow(columns(self._model, self._known))
        return self

    def write(self, clips: Sequence[ClipDetails], vectors: NDArray[np.float32]) -> None:
        """Add clips; embeddings have no place here."""
        self._rows.writerows(row(clip, self._model, self._known).values() for clip in clips)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


class JsonLines:
    """A table of clips as JSON lines, as ``search --json`` prints them."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> JsonLines:
        self._file = self._path.open("w", encoding="utf-8")
        return self

    def write(self, clips: Sequence[ClipDetails], vectors: NDArray[np.float32]) -> None:
        """Add clips; embeddings have no place here."""
        for clip in clips:
            record = {**clip_record(clip), "sha256": clip.sha256}
            self._file.write(json.dumps(record, ensure_ascii=False) + "\n")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


class NpyFolder:
    """Arrays of embeddings and scores, and the table of their rows."""

    def __init__(self, folder: Path, model: ModelInfo, known: Sequence[str]) -> None:
        self._classes, self._stack = model.classes, ExitStack()
        self._table = CsvFile(folder / "clips.csv", model, known)
        self._vectors = NpyWriter(folder / "embeddings.npy", model.dimension)
        self._scores = NpyWriter(folder / "scores.npy", len(model.classes))

    def __enter__(self) -> NpyFolder:
        for part in (self._table, self._vectors, self._scores):
            self._stack.enter_context(part)
        return self

    def write(self, clips: Sequence[ClipDetails], vectors: NDArray[np.float32]) -> None:
        """Add clips and their embeddings."""
        self._table.write(clips, vectors)
        self._vectors.append(vectors)
        scores = [[clip.scores.get(name, np.nan) for name in self._classes] for clip in clips]
        self._scores.append(np.array(scores, np.float32).reshape(len(clips), -1))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)


class ParquetFile:
    """A table of clips as Parquet, with the embedding as a list of float32 of fixed length."""

    def __init__(self, path: Path, model: ModelInfo, known: Sequence[str]) -> None:
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError as error:
            raise InvalidInputError(
                "Parquet needs pyarrow: pip install 'emotion-search[parquet]'"
            ) from error
        self._arrow, self._parquet = pyarrow, parquet
        self._path, self._model, self._known = path, model, known

    def __enter__(self) -> ParquetFile:
        pa = self._arrow
        kinds = {"clip": pa.int64(), "recording": pa.int64(), "channel": pa.int32()}
        kinds |= {"start": pa.float64(), "end": pa.float64()}
        fields = [
            (name, pa.float32() if name.startswith(SCORE) else kinds.get(name, pa.string()))
            for name in columns(self._model, self._known)
        ]
        about = {
            "emotion_search": json.dumps(
                {
                    "model": self._model.name,
                    "fingerprint": self._model.fingerprint,
                    "dimension": self._model.dimension,
                    "classes": list(self._model.classes),
                },
                ensure_ascii=False,
            )
        }
        self._schema = pa.schema(
            [*fields, ("embedding", pa.list_(pa.float32(), self._model.dimension))], about
        )
        self._out = self._parquet.ParquetWriter(self._path, self._schema)
        return self

    def write(self, clips: Sequence[ClipDetails], vectors: NDArray[np.float32]) -> None:
        """Add clips and their embeddings."""
        pa = self._arrow
        rows = [row(clip, self._model, self._known) for clip in clips]
        arrays = [
            pa.array([one[field.name] for one in rows], field.type)
            for field in list(self._schema)[:-1]
        ]
        flat = pa.array(np.ascontiguousarray(vectors).reshape(-1), pa.float32())
        arrays.append(pa.FixedSizeListArray.from_arrays(flat, self._model.dimension))
        self._out.write_table(pa.Table.from_arrays(arrays, schema=self._schema))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._out.close()


def columns(model: ModelInfo, known: Sequence[str]) -> list[str]:
    """The columns of ``row``."""
    own = ["clip", "recording", "sha256", "path", "channel", "channel_name", "start", "end"]
    own += ["source", "speaker", "recorded_at", "label"]
    own += [f"label:{task}" for task in known if task != EMOTION]
    return [*own, *(f"{SCORE}{name}" for name in model.classes), "metadata"]

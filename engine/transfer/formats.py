"""Export formats: .npy with CSV, Parquet, CSV, JSON lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.files.npy import NpyWriter
from emotion_search.engine.files.tables import CsvWriter, load_parquet
from emotion_search.engine.transfer.records import clip_record, model_record
from emotion_search.index.database.affect import DIMENSIONS
from emotion_search.index.database.clips import ClipDetails
from emotion_search.index.database.filters import EMOTION
from emotion_search.index.database.models import ModelInfo

SCORE = "score:"
"""Begins the column of a class's scores."""
AFFECT = "affect:"
"""Begins the column of valence, arousal or dominance."""


Write = Callable[[Sequence[ClipDetails], NDArray[np.float32]], None]
"""Adds clips and their embeddings, float32 (n, dim), row by row; some formats leave these out."""


def writer(
    kind: str, path: Path, model: ModelInfo, known: Sequence[str], *, raw: bool = False
) -> AbstractContextManager[Write]:
    """An open export; ``known`` are the archive's tasks; ``raw`` is of ``CsvWriter``.

    Raises:
        InvalidInputError: ``pyarrow`` is missing.
    """
    if kind == "jsonl":
        return _json_lines(path)
    if kind == "parquet":
        return _parquet_file(path, model, known)
    return (csv_file if kind == "csv" else _npy_folder)(path, model, known, raw=raw)


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
    flat |= {f"{AFFECT}{name}": clip.affect.get(name) for name in DIMENSIONS}
    flat["metadata"] = json.dumps(dict(clip.metadata), ensure_ascii=False)
    return flat


@contextmanager
def csv_file(
    path: Path, model: ModelInfo, known: Sequence[str], *, raw: bool = False
) -> Iterator[Write]:
    """A table of clips as CSV, without their embeddings; see ``row``."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = CsvWriter(file, raw=raw)
        rows.row(columns(model, known))

        def write(clips: Sequence[ClipDetails], _: NDArray[np.float32]) -> None:
            for clip in clips:
                rows.row(row(clip, model, known).values())

        yield write


@contextmanager
def _json_lines(path: Path) -> Iterator[Write]:
    """A table of clips as JSON lines, as ``search --json`` prints them; without embeddings."""
    with path.open("w", encoding="utf-8") as file:

        def write(clips: Sequence[ClipDetails], _: NDArray[np.float32]) -> None:
            for clip in clips:
                record = {**clip_record(clip), "sha256": clip.sha256}
                file.write(json.dumps(record, ensure_ascii=False) + "\n")

        yield write


@contextmanager
def _npy_folder(
    folder: Path, model: ModelInfo, known: Sequence[str], *, raw: bool
) -> Iterator[Write]:
    """A folder with arrays of embeddings and scores, and the table of their rows."""
    folder.mkdir()
    with (
        csv_file(folder / "clips.csv", model, known, raw=raw) as table,
        NpyWriter(folder / "embeddings.npy", model.dimension) as embeddings,
        NpyWriter(folder / "scores.npy", len(model.classes)) as scores,
    ):

        def write(clips: Sequence[ClipDetails], vectors: NDArray[np.float32]) -> None:
            table(clips, vectors)
            embeddings.append(vectors)
            given = [[clip.scores.get(name, np.nan) for name in model.classes] for clip in clips]
            scores.append(np.array(given, np.float32).reshape(len(clips), -1))

        yield write


@contextmanager
def _parquet_file(path: Path, model: ModelInfo, known: Sequence[str]) -> Iterator[Write]:
    """A table of clips as Parquet, with the embedding as a list of float32 of fixed length."""
    parquet = load_parquet()
    import pyarrow as pa

    kinds = {"clip": pa.int64(), "recording": pa.int64(), "channel": pa.int32()}
    kinds |= {"start": pa.float64(), "end": pa.float64()}
    kinds |= {f"{AFFECT}{name}": pa.float64() for name in DIMENSIONS}
    fields = [
        (name, pa.float32() if name.startswith(SCORE) else kinds.get(name, pa.string()))
        for name in columns(model, known)
    ]
    schema = pa.schema(
        [*fields, ("embedding", pa.list_(pa.float32(), model.dimension))],
        {"emotion_search": json.dumps(model_record(model), ensure_ascii=False)},
    )
    with parquet.ParquetWriter(path, schema) as out:

        def write(clips: Sequence[ClipDetails], vectors: NDArray[np.float32]) -> None:
            rows = [row(clip, model, known) for clip in clips]
            arrays = [
                pa.array([one[field.name] for one in rows], field.type)
                for field in list(schema)[:-1]
            ]
            flat = pa.array(np.ascontiguousarray(vectors).reshape(-1), pa.float32())
            arrays.append(pa.FixedSizeListArray.from_arrays(flat, model.dimension))
            out.write_table(pa.Table.from_arrays(arrays, schema=schema))

        yield write


def columns(model: ModelInfo, known: Sequence[str]) -> list[str]:
    """The columns of ``row``."""
    own = ["clip", "recording", "sha256", "path", "channel", "channel_name", "start", "end"]
    own += ["source", "speaker", "recorded_at", "label"]
    own += [f"label:{task}" for task in known if task != EMOTION]
    own += [f"{SCORE}{name}" for name in model.classes]
    return [*own, *(f"{AFFECT}{name}" for name in DIMENSIONS), "metadata"]

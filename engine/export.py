"""Embeddings as ``.npy`` files, with a ``result.json`` that tells what is in them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.audio import AudioFile
from engine.embedders.base import Embedder, Frames, usable
from engine.longform import stream_frames
from engine.scan import printable
from engine.segment import windows
from index.errors import AudioError, InvalidInputError

GRANULARITIES = ("utterance", "frame")

_WINDOW_S = 15.0


@dataclass(frozen=True)
class Exported:
    """What was written for one file; ``error`` says why nothing was.

    Attributes:
        embedding: name of the ``.npy`` in the output folder: float32, (dim,) for an utterance,
            (frames, dim) with 50 frames a second.
        emotion, confidence: the top class and its score; None where the model gives no scores.
        scores: by class, of the whole recording.
    """

    file: str
    embedding: str | None = None
    duration: float | None = None
    emotion: str | None = None
    confidence: float | None = None
    scores: dict[str, float] | None = None
    error: str | None = None


def export_files(
    files: Sequence[Path],
    folder: Path,
    embedder: Embedder,
    *,
    granularity: str = "utterance",
    overwrite: bool = False,
) -> Iterator[Exported]:
    """Embed ``files`` into ``folder``, one after the other; ``result.json`` is written at the end.

    Files of one name get ``name.npy``, ``name-2.npy``, …

    Raises:
        InvalidInputError: an unknown granularity, or one that the model has not; the folder holds
            what would be written over.
    """
    if granularity not in GRANULARITIES:
        raise InvalidInputError(f"granularity {granularity}: choose {' or '.join(GRANULARITIES)}")
    names = _names(files)
    existing = [n for n in (*names, "result.json") if (folder / n).exists()]
    if existing and not overwrite:
        raise InvalidInputError(
            f"{folder / existing[0]} exists; choose another folder, or say --overwrite"
        )
    folder.mkdir(parents=True, exist_ok=True)
    done = []
    for file, name in zip(files, names, strict=True):
        done.append(_export(file, folder / name, embedder, granularity))
        yield done[-1]
    written = datetime.now(UTC).isoformat(timespec="seconds")
    results = [
        {**vars(one), "granularity": granularity, "timestamp": written, "model": embedder.name}
        for one in done
    ]
    text = json.dumps(results, ensure_ascii=False, indent=2)
    (folder / "result.json").write_text(text + "\n", encoding="utf-8")


def _names(files: Sequence[Path]) -> list[str]:
    """A ``.npy`` name for each file, all different."""
    taken: set[str] = set()
    names = []
    for file in files:
        name, number = f"{file.stem}.npy", 1
        while name.lower() in taken:
            number += 1
            name = f"{file.stem}-{number}.npy"
        taken.add(name.lower())
        names.append(name)
    return names


def _export(file: Path, target: Path, embedder: Embedder, granularity: str) -> Exported:
    """Write one embedding; a file that is no audio leaves nothing."""
    partial = target.with_name(target.name + ".partial")
    try:
        with AudioFile(file) as audio:
            if granularity == "frame":
                scores = _write_frames(partial, stream_frames(audio.blocks(), embedder))
            else:
                vector, scores = _utterance(audio, embedder)
                with partial.open("wb") as out:
                    np.save(out, vector)
            duration = audio.duration
    except AudioError as error:
        partial.unlink(missing_ok=True)
        return Exported(printable(str(file)), error=str(error))
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    partial.replace(target)
    named = dict(zip(embedder.classes, (round(float(s), 6) for s in scores), strict=True))
    top = max(named, key=lambda name: named[name]) if named else None
    return Exported(
        printable(str(file)),
        embedding=target.name,
        duration=round(duration, 3),
        emotion=top,
        confidence=named[top] if top else None,
        scores=named,
    )


def _utterance(
    audio: AudioFile, embedder: Embedder
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Vector and scores of a recording: over windows of 15 s, the mean by their length."""
    vectors, scores, lengths = [], [], []
    for window in windows(audio.blocks(), _WINDOW_S):
        answer = embedder.embed([window.samples])
        vectors.append(answer.vectors[0])
        scores.append(answer.scores[0])
        lengths.append(len(window.samples))
    weights = np.asarray(lengths, np.float64)
    if not all(map(usable, vectors)):
        raise AudioError("gets no usable embedding")
    mean: Any = np.average(np.stack(vectors), axis=0, weights=weights)
    return mean.astype(np.float32), np.average(scores, axis=0, weights=weights)


def _write_frames(path: Path, parts: Iterator[Frames]) -> NDArray[np.float32]:
    """Write frames as they come, and return the mean of their scores: memory stays flat."""
    count, total = 0, np.zeros(0)
    with path.open("wb") as out:
        for part in parts:
            if count == 0:
                _header(out, (0, part.vectors.shape[1]))
                total = np.zeros(part.scores.shape[1])
                width = part.vectors.shape[1]
            out.write(np.ascontiguousarray(part.vectors, "<f4").tobytes())
            total += part.scores.sum(axis=0)
            count += len(part.vectors)
        out.seek(0)
        _header(out, (count, width))
    return np.asarray(total / count, dtype=np.float32)


def _header(out: Any, shape: tuple[int, int]) -> None:
    """A ``.npy`` header; numpy leaves room in it for the first axis to grow."""
    np.lib.format.write_array_header_1_0(
        out, {"descr": "<f4", "fortran_order": False, "shape": shape}
    )

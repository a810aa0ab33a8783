"""Emotion labels of files: of the whole, by window or by frame; no archive needed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from engine.audio import AudioFile
from engine.embedders.base import Embedder
from engine.export import named_scores, unique_names
from engine.heard import Granularity, Heard, Sound
from engine.npy import NpyWriter
from engine.scan import printable
from index.errors import AudioError, InvalidInputError

_WRITTEN = ("result.json", "embedding.npy", "scores.npy")


@dataclass(frozen=True)
class Prediction:
    """What a model says of a file, or of a part of it; ``error`` says why it says nothing.

    Attributes:
        granularity: ``utterance`` for the whole file, else ``frame`` or ``window``.
        start, end: seconds.
        emotion, confidence: the top class and its score.
        scores: by class.
    """

    file: str
    granularity: str
    start: float | None = None
    end: float | None = None
    emotion: str | None = None
    confidence: float | None = None
    scores: dict[str, float] | None = None
    error: str | None = None


def predict_files(
    files: Sequence[Path],
    embedder: Embedder,
    granularity: Granularity | str = "utterance",
    *,
    folder: Path | None = None,
    overwrite: bool = False,
) -> Iterator[Prediction]:
    """Predictions of files, one after the other: of each its parts as they come, then the whole.

    Args:
        folder: gets, for each file, a folder of its own with ``result.json`` (the whole's
            prediction and the time), ``embedding.npy`` (a vector, or one row a part) and, of parts,
            ``scores.npy`` (one row a part, a column a class).
        overwrite: write over such files.

    Raises:
        InvalidInputError: the model gives no scores, or not that finely; ``folder`` holds what
            would be written over.
    """
    how = Granularity(granularity) if isinstance(granularity, str) else granularity
    _require_scores(embedder)
    targets: list[Path | None] = [None] * len(files)
    if folder is not None:
        targets = [folder / name for name in unique_names(files)]
        existing = [t / name for t in targets if t for name in _WRITTEN if (t / name).exists()]
        if existing and not overwrite:
            raise InvalidInputError(
                f"{existing[0]} exists; choose another folder, or say --overwrite"
            )
    for file, target in zip(files, targets, strict=True):
        try:
            yield from _predict(file, target, embedder, how)
        except AudioError as error:
            yield Prediction(printable(str(file)), how.name, error=str(error))


def predictions(
    name: str, audio: Sound, embedder: Embedder, granularity: Granularity | str = "utterance"
) -> Iterator[Prediction]:
    """What a model says of a file that is called ``name``: its parts as they come, then the whole.

    Raises:
        InvalidInputError: the model gives no scores, or not that finely.
        AudioError: the file cannot be used.
    """
    how = Granularity(granularity) if isinstance(granularity, str) else granularity
    _require_scores(embedder)
    heard = Heard(audio, embedder, how)
    for parts in heard:
        for start, end, row in zip(parts.starts, parts.ends, parts.scores, strict=True):
            yield _said(name, how.name, start, end, embedder, row)
    yield _said(name, "utterance", 0.0, heard.duration, embedder, heard.scores)


def _require_scores(embedder: Embedder) -> None:
    if not embedder.classes:
        raise InvalidInputError(
            f"the model {embedder.name} gives no emotion scores; choose one with a head, such as"
            " --model iic/emotion2vec_plus_large or --model acoustic"
        )


def _predict(
    file: Path, target: Path | None, embedder: Embedder, how: Granularity
) -> Iterator[Prediction]:
    name = printable(str(file))
    whole = how.name == "utterance"
    with ExitStack() as stack:
        audio = stack.enter_context(AudioFile(file))
        vectors = scores = None
        if target is not None:
            target.mkdir(parents=True, exist_ok=True)
            stack.callback(_remove_if_empty, target)
            width = None if whole else embedder.dimension
            vectors = stack.enter_context(NpyWriter(target / "embedding.npy", width))
            if not whole:
                columns = len(embedder.classes)
                scores = stack.enter_context(NpyWriter(target / "scores.npy", columns))
        heard = Heard(audio, embedder, how)
        for parts in heard:
            if vectors is not None and scores is not None:
                vectors.append(parts.vectors)
                scores.append(parts.scores)
            for start, end, row in zip(parts.starts, parts.ends, parts.scores, strict=True):
                yield _said(name, how.name, start, end, embedder, row)
        if whole and vectors is not None:
            vectors.append(heard.vector)
    said = _said(name, "utterance", 0.0, heard.duration, embedder, heard.scores)
    if target is not None:
        _write_result(target, said, embedder, how, heard.duration)
    yield said


def _said(
    file: str,
    granularity: str,
    start: float,
    end: float,
    embedder: Embedder,
    scores: np.ndarray[tuple[int], np.dtype[np.float32]],
) -> Prediction:
    named = named_scores(embedder.classes, scores)
    top = embedder.classes[int(np.argmax(scores))]
    span = round(float(start), 3), round(float(end), 3)
    return Prediction(file, granularity, *span, top, named[top], named)


def _write_result(
    target: Path, said: Prediction, embedder: Embedder, how: Granularity, duration: float
) -> None:
    result = {
        "emotion": said.emotion,
        "confidence": said.confidence,
        "scores": said.scores,
        "granularity": how.name,
        "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        "file": said.file,
        "duration": round(duration, 3),
        "model": embedder.name,
    }
    if how.name == "window":
        result |= {"window": how.window, "hop": how.hop or how.window}
    if how.name == "utterance":
        (target / "scores.npy").unlink(missing_ok=True)  # of parts, written over
    partial = target / "result.json.partial"
    partial.write_text(json.dumps(result, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    partial.replace(target / "result.json")


def _remove_if_empty(folder: Path) -> None:
    if not any(folder.iterdir()):
        folder.rmdir()

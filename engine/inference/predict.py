"""Emotion labels of files: of the whole, by window or by frame; no archive needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from emotion_search.engine.audio.file import SAMPLE_RATE, AudioFile
from emotion_search.engine.embedders.base import Embedder
from emotion_search.engine.files.journal import Journal, refuse_occupied
from emotion_search.engine.files.npy import NpyWriter
from emotion_search.engine.files.scan import printable
from emotion_search.engine.inference.embed import named_scores, run_of, unique_names, write_json
from emotion_search.engine.inference.parts import Granularity, Heard, Parts, Sound
from emotion_search.index.errors import AudioError, InvalidInputError

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
            ``scores.npy`` (one row a part, a column a class). The same call, after one that was
            killed, goes on with the files that are missing; of the others it gives the whole alone.
        overwrite: write over such files.

    Raises:
        InvalidInputError: the model gives no scores, or not that finely; ``folder`` holds what
            would be written over.
    """
    how = Granularity(granularity) if isinstance(granularity, str) else granularity
    _require_scores(embedder)
    if folder is None:
        for file in files:
            yield from _or_error(file, None, embedder, how)
        return
    named = list(zip(unique_names(files), files, strict=True))
    journal = Journal(folder, run_of(embedder, how), anew=overwrite)
    others = [folder / name for name, file in named if not journal.ours(name, file)]
    refuse_occupied([path / one for path in others for one in _WRITTEN], overwrite=overwrite)
    if how.name == "frame":
        embedder.frames(np.zeros(SAMPLE_RATE, np.float32))  # says so at once if it has none
    for name, file in named:
        result = folder / name / "result.json"
        known = journal.done(name, file) if result.exists() else None
        if known is not None:
            yield Prediction(**known)
            continue
        journal.begin(name, file)
        result.unlink(missing_ok=True)  # of what is written over
        said = None
        for said in _or_error(file, folder / name, embedder, how):
            yield said
        if said is not None and said.error is None:
            journal.finish(name, file, vars(said))
    journal.end()


def _or_error(
    file: Path, target: Path | None, embedder: Embedder, how: Granularity
) -> Iterator[Prediction]:
    try:
        if target is None:
            with AudioFile(file) as audio:
                yield from predictions(printable(str(file)), audio, embedder, how)
        else:
            yield from _written(file, target, embedder, how)
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
        yield from _parts_said(name, parts, embedder, how)
    yield _said(name, "utterance", 0.0, heard.duration, embedder, heard.scores)


def _require_scores(embedder: Embedder) -> None:
    if not embedder.classes:
        raise InvalidInputError(
            f"the model {embedder.name} gives no emotion scores; choose one with a head, such as"
            " --model iic/emotion2vec_plus_large or --model acoustic"
        )


def _written(
    file: Path, target: Path, embedder: Embedder, how: Granularity
) -> Iterator[Prediction]:
    """As ``predictions``, and the files of ``target``."""
    name = printable(str(file))
    whole = how.name == "utterance"
    with ExitStack() as stack:
        audio = stack.enter_context(AudioFile(file))
        target.mkdir(parents=True, exist_ok=True)
        stack.callback(_remove_if_empty, target)
        width = None if whole else embedder.dimension
        vectors = stack.enter_context(NpyWriter(target / "embedding.npy", width))
        scores = None
        if not whole:
            columns = len(embedder.classes)
            scores = stack.enter_context(NpyWriter(target / "scores.npy", columns))
        heard = Heard(audio, embedder, how)
        for parts in heard:
            vectors.append(parts.vectors)
            if scores is not None:
                scores.append(parts.scores)
            yield from _parts_said(name, parts, embedder, how)
        if whole:
            vectors.append(heard.vector)
    said = _said(name, "utterance", 0.0, heard.duration, embedder, heard.scores)
    _write_result(target, said, embedder, how, heard.duration)
    yield said


def _parts_said(
    name: str, parts: Parts, embedder: Embedder, how: Granularity
) -> Iterator[Prediction]:
    for start, end, row in zip(parts.starts, parts.ends, parts.scores, strict=True):
        yield _said(name, how.name, start, end, embedder, row)


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
    write_json(target / "result.json", result)


def _remove_if_empty(folder: Path) -> None:
    if not any(folder.iterdir()):
        folder.rmdir()

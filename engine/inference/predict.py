"""Emotion predictions of files: of the whole, by window or by frame; no archive needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TypeVar

import numpy as np

from emotion_search.engine.audio.file import SAMPLE_RATE
from emotion_search.engine.audio.mono import MonoFile
from emotion_search.engine.audio.workers import Decoders
from emotion_search.engine.embedders.base import Embedder
from emotion_search.engine.files.atomic import put_array
from emotion_search.engine.files.journal import Journal, refuse_occupied
from emotion_search.engine.files.npy import NpyWriter
from emotion_search.engine.files.objects import opened
from emotion_search.engine.files.scan import printable
from emotion_search.engine.inference.context import Adapted, Centre, Context
from emotion_search.engine.inference.embed import named_scores, run_of, unique_names, write_json
from emotion_search.engine.inference.parts import FileEmbedding, Granularity, Parts, Vector
from emotion_search.engine.machine.threads import ahead
from emotion_search.index.database.addresses import is_object
from emotion_search.index.disk.sync import make_folders
from emotion_search.index.errors import AudioError, UnusableError
from emotion_search.index.vectors.arrays import normalise
from emotion_search.index.vectors.baselines import shrunk

T = TypeVar("T")

_WRITTEN = ("result.json", "embedding.npy", "scores.npy")
_TOGETHER, _DRAWN = 20, 100  # files whose mean is worth something, and enough for it


@dataclass(frozen=True)
class Prediction:
    """A model's prediction for a file, or for a part of it; ``error`` says why there is none.

    Attributes:
        granularity: ``utterance`` for the whole file, else ``frame`` or ``window``.
        start, end: seconds.
        emotion, confidence: the top class and its score.
        scores: by class.
        adapted: to what they are: ``archive``, ``recording``, ``files`` or ``none``.
        notices: what somebody should know who reads the file; known with the whole.
    """

    file: str
    granularity: str
    start: float | None = None
    end: float | None = None
    emotion: str | None = None
    confidence: float | None = None
    scores: dict[str, float] | None = None
    adapted: Adapted | None = None
    error: str | None = None
    notices: Sequence[str] = ()


def predict_files(
    files: Sequence[Path | str],
    embedder: Embedder,
    granularity: Granularity | str = "utterance",
    *,
    context: Context | None = None,
    folder: Path | None = None,
    overwrite: bool = False,
) -> Iterator[Prediction]:
    """Predictions of files, or of objects by their addresses, one after the other: of each its
    parts as they come, then the whole.

    Args:
        context: gives what scores are adapted to; each recording itself, if left out.
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
    predictor = Predictor(embedder, how, context)
    with closing(Decoders()) as decoders:
        if folder is None:

            def predict(file: Path | str) -> Iterator[Prediction]:
                return predictor.file(file, decoders)

            yield from _each(predict, files, how, decoders)
        else:
            yield from _into(folder, files, decoders, predictor, overwrite=overwrite)


def together(files: Sequence[Path | str], embedder: Embedder, context: Context) -> Context:
    """A context that, where another finds none for a recording, gives the mean of these files: of
    twenty or more, or of some of them drawn at random, which are embedded once more for it."""
    if not embedder.adapts or embedder.centre is None or len(files) < _TOGETHER:
        return context
    model, towards = embedder, embedder.centre
    drawn = np.random.default_rng(0).permutation(len(files))[:_DRAWN]
    once = threading.Lock()
    found: list[Centre] = []

    def vector(decoders: Decoders, file: Path | str) -> list[Vector]:
        try:
            with opened(str(file)) as (path, _):
                sound = MonoFile(decoders, path)
                embedded = FileEmbedding(sound, model, Granularity(), lambda _: Centre())
                for _ in embedded:
                    pass
        except (AudioError, OSError):  # said where its turn comes
            return []
        return [embedded.vector]

    def of_files() -> Centre:
        with closing(Decoders()) as decoders:
            rows = [
                *chain.from_iterable(ahead(partial(vector, decoders), [files[i] for i in drawn]))
            ]
        if len(rows) < _TOGETHER:
            return Centre()
        total = normalise(np.stack(rows)).sum(axis=0, dtype=np.float64)
        return Centre("files", shrunk(total, len(rows), towards))

    def centre(windows: Vector) -> Centre:
        own = context(windows)
        if own.of != "none":
            return own
        with once:
            if not found:
                found.append(of_files())
        return found[0]

    return centre


def _each(
    predict: Callable[[T], Iterator[Prediction]],
    files: Sequence[T],
    how: Granularity,
    decoders: Decoders,
) -> Iterator[Prediction]:
    """Predictions of each file in turn; where one is all that it gives, of several at a time."""
    if how.name == "utterance":
        each = ahead(lambda file: [*predict(file)], files, end=decoders.close)
        yield from chain.from_iterable(each)
    else:
        yield from chain.from_iterable(map(predict, files))


def _into(
    folder: Path,
    files: Sequence[Path | str],
    decoders: Decoders,
    predictor: Predictor,
    *,
    overwrite: bool,
) -> Iterator[Prediction]:
    embedder, how = predictor.embedder, predictor.how
    named = list(zip(unique_names(files), files, strict=True))
    journal = Journal(folder, run_of(embedder, how), anew=overwrite)
    others = [folder / name for name, file in named if not journal.ours(name, file)]
    refuse_occupied([path / one for path in others for one in _WRITTEN], overwrite=overwrite)
    if how.name == "frame":
        embedder.frames(np.zeros(SAMPLE_RATE, np.float32))  # raises at once if it has none
    make_folders(folder)  # before anything is computed

    def predict(output: tuple[str, Path | str]) -> Iterator[Prediction]:
        name, file = output
        result = folder / name / "result.json"
        known = journal.done(name, file) if result.exists() else None
        if known is not None:
            yield Prediction(**known)
            return
        journal.begin(name, file)
        result.unlink(missing_ok=True)  # of what is written over
        last = None
        for last in predictor.file(file, decoders, folder / name):
            yield last
        if last is not None and last.error is None:
            journal.finish(name, file, vars(last))

    yield from _each(predict, named, how, decoders)
    journal.end()


@dataclass(frozen=True)
class Predictor:
    """A model, how finely it predicts, and what gives what its scores are adapted to: the recording
    itself, if left out.

    Raises:
        InvalidInputError: the model gives no scores.
    """

    embedder: Embedder
    how: Granularity
    context: Context | None = None

    def __post_init__(self) -> None:
        if not self.embedder.classes:
            raise UnusableError(
                f"the model {self.embedder.name} gives no emotion scores; choose one with a head,"
                " such as --model iic/emotion2vec_plus_large or --model voice"
            )

    def file(
        self, file: Path | str, decoders: Decoders, target: Path | None = None
    ) -> Iterator[Prediction]:
        """Predictions of a file, which are written to ``target``, too; or why there are none."""
        name = printable(str(file))
        try:
            with opened(str(file)) as (path, _):
                audio = MonoFile(decoders, path)
                if target is None:
                    yield from self.predictions(name, audio)
                else:
                    yield from self._written(name, audio, target)
        except AudioError as error:
            yield Prediction(name, self.how.name, error=str(error))
        except OSError as error:
            if error.filename != str(file) or not is_object(str(file)):
                raise
            yield Prediction(name, self.how.name, error=f"cannot be read ({error.strerror})")

    def predictions(self, name: str, audio: MonoFile) -> Iterator[Prediction]:
        """Predictions of a file that is called ``name``: its parts as they come, then the whole.

        Raises:
            InvalidInputError: the model is not so fine.
            AudioError: the file cannot be used.
        """
        embedded = FileEmbedding(audio, self.embedder, self.how, self.context)
        for parts in embedded:
            yield from self._of_parts(name, parts, embedded)
        yield whole_prediction(name, embedded, self.embedder)

    def _written(self, name: str, audio: MonoFile, target: Path) -> Iterator[Prediction]:
        embedded = FileEmbedding(audio, self.embedder, self.how, self.context)
        vectors_path, scores_path = target / "embedding.npy", target / "scores.npy"
        make_folders(target)
        try:
            if self.how.name == "utterance":
                for _ in embedded:
                    pass
                put_array(vectors_path, embedded.vector)
                scores_path.unlink(missing_ok=True)  # of parts, written over
            else:
                with (
                    NpyWriter(vectors_path, self.embedder.dimension) as vectors,
                    NpyWriter(scores_path, len(self.embedder.classes)) as scores,
                ):
                    for parts in embedded:
                        vectors.append(parts.vectors)
                        scores.append(parts.scores)
                        yield from self._of_parts(name, parts, embedded)
        finally:
            if not any(target.iterdir()):
                target.rmdir()
        whole = whole_prediction(name, embedded, self.embedder)
        result = {
            **{key: getattr(whole, key) for key in ("emotion", "confidence", "scores", "adapted")},
            "granularity": self.how.name,
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
            "file": name,
            "duration": round(embedded.duration, 3),
            "model": self.embedder.name,
        }
        if self.how.name == "window":
            result |= {"window": self.how.window, "hop": self.how.hop or self.how.window}
        write_json(target / "result.json", result)
        yield whole

    def _of_parts(self, name: str, parts: Parts, embedded: FileEmbedding) -> Iterator[Prediction]:
        how, embedder = self.how.name, self.embedder
        for start, end, row in zip(parts.starts, parts.ends, parts.scores, strict=True):
            yield _prediction(name, how, start, end, embedder, row, embedded.adapted)


def whole_prediction(name: str, embedded: FileEmbedding, embedder: Embedder) -> Prediction:
    """The prediction for a file of which all parts were asked for."""
    span = 0.0, embedded.duration
    whole = _prediction(name, "utterance", *span, embedder, embedded.scores, embedded.adapted)
    return replace(whole, notices=embedded.notices)


def _prediction(
    file: str,
    granularity: str,
    start: float,
    end: float,
    embedder: Embedder,
    scores: Vector,
    adapted: Adapted,
) -> Prediction:
    named = named_scores(embedder.classes, scores)
    top = embedder.classes[int(np.argmax(scores))]
    span = round(float(start), 3), round(float(end), 3)
    return Prediction(file, granularity, *span, top, named[top], named, adapted)

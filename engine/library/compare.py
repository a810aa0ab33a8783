"""Similarity of audio files and clips to each other, with their emotions; no archive needed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.archive.database import database_exists
from emotion_search.engine.audio.mono import MonoFile
from emotion_search.engine.audio.workers import Decoders
from emotion_search.engine.embedders.base import Embedder
from emotion_search.engine.embedders.registry import load_embedder
from emotion_search.engine.inference.context import Context, own_context
from emotion_search.engine.inference.embed import named_scores
from emotion_search.engine.inference.parts import FileEmbedding, Granularity
from emotion_search.engine.library.library import Library, model_name
from emotion_search.engine.machine.threads import ahead
from emotion_search.engine.query.examples import FileExample, as_example, embedded, resolved
from emotion_search.engine.settings import Settings
from emotion_search.index.errors import AudioError, InvalidInputError, UnusableError
from emotion_search.index.vectors.arrays import Vectors, normalise
from emotion_search.index.vectors.baselines import Place

log = logging.getLogger(__name__)

MOST = 1000  # things compared at once

Embedded = tuple["Compared", Vectors]


@dataclass(frozen=True)
class Compared:
    """A file or a clip beside others.

    Attributes:
        name: the file's path, or ``clip 42``.
        emotion, confidence: the model's top class and its score; None where it has no classes.
        scores: by class; None where it has none.
    """

    name: str
    emotion: str | None
    confidence: float | None
    scores: Mapping[str, float] | None = None


@dataclass(frozen=True, eq=False)
class Comparison:
    """Things beside each other.

    Attributes:
        things: n of them, in the order given, without the unusable.
        cosines: float64 (n, n), -1 to 1; in the archive's space where there is one of the model.
        percentiles: float64 (n, n), the percentage of random pairs of the archive's clips that are
            less alike, 0 to 100; None without an archive, or where that is too small to tell.
        unusable: name of each file that cannot be used, and why.
    """

    things: list[Compared]
    cosines: NDArray[np.float64]
    percentiles: NDArray[np.float64] | None
    unusable: list[tuple[str, str]]


def compare(settings: Settings, things: Sequence[int | Path]) -> Comparison:
    """Compare clips of the archive, by id, and audio files, each with each.

    In an archive of the model, files and clips are compared as a search does: in its space, less
    the baseline of where they come from. Without one, by the mean embeddings of the files.

    Raises:
        InvalidInputError: fewer than two things, or more than 1000; a clip without an archive.
        NotFoundError: no such clip.
        ModelMismatchError, ModelUnavailableError: the model cannot be used.
    """
    if not 2 <= len(things) <= MOST:
        raise InvalidInputError(f"give 2 to {MOST} files and clips to compare, not {len(things)}")
    with ExitStack() as stack:
        library = None
        if database_exists(settings):
            library = stack.enter_context(Library.open(settings))
        if library is not None and library.model() is not None:
            named = [FileExample(o, str(o)) if isinstance(o, Path) else o for o in things]
            return compare_in(library, named)
        if any(isinstance(thing, int) for thing in things):
            raise UnusableError("there is no clip here; fill an archive by emotion-search ingest")
        embedder = load_embedder(model_name(settings), settings)
        return _of_files(embedder, [one for one in things if isinstance(one, Path)])


def compare_in(
    library: Library, things: Sequence[int | FileExample], *, longest: float | None = None
) -> Comparison:
    """As ``compare``, in an archive that is open.

    Args:
        longest: seconds of audio that a file may have; None for any.

    Raises:
        NotFoundError: no such clip, or the archive is empty.
        ModelMismatchError, ModelUnavailableError: the model cannot be used.
    """
    model, searcher = library.searcher()
    embed: Callable[[Path], Embedded] | None = None
    compared, examples, unusable = [], [], []
    for thing in things:
        name = f"clip {thing}" if isinstance(thing, int) else thing.name
        try:
            if isinstance(thing, FileExample) and not thing.path.is_file():
                there = thing.path.exists()
                raise AudioError("is not a regular file" if there else "is not there")
            example = embedded(library, model, as_example(thing), longest)
            if isinstance(thing, int):
                clip = library.clip(thing)
                one = Compared(name, clip.emotion, clip.confidence, clip.scores or None)
            else:
                if embed is None:  # of clips alone the model is not loaded
                    embedder = library.embedder_of(model)
                    context = library.context(embedder, Place())
                    embed = partial(_embedded, library.decoders, embedder, context)
                one = replace(embed(thing.path)[0], name=name)
            examples.append(example)
            compared.append(one)
        except AudioError as error:
            unusable.append((name, str(error).removeprefix(f"{name} ")))
    if len(examples) < 2:
        return Comparison(compared, np.ones((len(examples),) * 2), None, unusable)
    with searcher.open() as snapshot:
        rows = [resolved(snapshot, one).example for one in examples]
        cosines, percentiles = snapshot.compare(rows)
    return Comparison(compared, cosines, percentiles, unusable)


def _of_files(embedder: Embedder, files: Sequence[Path]) -> Comparison:
    compared, rows, unusable = [], [], []
    with closing(Decoders()) as decoders:
        embed = partial(_or_reason, partial(_embedded, decoders, embedder, own_context(embedder)))
        for file, found in zip(files, ahead(embed, files, end=decoders.close), strict=True):
            if isinstance(found, str):
                unusable.append((str(file), found))
            else:
                compared.append(found[0])
                rows.append(found[1])
    wide = normalise(np.stack(rows)).astype(np.float64) if rows else np.empty((0, 1))
    return Comparison(compared, np.clip(wide @ wide.T, -1, 1), None, unusable)


def _or_reason(embed: Callable[[Path], Embedded], file: Path) -> Embedded | str:
    try:
        return embed(file)
    except AudioError as error:
        return str(error)


def _embedded(decoders: Decoders, embedder: Embedder, context: Context, file: Path) -> Embedded:
    """The file's emotion, and its embedding: float32 (dim,)."""
    whole = FileEmbedding(MonoFile(decoders, file), embedder, Granularity(), context)
    for _ in whole:  # of an utterance there are no parts
        pass
    for text in whole.notices:
        log.warning("%s: %s", file, text)
    if not embedder.classes:
        return Compared(str(file), None, None), whole.vector
    scores = named_scores(embedder.classes, whole.scores)
    top = embedder.classes[int(np.argmax(whole.scores))]
    return Compared(str(file), top, scores[top], scores), whole.vector

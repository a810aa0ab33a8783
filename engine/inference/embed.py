"""Embeddings of audio files written as ``.npy`` files, with a ``result.json`` about them."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_search.engine.audio.file import SAMPLE_RATE
from emotion_search.engine.audio.mono import MonoFile
from emotion_search.engine.audio.workers import Decoders
from emotion_search.engine.embedders.base import Embedder
from emotion_search.engine.files.atomic import put, put_array
from emotion_search.engine.files.journal import Journal, refuse_occupied
from emotion_search.engine.files.npy import NpyWriter
from emotion_search.engine.files.scan import printable
from emotion_search.engine.inference.context import Adapted
from emotion_search.engine.inference.parts import FileEmbedding, Granularity
from emotion_search.engine.machine.threads import ahead
from emotion_search.index.disk.sync import make_folders
from emotion_search.index.errors import AudioError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Exported:
    """What was written for one file; ``error`` says why nothing was.

    Attributes:
        embedding: name of the ``.npy`` in the output folder: float32, (dim,) for an utterance,
            (n, dim) with a row a window, or 50 frames a second.
        emotion, confidence: the top class and its score; None where the model gives no scores.
        scores: by class, of the whole recording.
        adapted: to what they are: the ``recording`` itself, or ``none``.
    """

    file: str
    embedding: str | None = None
    duration: float | None = None
    emotion: str | None = None
    confidence: float | None = None
    scores: dict[str, float] | None = None
    adapted: Adapted | None = None
    error: str | None = None


def export_files(
    files: Sequence[Path],
    folder: Path,
    embedder: Embedder,
    *,
    granularity: str | Granularity = "utterance",
    overwrite: bool = False,
) -> Iterator[Exported]:
    """Embed ``files`` into ``folder``, some at a time; ``result.json`` is written at the end.

    Files of one name get ``name.npy``, ``name-2.npy``, … Each is there once it is whole; the same
    call, after one that was killed, goes on with the files that are missing.

    Raises:
        InvalidInputError: an unknown granularity, or one that the model has not; the folder holds
            what would be written over.
    """
    how = Granularity(granularity) if isinstance(granularity, str) else granularity
    named = [(f"{name}.npy", file) for name, file in zip(unique_names(files), files, strict=True)]
    result = folder / "result.json"
    journal = Journal(folder, run_of(embedder, how), anew=overwrite)
    others = [folder / name for name, file in named if not journal.ours(name, file)]
    refuse_occupied([result, *others], overwrite=overwrite)
    if how.name == "frame":
        embedder.frames(np.zeros(SAMPLE_RATE, np.float32))  # raises at once if it has none
    make_folders(folder)
    result.unlink(missing_ok=True)  # of what is written over
    done = []
    with contextlib.closing(Decoders()) as decoders:

        def export(output: tuple[str, Path]) -> Exported:
            name, file = output
            known = journal.done(name, file) if (folder / name).exists() else None
            if known is not None:
                return Exported(**known)
            journal.begin(name, file)
            one = _export(MonoFile(decoders, file), folder / name, embedder, how)
            if one.error is None:
                journal.finish(name, file, vars(one))
            return one

        for one in ahead(export, named, end=decoders.close):
            done.append(one)
            yield one
    written = datetime.now(UTC).isoformat(timespec="seconds")
    results = [
        {**vars(one), "granularity": how.name, "timestamp": written, "model": embedder.name}
        for one in done
    ]
    write_json(result, results)
    journal.end()


def run_of(embedder: Embedder, how: Granularity) -> dict[str, object]:
    """What makes outputs those of one run."""
    return {"model": embedder.name, "fingerprint": embedder.fingerprint, **vars(how)}


def write_json(path: Path, content: object) -> None:
    """Write a file of JSON, which is there once it is whole."""
    put(path, json.dumps(content, ensure_ascii=False, indent=2) + "\n")


def unique_names(files: Sequence[Path | str]) -> list[str]:
    """The name of each file without its extension, all different, whatever the letters' case."""
    taken: set[str] = set()
    last: dict[str, int] = {}  # number given, by stem
    names = []
    for own in (Path(file).stem for file in files):
        name, stem = own, own.lower()
        while name.lower() in taken:
            last[stem] = last.get(stem, 1) + 1
            name = f"{own}-{last[stem]}"
        taken.add(name.lower())
        names.append(name)
    return names


def _export(audio: MonoFile, target: Path, embedder: Embedder, how: Granularity) -> Exported:
    """Write one embedding; a file that is no audio leaves nothing."""
    name = printable(str(audio.path))
    embedded = FileEmbedding(audio, embedder, how)
    try:
        if how.name == "utterance":
            for _ in embedded:
                pass
            put_array(target, embedded.vector)
        else:  # a row a part; memory stays flat
            with NpyWriter(target, embedder.dimension) as out:
                for parts in embedded:
                    out.append(parts.vectors)
    except AudioError as error:
        return Exported(name, error=str(error))
    for text in embedded.notices:
        log.warning("%s: %s", name, text)
    named = named_scores(embedder.classes, embedded.scores)
    top = max(named, key=lambda name: named[name]) if named else None
    return Exported(
        name,
        embedding=target.name,
        duration=round(embedded.duration, 3),
        emotion=top,
        confidence=named[top] if top else None,
        scores=named,
        adapted=embedded.adapted,
    )


def named_scores(classes: Sequence[str], scores: NDArray[np.float32]) -> dict[str, float]:
    """Scores by class, to six decimals."""
    return dict(zip(classes, (round(float(s), 6) for s in scores), strict=True))

"""What an ingest would do, without doing it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.audio import SAMPLE_RATE, told_duration
from engine.embedders.base import Embedder
from engine.voices import speak
from index.database import Database
from index.errors import AudioError
from index.recordings import FileFacts, known_files

_LOOKED_UP = 500
_TRIED_S = 3.0


@dataclass
class Preview:
    """What an ingest would find.

    Attributes:
        files, known: how many there are, and how many of them the archive knows unchanged.
        new: the others, of ``size`` bytes and ``duration`` seconds by their headers.
        untold: new files whose header does not tell a duration.
        unusable: path and reason of new files that are no audio.
    """

    files: int
    known: int
    new: int
    size: int
    duration: float
    untold: int
    unusable: list[tuple[str, str]]


def preview(files: Iterable[FileFacts], database: Database | None) -> Preview:
    """What an ingest of ``files`` into the archive (None: a new one) would find."""
    found = Preview(0, 0, 0, 0, 0.0, 0, [])
    for file, known in _marked(files, database):
        found.files += 1
        if known:
            found.known += 1
            continue
        try:
            told = told_duration(Path(file.path))
        except (AudioError, OSError) as error:
            found.unusable.append((file.path, str(error)))
            continue
        found.new += 1
        found.size += file.size
        found.duration += told or 0.0
        found.untold += told is None
    return found


def rate(embedder: Embedder) -> float:
    """Seconds of audio a second that the model embeds on this machine, tried on a short voice."""
    clip = speak("neutral", speaker=0, seed=0, seconds=_TRIED_S)
    embedder.embed([clip])
    began = time.perf_counter()
    embedder.embed([clip] * 4)
    return 4 * len(clip) / SAMPLE_RATE / (time.perf_counter() - began)


def _marked(
    files: Iterable[FileFacts], database: Database | None
) -> Iterator[tuple[FileFacts, bool]]:
    remaining = iter(files)
    while chunk := list(itertools.islice(remaining, _LOOKED_UP)):
        known: dict[str, tuple[FileFacts, int]] = {}
        if database is not None:
            with database.read() as session:
                known = known_files(session, [file.path for file in chunk])
        for file in chunk:
            yield file, file.path in known and known[file.path][0] == file

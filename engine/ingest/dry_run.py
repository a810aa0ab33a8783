"""A dry run of an ingest: how many files are new, how long they are, what cannot be used."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from emotion_search.engine.audio.file import SAMPLE_RATE
from emotion_search.engine.audio.synthetic_voices import speak
from emotion_search.engine.audio.workers import Decoders
from emotion_search.engine.embedders.base import Embedder
from emotion_search.engine.files.scan import FoundFile
from emotion_search.engine.ingest.lookup import look_up
from emotion_search.engine.ingest.options import IngestOptions
from emotion_search.index.database.addresses import is_object
from emotion_search.index.database.connection import Database
from emotion_search.index.errors import AudioError

_TRIED_S = 3.0


@dataclass
class Preview:
    """What an ingest would find.

    Attributes:
        files, known: how many there are, and how many of them need not be read.
        recut: known recordings that would be cut anew.
        otherwise: known recordings that are cut under other options, and would be left so.
        new: the others, of ``size`` bytes and ``duration`` seconds by their headers.
        unknown_duration: new files whose header gives none.
        unusable: path and reason of files that cannot be ingested: no audio, or spans that do not
            say which channel they are of.
    """

    files: int
    known: int
    recut: int
    otherwise: int
    new: int
    size: int
    duration: float
    unknown_duration: int
    unusable: list[tuple[str, str]]


def preview(
    files: Iterable[FoundFile],
    database: Database | None,
    options: IngestOptions,
    decoders: Decoders,
) -> Preview:
    """What an ingest of ``files`` into the archive (None: a new one) would find, under options
    that are ``completed``.

    Nothing is hashed: what would only be found out by the bytes of a file is not foreseen.
    """
    found = Preview(0, 0, 0, 0, 0, 0, 0.0, 0, [])

    def refuse(file: FoundFile, reason: str) -> None:
        found.files += 1
        found.unusable.append((file.path, reason))

    for chunk in look_up(database, files, options, refuse):
        for looked in chunk:
            if options.limit is not None and found.new + found.recut >= options.limit:
                return found
            found.files += 1
            if looked.recording_id is not None:
                found.known += not (looked.otherwise and options.recut)
                found.recut += looked.otherwise and options.recut
                found.otherwise += looked.otherwise and not options.recut
            elif looked.silent and not options.retry:
                found.known += 1
            else:
                _look_into(looked.file, found, decoders)
    return found


def _look_into(file: FoundFile, found: Preview, decoders: Decoders) -> None:
    seconds = None
    try:
        if not is_object(file.path):  # of which nothing is read
            seconds = decoders.header_duration(Path(file.path))
    except (AudioError, OSError) as error:
        found.unusable.append((file.path, str(error)))
        return
    found.new += 1
    found.size += file.facts.size
    found.duration += seconds or 0.0
    found.unknown_duration += seconds is None


def rate(embedder: Embedder) -> float:
    """Seconds of audio a second that the model embeds on this machine, tried on a short voice."""
    clip = speak("neutral", speaker=0, seed=0, seconds=_TRIED_S)
    embedder.embed([clip])
    began = time.perf_counter()
    embedder.embed([clip] * 4)
    return 4 * len(clip) / SAMPLE_RATE / (time.perf_counter() - began)

"""Change detection: the files that the archive does not know as they are now, to be read."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from emotion_search.engine.files.scan import FoundFile
from emotion_search.engine.ingest.options import IngestOptions, cut_otherwise
from emotion_search.index.database.connection import Database
from emotion_search.index.database.files import known_files, silent_files
from emotion_search.index.errors import InvalidInputError

LOOKED_UP = 500
"""Paths that are looked up together."""


@dataclass(frozen=True)
class Looked:
    """A file beside what the archive knows of it, by path, size and time of change.

    Attributes:
        recording_id: of the recording that it holds, if it is known as it is.
        otherwise: that recording is cut under other options than the wanted ones.
        silent: it is known that no speech is in it, so cut.
        failed: it was not there, say, in the meantime; that is no failure any more.
    """

    file: FoundFile
    recording_id: int | None = None
    otherwise: bool = False
    silent: bool = False
    failed: bool = False


def look_up(
    database: Database | None,
    files: Iterable[FoundFile],
    options: IngestOptions,
    refuse: Callable[[FoundFile, str], None],
) -> Iterator[list[Looked]]:
    """What the archive (None: there is none yet) knows of ``files``, some hundreds at a time.

    Args:
        refuse: called with a file whose spans do not say which channel they are of, and why.
    """

    def placed() -> Iterator[FoundFile]:
        for file in files:
            try:
                usable = options.with_channels(file)
            except InvalidInputError as error:
                refuse(file, str(error))
            else:
                yield usable

    remaining = placed()
    while chunk := list(itertools.islice(remaining, LOOKED_UP)):
        if database is None:
            yield [Looked(file) for file in chunk]
            continue
        paths = [file.path for file in chunk]
        with database.read() as session:
            known, silent = known_files(session, paths), silent_files(session, paths)
        found = []
        for file in chunk:
            there, quiet = known.get(file.path), silent.get(file.path)
            wanted = options.cut_for(file.annotations.spans)
            if there is not None and there.file == file.facts:
                otherwise = cut_otherwise(there.cut, wanted)
                found.append(Looked(file, there.recording_id, otherwise, failed=there.failed))
            else:
                same = quiet is not None and (quiet.file, quiet.cut) == (file.facts, wanted)
                found.append(Looked(file, silent=same))
        yield found

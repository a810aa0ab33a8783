"""Files as they were seen, and which of them the archive knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from emotion_search.index.database.schema import Location, Recording


@dataclass(frozen=True)
class FileFacts:
    """A file as it was seen: absolute path, size in bytes, time of change in nanoseconds."""

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class KnownFile:
    """A file whose recording is in the archive: as it was when seen, the recording's id, and how
    that was cut into clips (None where nobody noted it)."""

    file: FileFacts
    recording_id: int
    cut: str | None


def known_files(session: Session, paths: Sequence[str]) -> dict[str, KnownFile]:
    """What the archive knows of ``paths``, by path."""
    rows = session.execute(
        select(
            Location.path, Location.size, Location.mtime_ns, Location.recording_id, Recording.cut
        )
        .join(Recording, Recording.id == Location.recording_id)
        .where(Location.path.in_(paths))
    )
    return {
        path: KnownFile(FileFacts(path, size, mtime), recording_id, cut)
        for path, size, mtime, recording_id, cut in rows
    }

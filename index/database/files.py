"""Files: known contents and paths, failures, files without speech."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, and_, bindparam, collate, delete, exists, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from emotion_search.index.database.addresses import is_object
from emotion_search.index.database.bulk import chunks, insert_many, insert_or_replace
from emotion_search.index.database.schema import Failure, Forgotten, Location, Recording

_HIGHEST = chr(0x10FFFF)

FAILED, SILENT = "failed", "silent"
"""What a row is about: a file that could not be used, or one in which nobody speaks."""

NO_SPEECH = "has no speech in it; emotion-search ingest --segments fixed takes it anyway"
"""The reason of a file in which nobody speaks."""


@dataclass(frozen=True)
class FileFacts:
    """A file as it was seen: absolute path, size in bytes, time of change in nanoseconds."""

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class KnownFile:
    """A file whose recording is in the archive: as it was when seen, the recording's id, how that
    was cut into clips (None where nobody noted it), and whether the file failed since."""

    file: FileFacts
    recording_id: int
    cut: str | None
    failed: bool


@dataclass(frozen=True)
class FailureDetails:
    """A file that could not be ingested (``kind`` failed), or without speech (silent)."""

    path: str
    reason: str
    attempts: int
    failed_at: datetime
    kind: str = FAILED


@dataclass(frozen=True)
class Silence:
    """A file in which nobody speaks: as it was seen, its bytes, and how it was to be cut."""

    file: FileFacts
    sha256: str
    cut: str


@dataclass(frozen=True)
class SeenBefore:
    """What an archive knows of a file's bytes and of its path.

    Attributes:
        recording: with these bytes; None if unknown.
        erased: such a one was erased.
        silent: these bytes are known to give no clip, cut so.
        located: some recording was seen at this path.
    """

    recording: int | None
    erased: bool
    silent: bool
    located: bool


_SEEN_BEFORE = select(
    select(Recording.id).where(Recording.sha256 == bindparam("sha256")).scalar_subquery(),
    exists().where(Forgotten.digest == bindparam("digest")),
    exists().where(
        Failure.sha256 == bindparam("sha256"),
        Failure.kind == SILENT,
        Failure.cut == bindparam("cut"),
    ),
    exists().where(Location.path == bindparam("path")),
)


def gone(path: str) -> bool:
    """Whether nothing is at the path any more; what cannot be looked at, as objects cannot from
    here, is not known to be gone."""
    if is_object(path):
        return False
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def located_files(session: Session, folder: str | None = None) -> Iterator[tuple[str, FileFacts]]:
    """The sha256 of a recording and a file in which it was seen, all of them by path, or those in a
    folder and below; not those that an import only named."""
    query = (
        select(Recording.sha256, Location.path, Location.size, Location.mtime_ns)
        .join(Recording, Recording.id == Location.recording_id)
        .where(Location.size > 0)
        .order_by(Location.path)
    )
    if folder is not None:
        query = query.where(_begins(session, Location.path, folder.rstrip(os.sep) + os.sep))
    for sha256, path, size, mtime in session.execute(query.execution_options(yield_per=1000)):
        yield sha256, FileFacts(path, size, mtime)


def drop_gone(session: Session, paths: Sequence[str]) -> int:
    """Forget that recordings were seen at these paths, where nothing is any more; how many."""
    return drop_locations(session, [path for path in paths if gone(path)])


def drop_locations(session: Session, paths: Sequence[str]) -> int:
    """Forget that recordings were seen at these paths; how many those are."""
    for some in chunks(paths):
        session.execute(delete(Location).where(Location.path.in_(some)))
    return len(paths)


def move_paths(session: Session, table: type[Location] | type[Failure], old: str, new: str) -> None:
    """Rows about files in a folder are about the same files in another one now."""
    under = _begins(session, table.path, old.rstrip(os.sep) + os.sep)
    for path in session.scalars(select(table.path).where(under)).all():
        moved = new + path[len(old) :]
        if session.scalar(select(table.path).where(table.path == moved)) is None:
            session.execute(update(table).where(table.path == path).values(path=moved))
        else:
            session.execute(delete(table).where(table.path == path))


def ids_of_hashes(session: Session, hashes: Sequence[str]) -> dict[str, int]:
    """The recordings whose content has one of these hashes, by hash."""
    return {
        sha256: recording
        for some in chunks(hashes)
        for sha256, recording in session.execute(
            select(Recording.sha256, Recording.id).where(Recording.sha256.in_(some))
        )
    }


def find_by_sha256(session: Session, sha256: str) -> int | None:
    """The id of the recording with these bytes; None if unknown."""
    return session.scalar(select(Recording.id).where(Recording.sha256 == sha256))


def recording_at(session: Session, path: str) -> int | None:
    """The id of the recording whose bytes were seen at this absolute path; None if unknown."""
    return session.scalar(select(Location.recording_id).where(Location.path == path))


def hashes_at(session: Session, paths: Sequence[str]) -> dict[str, str]:
    """The sha256 of the recording that was seen at each of the paths, as far as one was."""
    return {
        path: sha256
        for some in chunks(paths)
        for path, sha256 in session.execute(
            select(Location.path, Recording.sha256)
            .join(Recording, Recording.id == Location.recording_id)
            .where(Location.path.in_(some))
        )
    }


def add_locations(session: Session, places: Sequence[tuple[int, FileFacts]]) -> None:
    """Note where recordings' bytes lie; these files are then no failures any more."""
    rows = {
        file.path: {
            "path": file.path,
            "recording_id": recording_id,
            "size": file.size,
            "mtime_ns": file.mtime_ns,
        }
        for recording_id, file in places
    }
    known = hashes_at(session, list(rows))
    insert_many(session, Location, [row for path, row in rows.items() if path not in known])
    insert_or_replace(session, Location, [rows[path] for path in known])
    remove_failures(session, list(rows))


def known_files(session: Session, paths: Sequence[str]) -> dict[str, KnownFile]:
    """What the archive knows of ``paths``, by path."""
    rows = session.execute(
        select(
            *(Location.path, Location.size, Location.mtime_ns, Location.recording_id),
            *(Recording.cut, exists().where(Failure.path == Location.path)),
        )
        .join(Recording, Recording.id == Location.recording_id)
        .where(Location.path.in_(paths))
    )
    return {
        path: KnownFile(FileFacts(path, size, mtime), recording_id, cut, failed)
        for path, size, mtime, recording_id, cut, failed in rows
    }


def add_failure(session: Session, path: str, reason: str) -> None:
    """Note that the file could not be ingested, and count the attempt."""
    _note(
        session, path, kind=FAILED, reason=reason, size=None, mtime_ns=None, sha256=None, cut=None
    )


def add_silence(session: Session, silence: Silence) -> None:
    """Note that nobody speaks in the file, so that it need not be listened to again."""
    file = silence.file
    _note(
        session,
        file.path,
        kind=SILENT,
        reason=NO_SPEECH,
        size=file.size,
        mtime_ns=file.mtime_ns,
        sha256=silence.sha256,
        cut=silence.cut,
    )


def silent_files(session: Session, paths: Sequence[str]) -> dict[str, Silence]:
    """Which of ``paths`` hold no speech, as far as is known, by path."""
    rows = session.scalars(select(Failure).where(Failure.path.in_(paths), Failure.kind == SILENT))
    return {
        row.path: Silence(FileFacts(row.path, row.size, row.mtime_ns), row.sha256, row.cut)
        for row in rows
        if row.size is not None and row.mtime_ns is not None and row.sha256 and row.cut
    }


def seen_before(session: Session, path: str, sha256: str, digest: str, cut: str) -> SeenBefore:
    """What is known of a file that is about to be read, in one statement: it is asked for each.

    Args:
        digest: of these bytes, as ``forgotten.digest_of`` gives it.
        cut: how it would be cut.
    """
    given = {"path": path, "sha256": sha256, "digest": digest, "cut": cut}
    return SeenBefore(*session.execute(_SEEN_BEFORE, given).one())


def list_failures(
    session: Session,
    *,
    limit: int | None = None,
    kind: str | None = None,
    until: datetime | None = None,
    skip: int = 0,
) -> list[FailureDetails]:
    """Files that could not be ingested or hold no speech (of one ``kind``, where it is given),
    latest first: up to ``limit`` of those of ``until`` and before, without the first ``skip``."""
    query = select(Failure).order_by(Failure.failed_at.desc(), Failure.path)
    if kind is not None:
        query = query.where(Failure.kind == kind)
    if until is not None:
        query = query.where(Failure.failed_at <= until)
    return [
        FailureDetails(row.path, row.reason, row.attempts, row.failed_at, row.kind)
        for row in session.scalars(query.offset(skip).limit(limit))
    ]


def remove_failures(session: Session, paths: Sequence[str]) -> None:
    """Forget that these files could not be ingested."""
    for some in chunks(paths):
        session.execute(delete(Failure).where(Failure.path.in_(some)))


def remove_failures_under(session: Session, prefix: str) -> None:
    """Forget the failures whose path begins with ``prefix``, letter by letter."""
    session.execute(delete(Failure).where(_begins(session, Failure.path, prefix)))


def _begins(
    session: Session, column: InstrumentedAttribute[str], prefix: str
) -> ColumnElement[bool]:
    path: ColumnElement[str] = column.expression
    if session.get_bind().dialect.name != "sqlite":
        path = collate(path, "C")  # the order of a language is not that of prefixes
    return and_(path >= prefix, path < prefix + _HIGHEST)


def _note(session: Session, path: str, **columns: object) -> None:
    attempts = session.scalar(select(Failure.attempts).where(Failure.path == path)) or 0
    row = {"path": path, "attempts": attempts + 1, "failed_at": datetime.now(UTC), **columns}
    insert_or_replace(session, Failure, [row])

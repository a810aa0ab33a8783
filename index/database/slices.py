"""Leases: work in slices, a bulk ingest say, each of which one process at a time works on.

A worker that dies lets its lease run out, and another takes the slice. Times are the database's, so
that clocks of machines need not agree.
"""

from __future__ import annotations

import os
import platform
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from emotion_search.index.database.schema import Clip, Location, Recording, UtcDateTime
from emotion_search.index.database.schema import IngestRun as Run
from emotion_search.index.database.schema import IngestSlice as Slice
from emotion_search.index.errors import NotFoundError

LEASE_S = 60.0
"""Seconds after which a slice, or the listing of a run, is taken from a worker that is silent; at
once where the clock went back, so that its lease would last longer than any."""
INGEST, REEMBED = "ingest", "reembed"
"""Kinds of shared work."""
_LATELY_S = 600.0


@dataclass(frozen=True)
class Claimed:
    """A slice on lease: its files (or recordings) and the options of its run, as plain data; how
    often it was taken, this time included; what those before noted of it; since when its run is."""

    id: int
    files: list[Any]
    options: Mapping[str, Any]
    attempts: int
    before: Progress
    since: datetime


@dataclass(frozen=True)
class Progress:
    """What came of the files of a slice so far: those ``done`` with and ``failed`` for the worker
    that has it, the others of all that had it; ``seconds`` of audio."""

    done: int = 0
    failed: int = 0
    recordings: int = 0
    clips: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class RunStatus(Progress):
    """Shared work as it stands: the progress of all its slices together.

    Attributes:
        kind: ``ingest``, or ``reembed``, of which the files are recordings.
        named: what is taken in.
        listed: whether ``files``, those in slices, are all; ``known`` ones are in none.
        finished: whether all its files are dealt with.
        clips_per_second, audio_per_second: over the last ten minutes; seconds of audio.
        workers: that work on it now.
    """

    run: int
    kind: str
    named: str
    listed: bool
    finished: bool
    files: int
    known: int
    clips_per_second: float
    audio_per_second: float
    workers: tuple[str, ...]


def worker_name() -> str:
    """A name for a worker that no other has: its machine, its process, and something random."""
    return f"{platform.node()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


def open_run(
    session: Session, key: str, named: str, options: Mapping[str, Any], kind: str = INGEST
) -> int:
    """The unfinished run of a command, by its key, or a new one, for which those that nobody has
    anything to do for are forgotten; it stays for as long as a lease."""
    now = now_of(session)
    working = exists().where(Slice.run_id == Run.id, Slice.finished_at.is_(None))
    listed = Run.listed_at.is_not(None)
    until = now + timedelta(seconds=LEASE_S)
    found = session.scalar(select(Run).where(Run.key == key, or_(~listed, working)))
    if found is not None:
        found.lease_until = until if found.lister is None else found.lease_until
        return found.id
    session.execute(delete(Run).where(~working, or_(listed, ~on_lease(Run.lease_until, now))))
    run = Run(kind=kind, key=key, named=named, options=dict(options), files=0, known=0)
    run.created_at, run.lease_until = datetime.now(UTC), until
    session.add(run)
    session.flush()
    return run.id


def claim_listing(session: Session, run_id: int, worker: str) -> tuple[bool, str | None, bool]:
    """Whether ``worker`` is to list the run from now on, and after which path; and whether it is
    listed already."""
    now = now_of(session)
    free = or_(Run.lister.is_(None), ~on_lease(Run.lease_until, now))
    taken = session.execute(
        update(Run)
        .where(Run.id == run_id, Run.listed_at.is_(None), free)
        .values(lister=worker, lease_until=now + timedelta(seconds=LEASE_S))
    )
    last, listed = session.execute(select(Run.last, Run.listed_at).where(Run.id == run_id)).one()
    return bool(taken.rowcount), last, listed is not None  # type: ignore[attr-defined]


def add_slice(
    session: Session, run_id: int, worker: str, files: Sequence[Any], known: int, last: str
) -> bool:
    """Add files to a run, and count those that were ``known``, up to the path ``last``; False, and
    nothing is done, if another worker lists it now."""
    now = now_of(session)
    ours = session.execute(
        update(Run)
        .where(Run.id == run_id, Run.lister == worker)
        .values(
            files=Run.files + len(files),
            known=Run.known + known,
            last=last,
            lease_until=now + timedelta(seconds=LEASE_S),
        )
    )
    if not ours.rowcount:  # type: ignore[attr-defined]
        return False
    if files:
        session.add(
            Slice(
                run_id=run_id, files=list(files), number=len(files), attempts=0, **vars(Progress())
            )
        )
    return True


def end_listing(session: Session, run_id: int, worker: str, *, complete: bool) -> None:
    """The worker lists the run no more: it is ``complete``, or another may go on."""
    ended: dict[str, object] = {"listed_at": now_of(session)} if complete else {"lister": None}
    session.execute(
        update(Run).where(Run.id == run_id, Run.lister == worker).values(lease_until=None, **ended)
    )


def claim_slice(session: Session, worker: str, run_id: int | None = None) -> Claimed | None:
    """A slice of a run, or of any ingest, that nobody works on, now on lease to ``worker``; None if
    there is none. Workers on Postgres do not wait for each other."""
    now = now_of(session)
    row = session.scalar(
        select(Slice)
        .where(_among(run_id), Slice.finished_at.is_(None), ~on_lease(Slice.lease_until, now))
        .order_by(Slice.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if row is None:
        return None
    row.worker, row.attempts = worker, row.attempts + 1
    row.lease_until = now + timedelta(seconds=LEASE_S)
    row.started_at, row.seen_at, row.done, row.failed = row.started_at or now, now, 0, 0
    run = session.get_one(Run, row.run_id)
    return Claimed(row.id, row.files, run.options, row.attempts, _progress(row), run.created_at)


def added_since(session: Session, paths: Sequence[str], since: datetime) -> Progress:
    """What of these files came into the archive since then, also by workers that noted nothing."""
    of_paths = select(Location.recording_id).where(Location.path.in_(paths))
    new = and_(Recording.id.in_(of_paths), Recording.ingested_at >= since)
    clips = select(func.count()).select_from(Clip).join(Recording).where(new).scalar_subquery()
    seconds = func.coalesce(func.sum(Recording.duration), 0.0)
    row = session.execute(select(func.count(), clips, seconds).where(new)).one()
    return Progress(recordings=row[0], clips=row[1], seconds=row[2])


def renew(session: Session, slice_id: int, worker: str, progress: Progress) -> bool:
    """Keep a slice, and note how far it is; False if another worker has it now. Of one that got on
    attempts are counted anew."""
    now = now_of(session)
    until = now + timedelta(seconds=LEASE_S)
    attempts = case((Slice.clips < progress.clips, 1), else_=Slice.attempts)
    return _note(
        session, slice_id, worker, progress, seen_at=now, lease_until=until, attempts=attempts
    )


def finish_slice(session: Session, slice_id: int, worker: str, progress: Progress) -> bool:
    """A slice is done with; False if another worker has it now."""
    now = now_of(session)
    return _note(
        session,
        slice_id,
        worker,
        progress,
        seen_at=now,
        finished_at=now,
        lease_until=None,
        files=[],
        done=Slice.number,
    )


def release_slice(session: Session, slice_id: int, worker: str) -> None:
    """Let another worker have a slice at once, as if it had not been taken."""
    session.execute(
        update(Slice)
        .where(Slice.id == slice_id, Slice.worker == worker)
        .values(worker=None, lease_until=None, attempts=Slice.attempts - 1)
    )


def anything_left(session: Session, run_id: int | None = None) -> bool:
    """Whether somebody lists a run (this one, or any ingest), or is about to, or one of its slices
    is not finished."""
    wanted = Run.kind == INGEST if run_id is None else Run.id == run_id
    listed = on_lease(Run.lease_until, now_of(session))
    listing = exists().where(wanted, Run.listed_at.is_(None), listed)
    open_ = exists().where(_among(run_id), Slice.finished_at.is_(None))
    return bool(session.scalar(select(or_(listing, open_))))


def drop_run(session: Session, run_id: int) -> None:
    """Forget a run; who works on it finds out.

    Raises:
        NotFoundError: no such run.
    """
    gone = session.execute(delete(Run).where(Run.id == run_id))
    if not gone.rowcount:  # type: ignore[attr-defined]
        raise NotFoundError(
            f"no shared work {run_id}; list it with: emotion-search ingest --status"
        )


def list_runs(session: Session) -> list[RunStatus]:
    """The runs that are unfinished or were the last, latest first."""
    now = now_of(session)
    lately = Slice.seen_at >= now - timedelta(seconds=_LATELY_S)
    sums = {
        row.run_id: row
        for row in session.execute(
            select(
                Slice.run_id,
                func.count().filter(Slice.finished_at.is_(None)).label("left"),
                *(func.sum(getattr(Slice, name)).label(name) for name in vars(Progress())),
                func.sum(Slice.clips).filter(lately).label("late_clips"),
                func.sum(Slice.seconds).filter(lately).label("late_seconds"),
                func.min(Slice.started_at, type_=UtcDateTime).filter(lately).label("since"),
            ).group_by(Slice.run_id)
        )
    }
    workers: dict[int, list[str]] = {}
    alive = select(Slice.run_id, Slice.worker).where(on_lease(Slice.lease_until, now))
    for run_id, worker in session.execute(alive.order_by(Slice.worker)):
        workers.setdefault(run_id, []).append(worker or "")
    found = []
    for run in session.scalars(select(Run).order_by(Run.id.desc())):
        row = sums.get(run.id)
        took = max(1.0, (now - row.since).total_seconds()) if row and row.since else 1.0
        found.append(
            RunStatus(
                run=run.id,
                kind=run.kind,
                named=run.named,
                listed=run.listed_at is not None,
                finished=run.listed_at is not None and not (row and row.left),
                files=run.files,
                known=run.known,
                clips_per_second=((row and row.late_clips) or 0) / took,
                audio_per_second=((row and row.late_seconds) or 0.0) / took,
                workers=tuple(workers.get(run.id, ())),
                **vars(_progress(row) if row else Progress()),
            )
        )
    return found


def _among(run_id: int | None) -> ColumnElement[bool]:
    """Slices of a run, or of ingests."""
    if run_id is not None:
        return Slice.run_id == run_id
    return Slice.run_id.in_(select(Run.id).where(Run.kind == INGEST))


def _progress(row: Any) -> Progress:
    return Progress(*(getattr(row, name) for name in vars(Progress())))


def _note(
    session: Session, slice_id: int, worker: str, progress: Progress, **columns: object
) -> bool:
    changed = session.execute(
        update(Slice)
        .where(Slice.id == slice_id, Slice.worker == worker, Slice.finished_at.is_(None))
        .values(vars(progress) | columns)
    )
    return bool(changed.rowcount)  # type: ignore[attr-defined]


def on_lease(until: Any, now: datetime) -> ColumnElement[bool]:
    """Whether a lease goes on, in SQL; not one that would last longer than any."""
    longest = now + timedelta(seconds=2 * LEASE_S)
    return and_(until.is_not(None), until >= now, until <= longest)


def now_of(session: Session) -> datetime:
    """The database's time, so that clocks of machines need not agree."""
    if session.get_bind().dialect.name == "sqlite":
        return datetime.now(UTC)  # one machine
    now: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    return now

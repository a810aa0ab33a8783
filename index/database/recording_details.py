"""Reading recordings: details, pages, where their files lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, null, select
from sqlalchemy.orm import Session

from emotion_search.index.database.bulk import chunks
from emotion_search.index.database.clips import ClipDetails, clip_details, metadata_of
from emotion_search.index.database.files import FileFacts
from emotion_search.index.database.filters import ClipFilter
from emotion_search.index.database.matching import matching
from emotion_search.index.database.models import ModelInfo
from emotion_search.index.database.schema import Clip, Label, Location, Recording, as_details
from emotion_search.index.errors import NotFoundError


@dataclass(frozen=True)
class RecordingDetails:
    """A recording with what is known about it.

    Attributes:
        name: of its file when it came.
        duration: seconds.
        sample_rate: Hz.
        cut: how its clips were made; None where that is not known.
        clips: how many it has.
        labels: number of its clips by task and value.
        share: of its clips' time, what passes the filters; None where it was not found in the
            order of that.
    """

    id: int
    name: str
    sha256: str
    source: str | None
    speaker: str | None
    recorded_at: datetime | None
    duration: float
    sample_rate: int
    channels: int
    cut: str | None
    ingested_at: datetime
    clips: int
    labels: Mapping[str, Mapping[str, int]]
    metadata: Mapping[str, str]
    share: float | None


ORDERS: dict[str, ColumnElement[Any]] = {
    "id": Recording.id.asc(),
    "newest": func.coalesce(Recording.recorded_at, Recording.ingested_at).desc(),
    "oldest": func.coalesce(Recording.recorded_at, Recording.ingested_at),
    "longest": Recording.duration.desc(),
    "shortest": Recording.duration.asc(),
}
"""Orders of recordings, beside ``share``: the share of the time of their clips that passes, most
first. Of one without a time of recording, when it was taken in counts."""


def find_recordings(
    session: Session,
    wanted: ClipFilter,
    *,
    text: str = "",
    order: str = "newest",
    limit: int,
    skip: int = 0,
    after_id: int = 0,
) -> tuple[list[RecordingDetails], int]:
    """Up to ``limit`` recordings, after ``skip``, of which some clip passes and whose file name
    has ``text`` in it, in one of ``ORDERS``; and how many there are in all, whatever ``skip`` and
    ``after_id``, beyond which ids are listed."""
    query: Select[Any] = _ids(wanted)
    if text:
        query = query.where(Recording.name.icontains(text, autoescape=True))
    total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
    if after_id:
        query = query.where(Recording.id > after_id)
    if order == "share":
        share = _share(wanted).subquery()
        query = query.join(share, share.c.recording_id == Recording.id)
        query = query.add_columns(share.c.share).order_by(share.c.share.desc())
    else:
        query = query.add_columns(null()).order_by(ORDERS[order])
    rows = session.execute(query.order_by(Recording.id).limit(limit).offset(skip))
    shares: dict[int, float | None] = dict(map(tuple, rows))
    return _details(session, shares), total


def _ids(wanted: ClipFilter) -> Select[int]:
    """Ids of the recordings of which some clip passes."""
    if wanted.is_empty:
        return select(Recording.id)
    passing = matching(wanted).with_only_columns(Clip.recording_id)
    return select(Recording.id).where(Recording.id.in_(passing))


def _share(wanted: ClipFilter) -> Select[Any, Any]:
    """By recording, the share of its clips' time that passes."""
    time = Clip.end - Clip.start
    passing = func.sum(case((Clip.id.in_(matching(wanted)), time), else_=0.0))
    whole = func.nullif(func.sum(time), 0.0)
    return select(Clip.recording_id, (passing / whole).label("share")).group_by(Clip.recording_id)


def recordings_to_forget(
    session: Session,
    wanted: ClipFilter,
    *,
    older: datetime | None = None,
    ingested_before: datetime | None = None,
) -> list[int]:
    """Ids of the recordings of which some clip passes, ascending.

    Args:
        older: only those recorded before then, or where that is unknown taken in before then.
        ingested_before: only those taken in before then.
    """
    query = _ids(wanted).order_by(Recording.id)
    if older is not None:
        query = query.where(func.coalesce(Recording.recorded_at, Recording.ingested_at) < older)
    if ingested_before is not None:
        query = query.where(Recording.ingested_at < ingested_before)
    return list(session.scalars(query))


def all_locations(session: Session) -> Iterator[tuple[int, str, str | None, bool]]:
    """Every place where a recording was seen, by ascending id: id, sha256, path (None where no
    place is known), and whether its audio was ever read, not embeddings alone."""
    query = (
        select(Recording.id, Recording.sha256, Location.path, Recording.sample_rate > 0)
        .outerjoin(Location, Location.recording_id == Recording.id)
        .order_by(Recording.id)
    )
    for row in session.execute(query.execution_options(yield_per=1000)):
        yield row[0], row[1], row[2], row[3]


@dataclass
class Contents:
    """What there is of some recordings: ids of those that there are, ascending; how many clips,
    labels and known places of files they have; their length in seconds."""

    ids: list[int]
    clips: int = 0
    labels: int = 0
    files: int = 0
    duration: float = 0.0


def counts_of(session: Session, ids: Sequence[int]) -> Contents:
    """What there is of the recordings with these ids."""
    counts = Contents([])
    for some in chunks(sorted(set(ids))):
        clips = Clip.recording_id.in_(some)
        found = session.execute(
            select(Recording.id, Recording.duration).where(Recording.id.in_(some))
        ).all()
        counts.ids += sorted(row.id for row in found)
        counts.duration += sum(row.duration for row in found)
        counts.clips += session.scalar(select(func.count()).where(clips)) or 0
        labels = select(func.count()).select_from(Label).join(Clip, Clip.id == Label.clip_id)
        counts.labels += session.scalar(labels.where(clips)) or 0
        counts.files += (
            session.scalar(select(func.count()).where(Location.recording_id.in_(some))) or 0
        )
    return counts


def get_recording(session: Session, recording_id: int) -> Recording:
    """One recording's row.

    Raises:
        NotFoundError: no such recording.
    """
    row = session.get(Recording, recording_id)
    if row is None:
        raise NotFoundError(f"no recording {recording_id} in this archive")
    return row


def locations_of(session: Session, recording_id: int) -> list[FileFacts]:
    """Where the recording's bytes were seen, and how the files were then."""
    query = select(Location).where(Location.recording_id == recording_id).order_by(Location.path)
    return [FileFacts(row.path, row.size, row.mtime_ns) for row in session.scalars(query)]


def read_recording(session: Session, recording_id: int) -> RecordingDetails:
    """One recording.

    Raises:
        NotFoundError: no such recording.
    """
    get_recording(session, recording_id)
    return _details(session, {recording_id: None})[0]


def _details(session: Session, shares: Mapping[int, float | None]) -> list[RecordingDetails]:
    """The recordings with these ids, each with its share, in this order; unknown ones are left
    out."""
    ids = list(shares)
    rows = {row.id: row for row in session.scalars(select(Recording).where(Recording.id.in_(ids)))}
    clips = {
        recording: int(n)
        for recording, n in session.execute(
            select(Clip.recording_id, func.count())
            .where(Clip.recording_id.in_(ids))
            .group_by(Clip.recording_id)
        )
    }
    labels: dict[int, dict[str, dict[str, int]]] = {}
    for recording, task, value, n in session.execute(
        select(Clip.recording_id, Label.task, Label.value, func.count())
        .join(Label, Label.clip_id == Clip.id)
        .where(Clip.recording_id.in_(ids))
        .group_by(Clip.recording_id, Label.task, Label.value)
        .order_by(Label.task, func.count().desc(), Label.value)
    ):
        labels.setdefault(recording, {}).setdefault(task, {})[value] = int(n)
    metadata = metadata_of(session, ids)
    return [
        as_details(
            RecordingDetails,
            row,
            clips=clips.get(row.id, 0),
            labels=labels.get(row.id, {}),
            metadata=metadata.get(row.id, {}),
            share=shares[recording],
        )
        for recording in ids
        if (row := rows.get(recording)) is not None
    ]


def clips_of_recording(
    session: Session, model: ModelInfo | None, recording_id: int, *, limit: int, after_id: int = 0
) -> list[ClipDetails]:
    """Up to ``limit`` clips of a recording by ascending id from beyond ``after_id``.

    Raises:
        NotFoundError: no such recording.
    """
    get_recording(session, recording_id)
    query = select(Clip.id).where(Clip.recording_id == recording_id, Clip.id > after_id)
    ids = session.scalars(query.order_by(Clip.id).limit(limit)).all()
    return clip_details(session, model, ids)
